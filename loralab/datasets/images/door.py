"""The way in for pictures: what is there, what is to be learned of it, and which of it is held out.

Invariant: the app and its workers come in here with the same path, workspace and roles, and see the same examples in the same order.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from loralab.core.records import Choice, DatasetProfile, Example, LeftOut, Preview, Target
from loralab.datasets.dataset import MOST_LISTED, SHOWN, Loaded, usual_share
from loralab.datasets.images import masks, outlines
from loralab.datasets.images.checks import examine
from loralab.datasets.images.claimed import is_pictures
from loralab.datasets.images.clinic.intake import is_clinical, kept_reading, take_in
from loralab.datasets.images.clinic.marked import TITLE, is_kept
from loralab.datasets.images.direction import views_of, views_of_things
from loralab.datasets.images.facts import Fact, Facts
from loralab.datasets.images.formats.captions import DRAW
from loralab.datasets.images.found import Found, Item
from loralab.datasets.images.likeness import groups_by_name, near_copies, together
from loralab.datasets.images.names import HELDOUT, WATCH
from loralab.datasets.images.opened import Pixels
from loralab.datasets.images.parts import Parts, divide
from loralab.datasets.images.pictures import Pictures
from loralab.datasets.images.place import Place, place_of
from loralab.datasets.images.reading import read

__all__ = ["Parts", "Pictures", "is_pictures", "load_pictures", "mask_of", "parts", "profile_pictures"]

N_PREVIEWS = 12
_RANKS = (50, 90, 95, 99)


def load_pictures(path: Path, home: Path | None, roles: Mapping[str, str] | None = None) -> Pictures:
    """Read a zip, a folder or a single file. `home`: the workspace; `roles` decide what was not certain: “task” (classify, segment,
    detect or draw), “label” (a column, which folder, or what masks mark), “#rrggbb” or a number (the name of what masks show so).

    Raises UserError where nothing can be learned from it.
    """
    path = Path(path).expanduser().resolve()
    if path.exists() and not is_kept(path) and is_clinical(path):
        path = take_in(path, home)
    place = place_of(path, home)
    facts = Facts(place, home)
    if is_kept(path):
        found, reading, told = kept_reading(path, dict(roles or {}))
        found.notes += told
        return _made(replace(place, title=TITLE), facts, found, reading.written, path, bool(roles), reading.tags)
    found, written = read(place, facts, dict(roles or {}))
    found.items = _grouped(found.items)
    return _made(place, facts, found, written.name, path, bool(roles))


def _made(
    place: Place, facts: Facts, found: Found, written: str, path: Path, sure: bool, tags: Mapping[str, dict[str, str]] | None = None
) -> Pictures:
    """What was found, as examples. `sure`: somebody said what is meant; `tags`: of medical pictures, by name."""
    items = found.items
    facts.gather([item.name for item in items])
    examples = tuple(_example(row, item) for row, item in enumerate(items, 1))
    known = tuple(facts.of(item.name) for item in items)
    lost = [*place.lost, *found.lost]
    loaded = Loaded(
        name=place.title,
        path=str(path),
        shape=written,
        roles=found.roles,
        columns=found.columns,
        certain=found.certain or sure,
        encoding="",
        n_read=len(examples) + len(lost),
        left_out=tuple(_numbered(lost[:MOST_LISTED], len(examples))),
        more_left_out=max(0, len(lost) - MOST_LISTED),
        choices=_choices(found, examples) if not found.certain and not sure else (),
    )
    marked = _marked(items, facts, found) if found.task == "segment" else ()
    facts.save()
    return Pictures(
        root=place.root,
        task=found.task,
        labels=_labels(found),
        examples=examples,
        loaded=loaded,
        findings=tuple(found.notes),
        medical=tags is not None,
        facts=known,
        sides=tuple(item.side for item in items),
        copies=near_copies(known),
        marked=marked,
        tags=tuple(tags.get(item.name, {}) for item in items) if tags is not None else (),
        boxes=found.boxes,
        table=found.table,
    )


def parts(pictures: Pictures, share: float, seed: int) -> Parts:
    """What is learned from, watched and held out: as the files say, else by seed; near copies and groups are never parted."""
    groups = together(pictures.copies.same, [example.group for example in pictures.examples])
    return divide(pictures.examples, pictures.sides, groups, share, seed)


def mask_of(pictures: Pictures, example: Example) -> Pixels:
    """What every pixel of a picture shows, [height, width] as it is seen: 0 background, i the i-th label. Raises UserError."""
    fact = pictures.facts[example.row - 1]
    if example.target is None:
        return np.zeros((fact.height, fact.width), dtype=np.uint8)
    return masks.mask(pictures.root, example.target, pictures.labels, pictures.table, fact.width, fact.height, fact.orientation)


def profile_pictures(path: Path, home: Path | None, roles: Mapping[str, str] | None = None) -> DatasetProfile:
    """What a data set of pictures holds, in pixels. Raises UserError where nothing can be learned from it."""
    pictures = load_pictures(path, home, roles)
    examples = pictures.examples
    split = parts(pictures, usual_share(len(examples)), 0)
    pixels = [fact.width * fact.height for fact in pictures.facts]
    shown = examples[:: max(1, len(examples) // N_PREVIEWS)][:N_PREVIEWS]
    return DatasetProfile(
        id=_content_id(pictures),
        path=pictures.loaded.path,
        examples=examples[:SHOWN],
        n_kept=len(examples),
        n_train=len(split.learn) + len(split.watch),
        n_heldout=len(split.heldout),
        n_duplicates=len(pictures.copies.pairs),
        labels=pictures.counts(),
        tokens={**_quantiles(pixels), "total": sum(pixels), "learned": sum(pixels), "aspect": _aspect(pictures.facts)},
        unit="pixels",
        previews=tuple(_preview(example, pixels[example.row - 1]) for example in shown),
        findings=examine(pictures),
        task=pictures.task,
        root=str(pictures.root),
        medical=pictures.medical,
        boxes={"read": pictures.boxes.read, "kept": pictures.boxes.kept, **+pictures.boxes.dropped} if pictures.boxes else {},
        views=_views(pictures),
        **pictures.loaded.model_dump(exclude={"path"}),
    )


def _aspect(facts: Sequence[Fact]) -> int:
    """Longer over shorter side of the usual picture, in per cent."""
    shapes = sorted(100 * max(fact.width, fact.height) // max(1, min(fact.width, fact.height)) for fact in facts)
    return shapes[len(shapes) // 2] if shapes else 100


def _views(pictures: Pictures) -> str:
    """In which ways these pictures may be varied."""
    examples = pictures.examples
    if pictures.task == DRAW:
        return "none"
    if pictures.task != "detect":
        return views_of(pictures.facts, [example.label for example in examples], lit=pictures.task == "segment")
    sizes = [(fact.width, fact.height) for fact in pictures.facts]
    regions = [
        (region.box, size) for example, size in zip(examples, sizes, strict=True) if example.target for region in example.target.regions
    ]
    long = [max(size) for _, size in regions]  # things keep their shape
    return views_of_things(
        [
            (
                (box[0] + (side - w) / 2) / side,
                (box[1] + (side - h) / 2) / side,
                (box[2] + (side - w) / 2) / side,
                (box[3] + (side - h) / 2) / side,
            )
            for (box, (w, h)), side in zip(regions, long, strict=True)
            if box
        ]
    )


def _grouped(items: Sequence[Item]) -> list[Item]:
    """Pictures with whom or what they are of, as their names say where nothing else does."""
    if any(item.group for item in items):
        return list(items)
    groups = groups_by_name([item.name for item in items])
    return [replace(item, group=group) for item, group in zip(items, groups, strict=True)]


def _example(row: int, item: Item) -> Example:
    return Example(
        row=row,
        source=item.name,
        media=(item.name,),
        label=item.label,
        text=item.caption,
        target=item.target,
        held_out=item.side == HELDOUT,
        watched=item.side == WATCH,
        group=item.group,
    )


def _numbered(lost: Sequence[LeftOut], kept: int) -> list[LeftOut]:
    """What was left out, numbered after what was kept."""
    return [one.model_copy(update={"row": kept + place}) for place, one in enumerate(lost, 1)]


def _labels(found: Found) -> tuple[str, ...]:
    """Classes in their order, those only that occur; of masks all."""
    if found.task == "segment":
        return found.labels
    here = {item.label for item in found.items if item.label is not None}
    here |= {region.label for item in found.items if item.target for region in item.target.regions}
    ordered = [label for label in dict.fromkeys(found.labels) if label in here]
    return (*ordered, *sorted(here.difference(ordered)))


def _marked(items: Sequence[Item], facts: Facts, found: Found) -> tuple[dict[str, float], ...]:
    """Of each picture, how much of it each label marks."""
    return tuple(_shares(item.target, facts, found) if item.target else {} for item in items)


def _shares(target: Target, facts: Facts, found: Found) -> dict[str, float]:
    shares = dict.fromkeys(found.labels, 0.0)
    if target.mask:
        fact = facts.of_mask(target.mask)
        for value, pixels in fact.values.items():
            if place := masks.place(value, found.table):
                shares[found.labels[place - 1]] += pixels / max(1, fact.width * fact.height)
    for region in target.regions:
        if region.mask:
            fact = facts.of_mask(region.mask)
            shares[region.label] += 1 - fact.values.get(0, 0) / max(1, fact.width * fact.height)
        elif region.outline:
            shares[region.label] = min(1.0, shares[region.label] + outlines.share(region.outline))
    return shares


def _choices(found: Found, examples: Sequence[Example]) -> tuple[Choice, ...]:
    """The guess first, then what it could be instead."""
    return (Choice(roles=found.roles, examples=tuple(examples[:SHOWN])), *(Choice(roles=other) for other in found.others))


def _preview(example: Example, pixels: int) -> Preview:
    return Preview(row=example.row, media=example.media, cost=pixels, learned=pixels, unit="pixels")


def _quantiles(values: Sequence[int]) -> dict[str, int]:
    """p50, p90, p95, p99 and max: the smallest value that at least this share does not exceed."""
    ranked = sorted(values)
    return {**{f"p{rank}": ranked[max(0, -(-rank * len(ranked) // 100) - 1)] for rank in _RANKS}, "max": ranked[-1]}


def _content_id(pictures: Pictures) -> str:
    """Hash of what is learned from: the pictures' bytes, and what is said of them."""
    digest = hashlib.sha256()
    for example, fact in zip(pictures.examples, pictures.facts, strict=True):
        target = example.target.model_dump(mode="json") if example.target else None
        digest.update(
            json.dumps(
                [fact.crc, fact.bytes, example.label, target, example.held_out, *filter(None, [example.text])], ensure_ascii=False
            ).encode()
            + b"\n"
        )
    return digest.hexdigest()[:16]
