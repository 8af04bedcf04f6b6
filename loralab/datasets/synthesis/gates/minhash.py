"""Nearly the same words as another row: one word changed, a sentence added. Runs of three words, MinHash (datasets/near_duplicates.py)."""

from __future__ import annotations

from collections.abc import Sequence

from loralab.datasets.dataset import normalised
from loralab.datasets.near_duplicates import near_pairs
from loralab.datasets.synthesis.gates import Gate, Yard, earlier_first
from loralab.datasets.synthesis.gates.grounded import same_things
from loralab.datasets.synthesis.rows import MadeRow

_SHARED = 0.5  # of the words of both answers


def judge(rows: Sequence[MadeRow], yard: Yard) -> dict[int, str]:
    """The later of two, unless they differ in a number or a name: then they say different things in the same words."""
    order = list(earlier_first(rows))
    found: dict[int, str] = {}
    for first, second in near_pairs([normalised(f"{rows[at].question}\n{rows[at].answer}") for at in order]):
        one, other = rows[order[first]], rows[order[second]]
        if order[first] not in found and same_things(one, other) and _answers_alike(one, other):
            found[order[second]] = f"It says nearly the same as “{one.question[:80]}”."
    return found


def _answers_alike(one: MadeRow, other: MadeRow) -> bool:
    """In a talk the answer to one row is the question of the next: those say the same words and are two rows."""
    first, second = (set(normalised(row.answer).split()) for row in (one, other))
    return len(first & second) >= _SHARED * len(first | second)


GATE = Gate("Nearly the same", 20, judge)
