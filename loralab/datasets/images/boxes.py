"""Owns boxes as others wrote them: mended where that is plain, counted where they are not kept.

Invariant: a kept box lies in its picture and has an area; every box that was read is kept or counted with a reason.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from loralab.core.records import Region
from loralab.datasets.images.facts import Fact
from loralab.datasets.images.found import BoxCount
from loralab.datasets.images.opened import TURNS

HAIR = 1.0  # pixels beyond the picture that come of rounding
NO_AREA = "no area"
OUTSIDE = "outside of its picture"
NO_NUMBERS = "corners that are no numbers"
TWICE = "there twice"
NO_CLASS = "a class that is in no list"
NO_PICTURE = "a picture that is not there"

Box = tuple[float, float, float, float]  # left, top, right, bottom


@dataclass(frozen=True)
class Frame:
    """The size a picture's boxes were said for; zero where nothing says it."""

    width: float = 0
    height: float = 0


def regions(said: Sequence[tuple[str, Box]], frame: Frame, fact: Fact, count: BoxCount) -> tuple[Region, ...]:
    """Boxes in pixels of a picture as it is seen. `said`: label and box, in pixels of `frame`; what becomes of each goes to `count`."""
    kept: list[Region] = []
    seen: set[tuple[str, Box]] = set()
    for label, box in said:
        count.read += 1
        found, reason = _mended(box, frame, fact, count)
        if found and (label, found) in seen:
            reason = TWICE
        if found is None or reason:
            count.dropped[reason] += 1
            continue
        seen.add((label, found))
        count.kept += 1
        kept.append(Region(label=label, box=found))
    return tuple(kept)


def _mended(box: Box, frame: Frame, fact: Fact, count: BoxCount) -> tuple[Box | None, str]:
    """The box as it is kept, or why it is not."""
    if not all(map(math.isfinite, box)):
        return None, NO_NUMBERS
    left, top, right, bottom = box
    exchanged = right < left or bottom < top
    left, right, top, bottom = min(left, right), max(left, right), min(top, bottom), max(top, bottom)
    if right <= left or bottom <= top:
        return None, NO_AREA
    (left, top, right, bottom), scaled = _on_picture((left, top, right, bottom), frame, fact)
    inside = (max(0.0, left), max(0.0, top), min(float(fact.width), right), min(float(fact.height), bottom))
    if inside[2] <= inside[0] or inside[3] <= inside[1]:
        return None, OUTSIDE
    beyond = max(inside[0] - left, inside[1] - top, right - inside[2], bottom - inside[3])
    count.clipped += beyond > HAIR
    count.turned += exchanged
    count.scaled += scaled
    a, b, c, d = (round(value, 3) for value in inside)
    return ((a, b, c, d), "") if c > a and d > b else (None, NO_AREA)


def _on_picture(box: Box, frame: Frame, fact: Fact) -> tuple[Box, bool]:
    """The box on the picture as it is seen, and whether its numbers had to be scaled.

    Boxes that were said for the picture as it lies in its file, where EXIF turns it, are turned with it.
    """
    said, seen, stored = (frame.width, frame.height), (fact.width, fact.height), fact.stored
    if min(said) <= 0 or said == seen:
        return box, False
    if said == stored:
        return _turned(box, fact), False
    if fact.orientation >= 5 and _alike(said, stored) and not _alike(said, seen):
        across, down = stored[0] / said[0], stored[1] / said[1]
        return _turned((box[0] * across, box[1] * down, box[2] * across, box[3] * down), fact), True
    if not _alike(said, seen):  # the size that is said is not this picture's; its boxes may be
        return box, False
    across, down = seen[0] / said[0], seen[1] / said[1]
    return (box[0] * across, box[1] * down, box[2] * across, box[3] * down), True


def _alike(one: tuple[float, float], other: tuple[float, float]) -> bool:
    """Whether two sizes have the same shape, within two hundredths."""
    return abs(one[0] * other[1] / max(1e-9, one[1] * other[0]) - 1) < 0.02


def _turned(box: Box, fact: Fact) -> Box:
    """A box on the stored picture, turned as EXIF turns the picture."""
    corners = [_point(x, y, fact) for x, y in ((box[0], box[1]), (box[2], box[3]))]
    (a, b), (c, d) = corners
    return min(a, c), min(b, d), max(a, c), max(b, d)


def _point(x: float, y: float, fact: Fact) -> tuple[float, float]:
    width, height = fact.stored
    exchanged, downwards, across = TURNS.get(fact.orientation, TURNS[1])
    if exchanged:
        x, y, width, height = y, x, height, width
    return (width - x if across else x), (height - y if downwards else y)


def around(values: Sequence[float]) -> Box | None:
    """The box around points x, y, x, y ...; None without two points, or where they are no numbers."""
    if len(values) < 4 or not all(map(math.isfinite, values)):
        return None
    return min(values[::2]), min(values[1::2]), max(values[::2]), max(values[1::2])
