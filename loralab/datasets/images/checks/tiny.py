"""Things that are tiny in their pictures: they vanish when a picture is made as small as the model takes it."""

from __future__ import annotations

import math
from collections import Counter

from loralab.core.errors import Problem
from loralab.core.words import count, plural
from loralab.datasets.images.pictures import Pictures

TINY = 0.015  # of the picture's side: 6 of 416 pixels
MARKED = 0.001  # of the picture's area
MANY = 0.05  # share of all things from which on it is a warning


def check(pictures: Pictures) -> list[Problem]:
    """How many boxes or marked areas are tiny, and of which class most are; and how many masks mark nothing."""
    return _boxes(pictures) if pictures.task == "detect" else [*_areas(pictures), *_empty(pictures)]


def _boxes(pictures: Pictures) -> list[Problem]:
    tiny: Counter[str] = Counter()
    total = 0
    for example, fact in zip(pictures.examples, pictures.facts, strict=True):
        for region in example.target.regions if example.target else ():
            if region.box is None:
                continue
            left, top, right, bottom = region.box
            total += 1
            tiny[region.label] += min((right - left) / max(1, fact.width), (bottom - top) / max(1, fact.height)) < TINY
    return _told(+tiny, total, "box", "boxes")


def _areas(pictures: Pictures) -> list[Problem]:
    shares = [(label, share) for one in pictures.marked for label, share in one.items() if share]
    return _told(Counter(label for label, share in shares if share < MARKED), len(shares), "marked area", "marked areas")


def _empty(pictures: Pictures) -> list[Problem]:
    empty = sum(not any(one.values()) for one in pictures.marked)
    if not empty:
        return []
    what = f"The masks of {count(empty, 'picture')} mark nothing: {plural(empty, 'it counts', 'they count')} as showing nothing."
    most = 2 * empty > len(pictures.examples)
    todo = "Check whether these masks are the right ones." if most else "Nothing has to be done where that is meant."
    return [Problem(code="empty_masks", what=what, todo=todo, severity="warning" if most else "info")]


def _told(tiny: Counter[str], total: int, one: str, many: str) -> list[Problem]:
    n = tiny.total()
    if not n:
        return []
    label = tiny.most_common(1)[0][0]
    side = math.ceil(1 / TINY)
    small = f"smaller than a {side}th of the picture's side" if one == "box" else "smaller than a thousandth of the picture"
    what = f"{n:,} of {count(total, one, many)} {plural(n, 'is', 'are')} {small}, most of them “{label}”."
    todo = "They may vanish when pictures are made smaller for learning: choose a larger picture size, or cut the pictures into pieces."
    return [Problem(code="tiny_things", what=what, todo=todo, severity="warning" if n >= MANY * total else "info")]


CHECK = check
