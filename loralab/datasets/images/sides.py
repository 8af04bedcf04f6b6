"""Owns lists of pictures to learn from, to watch and to test with: train.txt, val.txt and test.txt, as in ImageSets of Pascal VOC.

Invariant: a list is one because at least half of its lines name pictures that are there.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import PurePosixPath

from loralab.core.errors import Problem
from loralab.datasets.images.found import Found
from loralab.datasets.images.names import side_of
from loralab.datasets.images.notes import listed_missing
from loralab.datasets.images.place import Place

_AFTER = ("list", "files", "images", "set", "ids", "names")


def with_listed(place: Place, found: Found) -> None:
    """Give pictures the side that a list says, where one is there; what lists name and is not there is noted."""
    sides, notes = _listed(place)
    if sides:
        found.items = [replace(one, side=sides.get(one.name, one.side)) for one in found.items]
        found.notes += notes


def _listed(place: Place) -> tuple[dict[str, str], list[Problem]]:
    sides: dict[str, str] = {}
    notes: list[Problem] = []
    for name in place.ending(".txt"):
        if not (side := _side(name)):
            continue
        lines = place.read(name).decode("utf-8-sig", errors="replace").splitlines()
        named = {line.strip(): _picture(line, name, place) for line in lines if line.strip()}
        if 2 * sum(picture is not None for picture in named.values()) < max(1, len(named)):
            continue
        sides |= {picture: side for picture in named.values() if picture}
        notes += listed_missing([line for line, picture in named.items() if picture is None], name)
    return sides, notes


def _side(name: str) -> str:
    """What a list is for, by its own name alone: cat_train.txt of Pascal VOC is of one class, and says nothing about sides."""
    words = PurePosixPath(name).stem.replace("-", "_").split("_")
    return side_of(words[0]) if len(words) == 1 or words[1].casefold() in _AFTER else ""


def _picture(line: str, near: str, place: Place) -> str | None:
    return place.index.find(line.strip(), near) or place.index.find(line.split(maxsplit=1)[0], near)
