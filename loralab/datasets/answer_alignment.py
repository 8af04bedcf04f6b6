"""Owns whether the answers of a file belong to their questions, told by rare words alone: no model is asked.

A word that stands in one single question and in one single answer of a file should be in the answer to that question: names, numbers,
terms. Where such words nearly never meet, questions and answers were mixed up; where they meet a fixed number of rows further on, a
column has slipped. Where there are too few such words (single words as answers, jokes) nothing is said.

Invariant: only rows in file order are looked at, at most LOOK of them, so that a slip can be seen and the time is bounded.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from loralab.core.records import Example

LOOK = 5_000  # rows
_WORD = re.compile(r"(?=\d*[^\W\d_])[^\W_]{4,}|\d{6,}")  # short numbers meet by chance: sums, steps, years


class Belonging(NamedTuple):
    """Questions and answers tied by such words; how many of these ties are between a question and its own answer; the commonest slip."""

    links: int = 0
    own: int = 0
    slip: int = 0  # rows further on; 0: none
    slipped: int = 0  # links at that distance


def conversations(examples: Sequence[Example]) -> list[Example]:
    """Examples whose answer may have slipped: a class is no answer of its own to anything."""
    return [example for example in examples if len(example.messages) > 1 and example.label is None]


def belonging(examples: Sequence[Example]) -> Belonging:
    """Count over the first LOOK conversations of `examples`, which stand in file order."""
    talks = conversations(examples)[:LOOK]
    asked: dict[str, int] = {}
    answered: dict[str, int] = {}
    for row, example in enumerate(talks):
        _mark(asked, row, example.messages[-2].content)
        _mark(answered, row, example.messages[-1].content)
    pairs = {(row, answered[word]) for word, row in asked.items() if row >= 0 and answered.get(word, -1) >= 0}
    distances = Counter(answer - question for question, answer in pairs)
    own = distances.pop(0, 0)
    slip, slipped = max(distances.items(), key=lambda item: item[1], default=(0, 0))
    return Belonging(own + distances.total(), own, slip, slipped)


def _mark(seen: dict[str, int], row: int, text: str) -> None:
    """Note where a word stands; -1 once it stands in a second row."""
    for word in set(_WORD.findall(text.casefold())):
        seen[word] = row if seen.get(word, row) == row else -1
