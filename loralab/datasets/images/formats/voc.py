"""Boxes as Pascal VOC writes them: an XML file per picture, lists of names in ImageSets/Main."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import PurePosixPath

from loralab.core.records import Target
from loralab.datasets.images.boxes import NO_CLASS, NO_NUMBERS, NO_PICTURE, Box, Frame, regions
from loralab.datasets.images.facts import Facts
from loralab.datasets.images.found import BoxCount, Format, Found, Item, Roles
from loralab.datasets.images.names import Index, side_in
from loralab.datasets.images.notes import shows_nothing
from loralab.datasets.images.place import Place

_MARK = re.compile(rb"<annotation[\s>]")
_DOCTYPE = re.compile(rb"<!(?:DOCTYPE|ENTITY)", re.IGNORECASE)  # a file of labels has none; one made to exhaust memory does
_NO_XML = "It has no file with labels."
_DAMAGED = "Its file with labels is damaged."


def claims(place: Place) -> bool:
    """One of the first XML files is an annotation."""
    return any(_MARK.search(place.read(name)[:4096]) for name in place.ending(".xml")[:5])


def read(place: Place, facts: Facts, roles: Roles) -> Found:
    """Pictures with the boxes of their XML file. A picture without one is left out; one whose file has no object shows nothing."""
    found = Found("detect", [], boxes=(boxes := BoxCount()))
    facts.gather(place.pictures)
    said: dict[str, tuple[Frame, list[tuple[str, Box]]]] = {}
    damaged: set[str | None] = set()
    for name in place.ending(".xml"):
        frame, objects, wanted, bad = _annotation(place.read(name))
        if frame is None:
            damaged.add(_picture(name, "", place.index))
            continue
        for reason in bad:
            boxes.drop(reason)
        picture = _picture(name, wanted, place.index)
        if picture is None:
            boxes.drop(NO_PICTURE, len(objects))
            found.lose(name, "Its picture is not there.")
        elif picture in said:
            said[picture][1].extend(objects)
        else:
            said[picture] = (frame, objects)
    for name in place.pictures:
        fact = facts.of(name)
        if fact.reason or name not in said:
            boxes.drop(NO_PICTURE, len(said[name][1])) if name in said else None
            found.lose(name, fact.reason or (_DAMAGED if name in damaged else _NO_XML))
            continue
        frame, objects = said[name]
        target = Target(regions=regions(objects, frame, fact, boxes))
        found.items.append(Item(name, target=target, side=side_in(name)))
    found.notes += shows_nothing(found)
    return found


def _picture(name: str, wanted: str, index: Index) -> str | None:
    """The picture an XML file is about: by its own name first, because pictures are renamed and the text inside is not."""
    return index.find(PurePosixPath(name).stem, name) or index.find(PurePosixPath(wanted.replace("\\", "/")).name, name)


def _annotation(raw: bytes) -> tuple[Frame | None, list[tuple[str, Box]], str, list[str]]:
    """Size, labelled boxes, the picture's name as it stands there, and why some boxes are no boxes; no size where it is no annotation."""
    if _DOCTYPE.search(raw[:4096]):
        return None, [], "", []
    try:
        root = ET.fromstring(raw)  # noqa: S314 - without a DOCTYPE nothing can be expanded
    except (ET.ParseError, ValueError, LookupError):
        return None, [], "", []
    if root.tag != "annotation":
        return None, [], "", []
    frame = Frame(_number(root.findtext("size/width")) or 0, _number(root.findtext("size/height")) or 0)
    objects: list[tuple[str, Box]] = []
    bad: list[str] = []
    for one in root.iter("object"):
        label = " ".join((one.findtext("name") or "").split())
        sides = [_number(one.findtext(f"bndbox/{side}")) for side in ("xmin", "ymin", "xmax", "ymax")]
        numbers = [value for value in sides if value is not None]
        if len(numbers) < 4:
            bad.append(NO_NUMBERS)
        elif not label:
            bad.append(NO_CLASS)
        else:
            objects.append((label, (numbers[0], numbers[1], numbers[2], numbers[3])))
    return frame, objects, root.findtext("filename") or "", bad


def _number(text: str | None) -> float | None:
    try:
        return float(text) if text else None
    except ValueError:
        return None


FORMAT = Format("Pascal VOC", "detect", rank=20, claims=claims, read=read)
