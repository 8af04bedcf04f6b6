"""Outlines as COCO writes them, to be learned as masks: polygons, and rows of pixels, packed or not."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from loralab.core.errors import Problem
from loralab.core.records import Region, Target
from loralab.core.words import count, plural
from loralab.datasets.images import outlines
from loralab.datasets.images.facts import Facts
from loralab.datasets.images.formats import coco
from loralab.datasets.images.found import Format, Found, Item, Roles
from loralab.datasets.images.masks import fits
from loralab.datasets.images.names import side_at_end, side_in
from loralab.datasets.images.place import Place

MOST_LOOKED = 400  # things of a list by which it is told whether it has outlines
OTHER_SHAPE = "Its outlines are for a picture of another shape."
MOST_LABELS = 254  # numbers that a mask has for classes


@dataclass
class _Said:
    source: str
    width: int
    height: int
    things: list[tuple[str, str]] = field(default_factory=list)  # label, outline


def claims(place: Place) -> bool:
    """A list names things of which at least half have an outline that is more than their box."""
    return any(_has_outlines(listing) for _, listing in coco.listings(place))


def read(place: Place, facts: Facts, roles: Roles) -> Found:
    """Pictures that a list names, with what is outlined in them; a listed one without any shows nothing."""
    found = Found("segment", [])
    facts.gather(place.pictures)
    said: dict[str, _Said] = {}
    bare = 0
    for source, listing in coco.listings(place, found):
        bare += _take(place, source, listing, said, found, facts)
    for name in place.pictures:
        fact, one = facts.of(name), said.get(name)
        reason = fact.reason or ("" if one else coco.UNLISTED)
        if one and not reason and not fits(one.width, one.height, fact.width, fact.height, fact.orientation):
            reason = OTHER_SHAPE
        if reason or one is None:
            found.lose(name, reason)
            continue
        regions = tuple(Region(label=label, outline=outline) for label, outline in one.things)
        found.items.append(Item(name, target=Target(regions=regions), side=side_at_end(one.source) or side_in(name)))
    here = {region.label for item in found.items if item.target for region in item.target.regions}
    found.labels = tuple(label for label in found.labels if label in here)[:MOST_LABELS]
    if bare:
        what = (
            f"{count(bare, 'thing')} {plural(bare, 'has', 'have')} no outline that can be used, and {plural(bare, 'is', 'are')} not marked."
        )
        found.notes.append(Problem(code="no_outline", what=what, todo="Have a look at these if you expected them.", severity="info"))
    return found


def _take(place: Place, source: str, listing: dict[str, Any], said: dict[str, _Said], found: Found, facts: Facts) -> int:
    """Take what a file says; gives how many things have no outline."""
    labels = coco.labels_of(listing)
    found.labels = tuple(dict.fromkeys((*found.labels, *labels.values())))
    pictures: dict[str, _Said] = {}
    for image in listing["images"]:
        if not isinstance(image, dict):
            continue
        wanted = str(image.get("file_name") or "")
        name = place.index.find(wanted, source)
        if name is None or name in said:
            if name is None:
                found.lose(wanted or source, "The list names it, and it is not there.")
            continue
        fact = facts.of(name)
        width, height = (int(coco.size_of(image.get(side))) for side in ("width", "height"))
        said[name] = pictures[coco.id_of(image.get("id"))] = _Said(source, width or fact.width, height or fact.height)
    bare = 0
    for annotation in listing["annotations"]:
        where = pictures.get(coco.id_of(annotation.get("image_id"))) if isinstance(annotation, dict) else None
        if where is None:
            bare += 1
            continue
        label = labels.get(coco.id_of(annotation.get("category_id")), "") if labels else coco.number_of(annotation)
        if not labels and label and label not in found.labels:
            found.labels = (*found.labels, label)
        outline = _outline(annotation, where)
        if label and outline:
            where.things.append((label, outline))
        else:
            bare += 1
    return bare


def _outline(annotation: dict[str, Any], where: _Said) -> str:
    given = annotation.get("segmentation")
    if isinstance(given, dict):
        packed = outlines.of_runs(given)
        same = packed.startswith(f"rows {where.width} {where.height};")
        return packed if same else ""
    return outlines.of_polygons(coco.polygons_of(annotation), where.width, where.height)


def _has_outlines(listing: dict[str, Any]) -> bool:
    things = [one for one in listing["annotations"] if isinstance(one, dict)]
    some = things[:: max(1, len(things) // MOST_LOOKED)]
    real = 0
    for one in some:
        polygons = coco.polygons_of(one)
        real += isinstance(one.get("segmentation"), dict) or (bool(polygons) and not outlines.is_box(polygons))
    return bool(some) and 2 * real >= len(some)


FORMAT = Format("COCO outlines", "segment", rank=11, claims=claims, read=read)
