"""Outlines as LabelMe writes them, to be learned as masks: polygons, circles, rectangles, and masks within a rectangle."""

from __future__ import annotations

import base64
import binascii
import io
import math
from pathlib import PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from loralab.core import strict_json
from loralab.core.errors import Problem
from loralab.core.records import Region, Target
from loralab.core.words import count, plural
from loralab.datasets.images import outlines
from loralab.datasets.images.facts import Facts
from loralab.datasets.images.formats.coco_outlines import MOST_LABELS, OTHER_SHAPE
from loralab.datasets.images.found import Format, Found, Item, Roles
from loralab.datasets.images.masks import fits
from loralab.datasets.images.names import side_in
from loralab.datasets.images.opened import MOST_PIXELS
from loralab.datasets.images.place import Place

CORNERS = 48  # of what stands for a circle
_LOOKED = 20  # files by which it is told whether there are outlines
_NO_FILE = "It has no file with labels."
_FORMATS = ("PNG",)

Said = dict[str, Any]


def claims(place: Place) -> bool:
    """At least half of the shapes of the first files are outlines."""
    shapes = [shape for name in place.ending(".json")[:_LOOKED] if (said := _said(place.read(name))) for shape in said["shapes"]]
    real = sum(isinstance(shape, dict) and _kind(shape) in ("polygon", "mask", "circle") for shape in shapes)
    return bool(shapes) and 2 * real >= len(shapes)


def read(place: Place, facts: Facts, roles: Roles) -> Found:
    """Pictures with the outlines of their JSON file; one without such a file is left out."""
    found = Found("segment", [])
    facts.gather(place.pictures)
    known: dict[str, Said] = {}
    for name in place.ending(".json"):
        said = _said(place.read(name))
        picture = said and (place.index.find(PurePosixPath(name).stem, name) or place.index.find(str(said.get("imagePath") or ""), name))
        if said is None or picture is None or picture in known:
            found.lose(name, "Its file with labels is damaged." if said is None else "Its picture is not there, or has labels already.")
        else:
            known[str(picture)] = said
    bare = 0
    for name in place.pictures:
        fact, said = facts.of(name), known.get(name)
        if fact.reason or said is None:
            found.lose(name, fact.reason or _NO_FILE)
            continue
        width, height = int(_size(said.get("imageWidth")) or fact.width), int(_size(said.get("imageHeight")) or fact.height)
        if not fits(width, height, fact.width, fact.height, fact.orientation):
            found.lose(name, OTHER_SHAPE)
            continue
        things = [(_label(shape), _outline(shape, width, height)) for shape in said["shapes"]]
        regions = tuple(Region(label=label, outline=outline) for label, outline in things if label and outline)
        bare += len(things) - len(regions)
        found.items.append(Item(name, target=Target(regions=regions), side=side_in(name)))
    found.labels = tuple(sorted({region.label for item in found.items if item.target for region in item.target.regions}))[:MOST_LABELS]
    if bare:
        what = f"{count(bare, 'shape')} {plural(bare, 'has', 'have')} no area or no name, and {plural(bare, 'is', 'are')} not marked."
        found.notes.append(Problem(code="no_outline", what=what, todo="Have a look at these if you expected them.", severity="info"))
    return found


def _said(raw: bytes) -> Said | None:
    """What a file says; None where it is no such file."""
    if b'"shapes"' not in raw or b'"points"' not in raw:
        return None
    try:
        said: Any = strict_json.load(raw)
    except ValueError:
        return None
    return said if isinstance(said, dict) and isinstance(said.get("shapes"), list) else None


def _kind(shape: Said) -> str:
    return str(shape.get("shape_type") or "polygon")


def _label(shape: Any) -> str:
    return " ".join(str(shape.get("label") or "").split()) if isinstance(shape, dict) else ""


def _size(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else 0.0


def _outline(shape: Any, width: int, height: int) -> str:
    """The outline of a shape, packed; empty where it has none."""
    try:
        points = [(float(x), float(y)) for x, y in shape["points"]]
    except (KeyError, TypeError, ValueError):
        return ""
    match _kind(shape), points:
        case "polygon", _:
            polygon = points
        case "rectangle", [(left, top), (right, bottom)]:
            polygon = [(left, top), (right, top), (right, bottom), (left, bottom)]
        case "circle", [(x, y), edge]:
            radius = math.dist((x, y), edge)
            turns = [2 * math.pi * k / CORNERS for k in range(CORNERS)]
            polygon = [(x + radius * math.cos(turn), y + radius * math.sin(turn)) for turn in turns]
        case "mask", [(left, top), *_]:
            return _laid(shape.get("mask"), round(left), round(top), width, height)
        case _:
            return ""
    return outlines.of_polygons([[value for point in polygon for value in point]], width, height)


def _laid(packed: Any, left: int, top: int, width: int, height: int) -> str:
    """A mask that lies at a place of the picture: a PNG in base64."""
    if width * height > MOST_PIXELS or min(width, height) < 1:
        return ""
    try:
        with Image.open(io.BytesIO(base64.b64decode(str(packed), validate=True)), formats=_FORMATS) as image:
            if image.width > width + 1 or image.height > height + 1:
                return ""
            own = np.asarray(image.convert("L")) > 0
    except (binascii.Error, OSError, ValueError, SyntaxError):
        return ""
    whole = np.zeros((height, width), np.bool_)
    left, top = max(0, left), max(0, top)
    part = whole[top : top + own.shape[0], left : left + own.shape[1]]
    part |= own[: part.shape[0], : part.shape[1]]
    flat = whole.T.ravel()
    edges = np.flatnonzero(np.diff(flat.astype(np.int8))) + 1
    runs = np.diff([0, *edges.tolist(), flat.size]).tolist()
    return outlines.of_runs({"size": [height, width], "counts": [0, *runs] if flat[0] else runs})


FORMAT = Format("LabelMe outlines", "segment", rank=24, claims=claims, read=read, settles=("detect",))
