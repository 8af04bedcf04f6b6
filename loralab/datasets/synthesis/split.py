"""Owns setting rows apart to test with, before anything is written from them.

Invariants: a whole source is on one side; where there are few sources, a whole stretch of one is; the same rows and seed give the same
split; synthetic rows are always to learn from.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Iterator, Sequence

from loralab.datasets.synthesis.rows import TEST, TRAIN, MadeRow

SHARE, FEWEST = 0.15, 8  # of the rows, and rows at least
MOST_SHARE = 0.4
_ENOUGH_SOURCES = 8
_STRETCHES = 12  # into which a source is cut where sources are few


def with_split(rows: Sequence[MadeRow], share: float = SHARE, seed: int = 0) -> list[MadeRow]:
    """The rows with their sides. Rows without a source, written by hand, are each a source of their own."""
    names = _groups(rows)
    groups: dict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        if row.origin != "synthetic":
            groups[names[place]].append(place)
    real = sum(map(len, groups.values()))
    target = min(real * MOST_SHARE, max(share * real, FEWEST))
    order = sorted(groups)
    random.Random(seed).shuffle(order)
    aside: set[int] = set()
    if real >= 2 * FEWEST:
        for name in order:
            if len(aside) < target and len(aside) + len(groups[name]) <= max(target * 1.5, MOST_SHARE * real * 0.5):
                aside |= set(groups[name])
    return [row.model_copy(update={"split": TEST if place in aside else TRAIN}) for place, row in enumerate(rows)]


def _groups(rows: Sequence[MadeRow]) -> list[str]:
    """The group of each row. Rows whose evidence overlaps are of one: a section and a sentence of it give each other away."""
    sources = {row.source for row in rows if row.source}
    stretches = {place: name for source in sources for place, name in _stretches(rows, source)} if len(sources) < _ENOUGH_SOURCES else {}
    return [stretches.get(place, row.source or f"by hand {row.id or place}") for place, row in enumerate(rows)]


def _stretches(rows: Sequence[MadeRow], source: str) -> Iterator[tuple[int, str]]:
    """Places of a source's rows with the stretch of the document that each belongs to."""
    places = sorted((place for place, row in enumerate(rows) if row.source == source), key=lambda place: rows[place].offset)
    end = 1 + max(rows[place].offset for place in places)
    begun, reached = 0, -1
    for place in places:
        row = rows[place]
        if row.offset >= reached:
            begun = row.offset
        reached = max(reached, row.offset + len(row.evidence))
        yield place, f"{source}/{begun * _STRETCHES // end}"
