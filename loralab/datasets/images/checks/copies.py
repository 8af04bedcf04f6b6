"""The same picture more than once: it counts double, it must not be learned and tested with, and it must not have two classes."""

from __future__ import annotations

from collections import defaultdict

from loralab.core.errors import Problem
from loralab.core.words import count, plural
from loralab.datasets.images.checks import where
from loralab.datasets.images.names import HELDOUT
from loralab.datasets.images.pictures import Pictures

MANY = 0.05  # share of all from which on it is a warning


def check(pictures: Pictures) -> list[Problem]:
    """Near copies, those on two sides, and those with two classes."""
    if not pictures.copies.pairs:
        return []
    same: defaultdict[int, list[int]] = defaultdict(list)
    for place, number in enumerate(pictures.copies.same.tolist()):
        same[number].append(place)
    several = [places for places in same.values() if len(places) > 1]
    return [*_two_classes(pictures, several), *_two_sides(pictures, several), *_any(pictures)]


def _any(pictures: Pictures) -> list[Problem]:
    again = [later for _, later in pictures.copies.pairs]
    of = count(len(pictures.examples), "picture")
    what = f"{len(again):,} of {of} {plural(len(again), 'is a copy', 'are copies')} of another one, or nearly: {where(pictures, again)}."
    todo = "They are kept, and never used for learning and testing at once. Remove them if they are there by mistake."
    severity = "warning" if len(again) >= MANY * len(pictures.examples) else "info"
    return [Problem(code="near_copies", what=what, todo=todo, severity=severity)]


def _two_sides(pictures: Pictures, several: list[list[int]]) -> list[Problem]:
    sides = pictures.sides
    crossing = [
        place
        for places in several
        if any(sides[place] not in ("", HELDOUT) for place in places)
        for place in places
        if sides[place] == HELDOUT
    ]
    if not crossing:
        return []
    n = len(crossing)
    what = f"{count(n, 'picture')} to test with {plural(n, 'is', 'are')} nearly the same as one to learn from: {where(pictures, crossing)}."
    todo = "What is tested with is not learned from here: the other one is put aside. Measured elsewhere, these parts look too good."
    return [Problem(code="copies_across", what=what, todo=todo, severity="warning")]


def _two_classes(pictures: Pictures, several: list[list[int]]) -> list[Problem]:
    clashing = [places for places in several if len({pictures.examples[place].label for place in places}) > 1]
    if not clashing:
        return []
    one = pictures.examples[clashing[0][0]]
    other = next(pictures.examples[place] for place in clashing[0] if pictures.examples[place].label != one.label)
    n = len(clashing)
    what = (
        f"{count(n, 'picture')} {plural(n, 'is', 'are')} there more than once with different classes, for instance {one.source} "
        f"(“{one.label}”) and {other.source} (“{other.label}”)."
    )
    return [Problem(code="copies_two_classes", what=what, todo="Only one of them can be right: remove the others.", severity="warning")]


CHECK = check
