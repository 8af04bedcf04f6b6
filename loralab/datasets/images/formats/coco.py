"""Boxes as COCO writes them: one JSON file, or one per part, with lists of pictures, of things in them and of classes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from loralab.core import strict_json
from loralab.core.records import Target
from loralab.datasets.images.boxes import NO_CLASS, NO_NUMBERS, NO_PICTURE, Box, Frame, around, regions
from loralab.datasets.images.facts import Facts
from loralab.datasets.images.found import BoxCount, Format, Found, Item, Roles
from loralab.datasets.images.names import Index, side_at_end, side_in
from loralab.datasets.images.notes import outlines_note, shows_nothing
from loralab.datasets.images.place import Place

CROWD = "a crowd, not one thing"
LISTED_BEFORE = "a picture that another list has already"
UNLISTED = "No list of boxes names it."
_SIGNS = (b'"images"', b'"annotations"')
_ENDS = 1 << 20  # bytes of a large file's beginning and end in which the signs stand


@dataclass
class _Said:
    """What lists say of a picture."""

    source: str
    frame: Frame
    boxes: list[tuple[str, Box]] = field(default_factory=list)


def claims(place: Place) -> bool:
    """A JSON file holds pictures and annotations."""
    return any(_is_coco(place.read(name)) for name in place.ending(".json")[:50])


def read(place: Place, facts: Facts, roles: Roles) -> Found:
    """Pictures that a list names, with their boxes; a listed picture without boxes shows nothing. One that no list names is left out."""
    found = Found("detect", [], boxes=(boxes := BoxCount()))
    index = place.index
    facts.gather(place.pictures)
    said: dict[str, _Said] = {}
    outlines = 0
    for source, listing in listings(place, found):
        outlines += _take(source, listing, index, said, found)
    for name in place.pictures:
        fact = facts.of(name)
        if fact.reason or name not in said:
            if name in said and said[name].boxes:
                boxes.drop(NO_PICTURE, len(said[name].boxes))
            found.lose(name, fact.reason or UNLISTED)
            continue
        one = said[name]
        target = Target(regions=regions(one.boxes, one.frame, fact, boxes))
        found.items.append(Item(name, target=target, side=side_at_end(one.source) or side_in(name)))
    found.notes += [*outlines_note(outlines), *shows_nothing(found)]
    return found


def _is_coco(raw: bytes) -> bool:
    ends = raw if len(raw) < 2 * _ENDS else raw[:_ENDS] + raw[-_ENDS:]
    return (all(sign in ends or sign in raw for sign in _SIGNS) and b'"bbox"' in raw) or all(sign in ends for sign in _SIGNS)


def listings(place: Place, found: Found | None = None) -> Iterator[tuple[str, dict[str, Any]]]:
    """The COCO files, those of one part before those of the whole."""
    names = [name for name in place.ending(".json") if _is_coco(place.read(name))]
    for name in sorted(names, key=lambda name: (not side_at_end(name), name)):
        try:
            listing = strict_json.load(place.read(name))
        except ValueError:
            if found is not None:
                found.lose(name, "It is a list of boxes that is damaged or cut short.")
            continue
        if isinstance(listing, dict) and isinstance(listing.get("images"), list) and isinstance(listing.get("annotations"), list):
            yield name, listing


def _take(source: str, listing: dict[str, Any], index: Index, said: dict[str, _Said], found: Found) -> int:
    """Take what a file says; gives how many things have an outline beside their box."""
    labels = labels_of(listing)
    found.labels = tuple(dict.fromkeys((*found.labels, *labels.values())))
    pictures = _pictures(source, listing["images"], index, said, found)
    outlines = 0
    for annotation in listing["annotations"]:
        if not isinstance(annotation, dict):
            _dropped(found, NO_NUMBERS)
            continue
        where = pictures.get(id_of(annotation.get("image_id")))
        box, label = _box(annotation), labels.get(id_of(annotation.get("category_id")), "") if labels else number_of(annotation)
        reason = "" if box else NO_NUMBERS
        reason = reason or ("" if label else NO_CLASS) or (CROWD if annotation.get("iscrowd") in (1, True) else "")
        if where is None or isinstance(where, str):
            _dropped(found, where or NO_PICTURE)
        elif reason or box is None:
            _dropped(found, reason)
        else:
            where.boxes.append((label, box))
            outlines += bool(polygons_of(annotation))
    return outlines


def _pictures(source: str, images: list[Any], index: Index, said: dict[str, _Said], found: Found) -> dict[str, _Said | str]:
    """What is said of the picture of each id, or why boxes of that id are dropped."""
    known: dict[str, _Said | str] = {}
    for image in images:
        if not isinstance(image, dict):
            found.lose(source, "An entry of the list is no picture.")
            continue
        wanted, number = str(image.get("file_name") or ""), id_of(image.get("id"))
        name = index.find(wanted, source)
        if name is None:
            found.lose(wanted or source, "The list names it, and it is not there.")
            known.setdefault(number, NO_PICTURE)
        elif name in said:
            known.setdefault(number, said[name] if said[name].source == source else LISTED_BEFORE)
        elif number in known:
            found.lose(name, "The list has its number twice.")
        else:
            said[name] = known[number] = _Said(source, Frame(size_of(image.get("width")), size_of(image.get("height"))))
    return known


def _dropped(found: Found, reason: str) -> None:
    if found.boxes is not None:
        found.boxes.drop(reason)


def labels_of(listing: dict[str, Any]) -> dict[str, str]:
    """Name by id, in the order of the list; ids begin at 0 or 1 or have holes as they like."""
    categories = listing.get("categories")
    if not isinstance(categories, list):
        return {}
    known = [one for one in categories if isinstance(one, dict) and str(one.get("name", "")).strip()]
    return {id_of(one.get("id")): " ".join(str(one["name"]).split()) for one in known}


def number_of(annotation: dict[str, Any]) -> str:
    """What a class is called where no list names it."""
    number = id_of(annotation.get("category_id"))
    return f"class {number}" if number else ""


def id_of(value: Any) -> str:
    """An id as it is compared: 7, 7.0 and “7” are one."""
    if isinstance(value, bool) or value is None:
        return ""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def size_of(value: Any) -> float:
    """A number of pixels; 0 where it is none."""
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0


def _box(annotation: dict[str, Any]) -> Box | None:
    """Left, top, right, bottom from x, y, width, height; else what lies around the outline."""
    try:
        x, y, width, height = (float(value) for value in annotation["bbox"])
    except (KeyError, TypeError, ValueError):
        polygons = polygons_of(annotation)
        return around([value for polygon in polygons for value in polygon]) if polygons else None
    return x, y, x + width, y + height


def polygons_of(annotation: dict[str, Any]) -> list[list[float]]:
    """Outlines of a thing: lists of x, y, x, y ...; none where there are none, or where they are packed."""
    outlines = annotation.get("segmentation")
    if not isinstance(outlines, list):
        return []
    whole = [one for one in outlines if isinstance(one, list) and len(one) >= 6 and len(one) % 2 == 0]
    return [[float(value) for value in one] for one in whole if all(isinstance(value, int | float) for value in one)]


FORMAT = Format("COCO", "detect", rank=10, claims=claims, read=read)
