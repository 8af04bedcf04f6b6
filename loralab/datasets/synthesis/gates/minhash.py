"""Nearly the same words as another row: one word changed, a sentence added. Runs of three words, MinHash (datasets/near_duplicates.py)."""

from __future__ import annotations

from collections.abc import Sequence

from loralab.datasets.dataset import normalised
from loralab.datasets.near_duplicates import near_pairs
from loralab.datasets.synthesis.gates import Gate, Yard, earlier_first
from loralab.datasets.synthesis.gates.grounded import same_things
from loralab.datasets.synthesis.rows import MadeRow


def judge(rows: Sequence[MadeRow], yard: Yard) -> dict[int, str]:
    """The later of two, unless they differ in a number or a name: then they say different things in the same words."""
    order = list(earlier_first(rows))
    found: dict[int, str] = {}
    for first, second in near_pairs([normalised(f"{rows[at].question}\n{rows[at].answer}") for at in order]):
        one, other = rows[order[first]], rows[order[second]]
        if order[first] not in found and same_things(one, other):
            found[order[second]] = f"It says nearly the same as “{one.question[:80]}”."
    return found


GATE = Gate("Nearly the same", 20, judge)
