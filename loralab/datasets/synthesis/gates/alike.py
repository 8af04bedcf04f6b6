"""The same words in another order, or with others between: the likeness of TF-IDF, where numbers and names are the same."""

from __future__ import annotations

from collections.abc import Sequence

from loralab.datasets.synthesis.gates import Gate, Yard, earlier_first
from loralab.datasets.synthesis.gates.grounded import same_things
from loralab.datasets.synthesis.rows import MadeRow
from loralab.datasets.synthesis.search.space import Space

ALIKE = 0.92  # cosine


def judge(rows: Sequence[MadeRow], yard: Yard) -> dict[int, str]:
    """The later of two rows whose questions and answers are both that much alike."""
    order = list(earlier_first(rows))
    asked, told = (Space([getattr(rows[at], part) for at in order]) for part in ("question", "answer"))
    found: dict[int, str] = {}
    for first, second in asked.alike(ALIKE):
        one, other = rows[order[first]], rows[order[second]]
        same = one.answer == other.answer or told.exact(first, second) >= ALIKE
        if order[first] not in found and same and same_things(one, other):
            found[order[second]] = f"It asks the same as “{one.question[:80]}”, in other words."
    return found


GATE = Gate("The same in other words", 60, judge)
