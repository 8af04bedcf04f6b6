"""Masks as pictures: beside the pictures, in a folder of their own, one or several for each."""

from __future__ import annotations

import csv
import io
from pathlib import PurePosixPath

from loralab.core.errors import Problem, UserError
from loralab.core.records import Region, Target
from loralab.core.words import count
from loralab.datasets.images.facts import Fact, Facts, MaskFact
from loralab.datasets.images.found import Format, Found, Item, Roles
from loralab.datasets.images.mask_table import table_of
from loralab.datasets.images.masks import fits
from loralab.datasets.images.names import side_in
from loralab.datasets.images.pairing import label_word
from loralab.datasets.images.place import Place

_LOSSY = (".jpg", ".jpeg", ".jpe", ".jfif", ".webp")
_NO_MASK = "It has no mask."
_OTHER_SHAPE = "Its mask has another shape than it."


def claims(place: Place) -> bool:
    """Pictures come with masks."""
    return place.paired.plausible


def read(place: Place, facts: Facts, roles: Roles) -> Found:
    """Pictures with their masks. Raises UserError where the masks are JPEGs: squeezing blurs the classes into each other."""
    found = Found("segment", [])
    paired = place.paired
    masks = [mask for own in paired.masks.values() for mask, _ in own]
    _refuse_lossy(masks)
    facts.gather(list(paired.masks), masks)
    kept: dict[str, list[tuple[str, str]]] = {}
    scaled = 0
    for name, own in paired.masks.items():
        fact = facts.of(name)
        reason = fact.reason or _unusable(fact, [facts.of_mask(mask) for mask, _ in own])
        if reason:
            found.lose(name, reason)
            continue
        kept[name] = own
        scaled += any(_how(facts.of_mask(mask), fact) == "scaled" for mask, _ in own)
    for mask in paired.lonely:
        found.lose(mask, "It is a mask, and its picture is not there.")
    _understand(found, place, facts, roles, kept)
    if scaled:
        what = f"{count(scaled, 'mask')} {'has' if scaled == 1 else 'have'} another size than the picture; they are made as large."
        found.notes.append(Problem(code="masks_scaled", what=what, todo="Nothing has to be done.", severity="info"))
    return found


def _understand(found: Found, place: Place, facts: Facts, roles: Roles, kept: dict[str, list[tuple[str, str]]]) -> None:
    """What the values mean, and the pictures with their masks."""
    word = roles.get("label", "") or next((label_word(mask) for own in kept.values() for mask, _ in own), "")
    names = {key: name for key, name in roles.items() if key.startswith("#") or key.isdigit()} or _names(place)
    looked = [facts.of_mask(mask) for own in kept.values() for mask, _ in own]
    found.table, found.labels, notes = table_of(looked, names, word)
    found.notes += notes
    by_folder = tuple(sorted({label for own in kept.values() for _, label in own if label}))
    if by_folder:
        found.labels = by_folder
    for name, own in kept.items():
        if len(own) == 1 and not own[0][1]:
            target = Target(mask=own[0][0])
        else:
            target = Target(regions=tuple(Region(label=label or found.labels[0], mask=mask) for mask, label in own))
        found.items.append(Item(name, target=target, side=side_in(name)))


def _unusable(fact: Fact, masks: list[MaskFact]) -> str:
    """Why a picture with these masks is left out; empty where it is not."""
    if not masks:
        return _NO_MASK
    if broken := next((mask.reason for mask in masks if mask.reason), ""):
        return f"Its mask cannot be used. {broken}"
    return "" if all(_how(mask, fact) for mask in masks) else _OTHER_SHAPE


def _how(mask: MaskFact, fact: Fact) -> str:
    return fits(mask.width, mask.height, fact.width, fact.height, fact.orientation)


def _refuse_lossy(masks: list[str]) -> None:
    lossy = [mask for mask in masks if PurePosixPath(mask).suffix.lower() in _LOSSY]
    if 2 * len(lossy) > len(masks):
        what = f"The masks are saved as JPG ({PurePosixPath(lossy[0]).name}), which blurs the edges of what is marked."
        raise UserError(what, "Save the masks as PNG, and choose them again.", code="lossy_masks")


def _names(place: Place) -> dict[str, str]:
    """What numbers or colours are called, from a list beside the masks: a name per line from 0 on, or a table with name, r, g, b."""
    for name in place.texts:
        base = PurePosixPath(name).name.casefold()
        text = place.read(name).decode("utf-8-sig", errors="replace") if base.endswith((".txt", ".csv")) else ""
        if base in ("classes.txt", "labels.txt", "class_names.txt", "names.txt"):
            return {str(at): line.strip() for at, line in enumerate(text.splitlines()) if line.strip()}
        if base.endswith(".csv") and (colours := _colour_rows(text)):
            return colours
    return {}


def _colour_rows(text: str) -> dict[str, str]:
    """Names by #rrggbb from a table with the columns name, r, g and b."""
    named: dict[str, str] = {}
    for row in csv.DictReader(io.StringIO(text)):
        cells = {str(column).strip().casefold(): value for column, value in row.items() if isinstance(value, str)}
        try:
            red, green, blue = (int(cells[colour]) for colour in ("r", "g", "b"))
            named[f"#{red:02x}{green:02x}{blue:02x}"] = cells["name"].strip()
        except (KeyError, ValueError):
            return {}
    return named


FORMAT = Format("masks", "segment", rank=50, claims=claims, read=read)
