"""A model that reads the passage must come to the same answer: else the answer does not follow from it. Needs a language model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from loralab.datasets.synthesis.gates import Gate, Yard, passage_of
from loralab.datasets.synthesis.rows import MadeRow
from loralab.datasets.synthesis.search.space import words

AGREE = 0.6  # F1 of the words


def judge(rows: Sequence[MadeRow], yard: Yard) -> dict[int, str]:
    """Written rows only: what is quoted from a document follows from it."""
    found: dict[int, str] = {}
    for place, row in enumerate(rows):
        passage = passage_of(row, yard)
        if row.origin != "synthetic" or not passage or yard.ask is None or yard.stop():
            continue
        said = yard.ask(f"Read this text:\n\n{passage}\n\nAnswer in a few words, only from the text: {row.question}\nAnswer:")
        if f1(said, row.answer) < AGREE and not contains(said, row.answer):
            found[place] = f"Asked again with its passage, the model says “{said.strip()[:80]}”."
    return found


def f1(said: str, meant: str) -> float:
    """F1 of the words of two answers, each word as often as it stands there."""
    one, other = Counter(words(said)), Counter(words(meant))
    shared = (one & other).total()
    return 2 * shared / max(1, one.total() + other.total())


def contains(said: str, meant: str) -> bool:
    """Whether a longer answer holds the whole of the shorter one."""
    one, other = set(words(said)), set(words(meant))
    return bool(one and other) and (one <= other or other <= one)


GATE = Gate("Follows from the passage", 90, judge, asks=True)
