"""Owns outlines of things: polygons and rows of pixels as others write them, packed into a line of text, and back into a mask.

Invariants: a packed outline says for which size of the picture it is; unpacking one never needs more than that many pixels, whatever stands
in it; one that makes no sense is none.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from pycocotools import mask as coco

from loralab.datasets.images.opened import MOST_PIXELS, Pixels

_ROWS = "rows"  # marks an outline that is runs of pixels; else it is polygons


def of_polygons(polygons: Sequence[Sequence[float]], width: int, height: int) -> str:
    """Pack polygons, each x, y, x, y ... in pixels of a picture of this size; empty where none has an area to speak of."""
    whole = [polygon for polygon in polygons if len(polygon) >= 6 and len(polygon) % 2 == 0 and all(map(math.isfinite, polygon))]
    if not whole or not _possible(width, height):
        return ""
    return ";".join([f"{width} {height}", *(" ".join(f"{value:.2f}".rstrip("0").rstrip(".") for value in polygon) for polygon in whole)])


def of_runs(said: Any) -> str:
    """Pack runs as COCO writes them: size [height, width] and counts, numbers or a text; empty where they do not add up."""
    try:
        height, width = (int(value) for value in said["size"])
        counts = said["counts"]
        runs = _unpacked(counts) if isinstance(counts, str) else [int(value) for value in counts]
    except (KeyError, TypeError, ValueError):
        return ""
    if not _possible(width, height) or any(run < 0 for run in runs) or sum(runs) != width * height:
        return ""
    return f"{_ROWS} {width} {height};{' '.join(map(str, runs))}"


def drawn(outline: str) -> Pixels:
    """A packed outline as a mask [height, width] of 0 and 1."""
    width, height, runs = _runs(outline)
    columns = np.repeat(np.arange(len(runs)) % 2, runs).astype(np.uint8)
    return np.ascontiguousarray(columns.reshape(width, height).T)


def share(outline: str) -> float:
    """How much of its picture an outline encloses."""
    width, height, runs = _runs(outline)
    return sum(runs[1::2]) / (width * height)


def _runs(outline: str) -> tuple[int, int, list[int]]:
    """Width, height, and how many pixels in turn are outside and inside, column by column."""
    head, _, rest = outline.partition(";")
    width, height = (int(value) for value in head.split()[-2:])
    if head.startswith(_ROWS):
        return width, height, [int(value) for value in rest.split()]
    polygons: Any = [[float(value) for value in polygon.split()] for polygon in rest.split(";")]
    counts: Any = coco.merge(coco.frPyObjects(polygons, height, width))["counts"]
    return width, height, _unpacked(counts.decode("ascii"))


def is_box(polygons: Sequence[Sequence[float]]) -> bool:
    """Whether polygons are no more than an upright rectangle, as programs write boxes that nobody outlined."""
    if len(polygons) != 1 or len(polygons[0]) not in (8, 10):
        return False
    across, down = set(polygons[0][::2]), set(polygons[0][1::2])
    return len(across) == len(down) == 2


def _possible(width: int, height: int) -> bool:
    return width > 0 and height > 0 and width * height <= MOST_PIXELS


def _unpacked(text: str) -> list[int]:
    """Runs from COCO's text: six bits a letter from “0” on, five of them a number's, the sixth says that it goes on; from the third run on
    the difference to the one before the last.
    """
    runs: list[int] = []
    at = 0
    while at < len(text):
        value, shift, more = 0, 0, True
        while more:
            if at >= len(text) or shift > 60:
                raise ValueError(text[:20])
            six = ord(text[at]) - 48
            if not 0 <= six < 64:
                raise ValueError(text[:20])
            value |= (six & 0x1F) << shift
            more, at, shift = bool(six & 0x20), at + 1, shift + 5
            if not more and six & 0x10:
                value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
    return runs
