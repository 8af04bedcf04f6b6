"""Rows to learn from that give away a held-out one: the same question, or a run of eight words in common (13 in long answers)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from loralab.datasets.dataset import normalised
from loralab.datasets.synthesis.gates import Gate, Yard
from loralab.datasets.synthesis.rows import TEST, MadeRow

RUN, LONG_RUN, LONG = 8, 13, 120  # words; an answer of so many is long
_FORM = 0.03  # of the rows, five at least: a run that stands in so many belongs to their form


def judge(rows: Sequence[MadeRow], yard: Yard) -> dict[int, str]:
    """Rows of the learning side."""
    held = [*yard.heldout, *(row for row in rows if row.split == TEST)]
    if not held:
        return {}
    common = Counter(run for row in rows for run in set(_runs(row, RUN)))
    most = max(5, _FORM * len(rows))
    questions = {normalised(row.question) for row in held}
    of_held = {size: {run for row in held for run in _runs(row, size) if common[run[:RUN]] <= most} for size in (RUN, LONG_RUN)}
    found: dict[int, str] = {}
    for place, row in enumerate(rows):
        if row.split == TEST:
            continue
        size = LONG_RUN if len(row.answer.split()) > LONG else RUN
        if normalised(row.question) in questions:
            found[place] = "A held-out row asks this very question."
        elif any(run in of_held[size] for run in _runs(row, size)):
            found[place] = f"It has {size} words in a row in common with a held-out row."
    return found


def _runs(row: MadeRow, size: int) -> Iterator[tuple[str, ...]]:
    for text in (row.question, row.answer):
        said = normalised(text).split()
        for at in range(len(said) - size + 1):
            yield tuple(said[at : at + size])


GATE = Gate("Gives a held-out row away", 70, judge)
