"""The same question with the same answer, case and punctuation aside, stands there already."""

from __future__ import annotations

from collections.abc import Sequence

from loralab.datasets.dataset import normalised
from loralab.datasets.synthesis.gates import Gate, Yard, earlier_first
from loralab.datasets.synthesis.rows import MadeRow


def judge(rows: Sequence[MadeRow], yard: Yard) -> dict[int, str]:
    """All but the first of each."""
    seen = {(normalised(row.question), normalised(row.answer)) for row in yard.heldout}
    found: dict[int, str] = {}
    for place in earlier_first(rows):
        key = (normalised(rows[place].question), normalised(rows[place].answer))
        if key in seen:
            found[place] = "The same question and answer stand there already."
        seen.add(key)
    return found


GATE = Gate("Said twice", 10, judge)
