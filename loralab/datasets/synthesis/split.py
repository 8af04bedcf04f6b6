"""Owns setting rows apart to test with, before anything is written from them.

Invariants: a whole source is on one side; where there are few sources, a whole stretch of one is; the same rows and seed give the same
split; synthetic rows are always to learn from.
"""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence

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
    """The group of each row."""
    sources = {row.source for row in rows if row.source}
    ends = (
        {source: 1 + max(row.offset for row in rows if row.source == source) for source in sources}
        if len(sources) < _ENOUGH_SOURCES
        else {}
    )
    names: list[str] = []
    for place, row in enumerate(rows):
        if not row.source:
            names.append(f"by hand {row.id or place}")
        elif row.source in ends:
            names.append(f"{row.source}/{row.offset * _STRETCHES // ends[row.source]}")
        else:
            names.append(row.source)
    return names
