"""Boxes and outlines as LabelMe writes them: a JSON file per picture, with shapes."""

from __future__ import annotations

import math
from pathlib import PurePosixPath
from typing import Any

from loralab.core import strict_json
from loralab.core.records import Target
from loralab.datasets.images.boxes import NO_CLASS, NO_NUMBERS, NO_PICTURE, Box, Frame, around, regions
from loralab.datasets.images.facts import Facts
from loralab.datasets.images.found import BoxCount, Format, Found, Item, Roles
from loralab.datasets.images.names import side_in
from loralab.datasets.images.notes import outlines_note, shows_nothing
from loralab.datasets.images.place import Place

NO_EXTENT = "a point or a line"
_NO_FILE = "It has no file with labels."
_DAMAGED = "Its file with labels is damaged."


def claims(place: Place) -> bool:
    """One of the first JSON files holds shapes."""
    return any(_is_labelme(place.read(name)) for name in place.ending(".json")[:20])


def read(place: Place, facts: Facts, roles: Roles) -> Found:
    """Pictures with the boxes of their JSON file; one without such a file is left out."""
    found = Found("detect", [], boxes=(boxes := BoxCount()))
    facts.gather(place.pictures)
    index = place.index
    said: dict[str, tuple[Frame, list[tuple[str, Box]]]] = {}
    damaged: set[str | None] = set()
    outlines = 0
    for name in place.ending(".json"):
        shapes = _shapes(place.read(name))
        if shapes is None:
            damaged.add(index.find(PurePosixPath(name).stem, name))
            continue
        frame, objects, wanted, bad, outlined = shapes
        for reason in bad:
            boxes.drop(reason)
        picture = index.find(PurePosixPath(name).stem, name) or index.find(wanted.replace("\\", "/"), name)
        if picture is None or picture in said:
            found.lose(name, "Its picture is not there." if picture is None else "Its picture has a file with labels already.")
            boxes.drop(NO_PICTURE, len(objects))
        else:
            said[picture] = (frame, objects)
            outlines += outlined
    for name in place.pictures:
        fact = facts.of(name)
        if fact.reason or name not in said:
            boxes.drop(NO_PICTURE, len(said[name][1]) if name in said else 0)
            found.lose(name, fact.reason or (_DAMAGED if name in damaged else _NO_FILE))
            continue
        frame, objects = said[name]
        found.items.append(Item(name, target=Target(regions=regions(objects, frame, fact, boxes)), side=side_in(name)))
    found.notes += [*outlines_note(outlines), *shows_nothing(found)]
    return found


def _is_labelme(raw: bytes) -> bool:
    return b'"shapes"' in raw and b'"points"' in raw


def _shapes(raw: bytes) -> tuple[Frame, list[tuple[str, Box]], str, list[str], int] | None:
    """Size, labelled boxes, the picture's name, why some shapes are no boxes, and how many were outlines; None where it is no such file."""
    try:
        said: Any = strict_json.load(raw)
    except ValueError:
        return None
    if not isinstance(said, dict) or not isinstance(said.get("shapes"), list):
        return None
    objects: list[tuple[str, Box]] = []
    bad: list[str] = []
    outlines = 0
    for shape in said["shapes"]:
        label, box, reason = _shape(shape)
        if box is None:
            bad.append(reason)
            continue
        objects.append((label, box))
        outlines += shape.get("shape_type") == "polygon"
    frame = Frame(_size(said.get("imageWidth")), _size(said.get("imageHeight")))
    return frame, objects, str(said.get("imagePath") or ""), bad, outlines


def _shape(shape: Any) -> tuple[str, Box | None, str]:
    """Label and box of a shape, or why it has none."""
    if not isinstance(shape, dict):
        return "", None, NO_NUMBERS
    label = " ".join(str(shape.get("label") or "").split())
    kind = shape.get("shape_type") or "polygon"
    if kind in ("point", "line", "linestrip", "points"):
        return label, None, NO_EXTENT
    try:
        points = [(float(x), float(y)) for x, y in shape["points"]]
    except (KeyError, TypeError, ValueError):
        return label, None, NO_NUMBERS
    if not label:
        return label, None, NO_CLASS
    if kind == "circle" and len(points) == 2:
        (x, y), radius = points[0], math.dist(points[0], points[1])
        return label, (x - radius, y - radius, x + radius, y + radius), ""
    box = around([value for point in points for value in point])
    return label, box, "" if box else NO_NUMBERS


def _size(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0


FORMAT = Format("LabelMe", "detect", rank=25, claims=claims, read=read)
