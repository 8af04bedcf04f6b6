"""Owns finding held-out examples that prove nothing, because one that is nearly the same was learned from.

Invariants: a long text is nearly the same when near_duplicates says so; a question only when every learned question that looks like it has
its very answer, so that a form all questions share (“What is the colour of ...?”) is no sign of anything.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from heapq import nlargest

from loralab.core.records import Example
from loralab.datasets.checks import answer
from loralab.datasets.dataset import fingerprint
from loralab.datasets.near_duplicates import near_pairs

COPY, ALIKE = 0.78, 0.7  # share of words two questions have in common: one in eight is another; one in each of two longer ones
SAME, LONG = 0.7, 12  # the same of two answers of so many words; a shorter answer is the same only if it is
FEWEST = 4  # words, or a question is too short to tell
MOST, LOOKED_AT = 20_000, 40  # learned examples; of them, those with most words in common
_WORD = re.compile(r"[^\W_]+")

Words = Counter[str]


@dataclass(frozen=True)
class Leaks:
    """Places among the held-out examples: `copies` of learned ones, and (`alike`, copies included) those that look much like some."""

    copies: frozenset[int] = frozenset()
    alike: frozenset[int] = frozenset()


def leaks(train: Sequence[Example], heldout: Sequence[Example]) -> Leaks:
    """Which held-out examples have a near copy among those learned from."""
    train = train[:MOST]
    texts = [fingerprint(example) for example in (*train, *heldout)]
    first: dict[str, int] = {}
    for place, text in enumerate(texts):
        first.setdefault(text, place)
    places, n = list(first.values()), len(train)
    pairs = [(places[one], places[other]) for one, other in near_pairs(list(first))]
    copies = {later - n for earlier, later in pairs if earlier < n <= later}
    copies |= {place - n for place in range(n, len(texts)) if first[texts[place]] < n}
    near = _alike(train, heldout)
    copies |= {place for place, likeness in near.items() if likeness >= COPY}
    return Leaks(frozenset(copies), frozenset(copies | near.keys()))


def _alike(train: Sequence[Example], heldout: Sequence[Example]) -> dict[int, float]:
    """Held-out places whose look-alikes among the learned questions all have the same answer, and how much alike the nearest is."""
    asked = [_question(example) for example in train]
    where: dict[str, list[int]] = defaultdict(list)
    for place, words in enumerate(asked):
        for word in words:
            where[word].append(place)
    found: dict[int, float] = {}
    for place, example in enumerate(heldout):
        words = _question(example)
        if words.total() < FEWEST:
            continue
        shared = Counter(other for word in words for other in where.get(word, ()))
        likeness = {other: _in_common(words, asked[other]) for other, _ in nlargest(LOOKED_AT, shared.items(), key=lambda item: item[1])}
        near = [other for other, common in likeness.items() if common >= ALIKE]
        if near and all(_same(example, train[other]) for other in near):
            found[place] = max(likeness[other] for other in near)
    return found


def _same(one: Example, other: Example) -> bool:
    first, second = _words(answer(one)), _words(answer(other))
    return first == second or (first.total() >= LONG and _in_common(first, second) >= SAME)


def _in_common(one: Words, other: Words) -> float:
    """Words both have over words either has (Jaccard index, each word as often as it stands there)."""
    return (one & other).total() / max(1, (one | other).total())


def _question(example: Example) -> Words:
    return _words(" ".join(message.content for message in example.messages[:-1] if message.role == "user"))


def _words(text: str) -> Words:
    """Words and numbers; runs of digits of a question count like words."""
    return Counter(_WORD.findall(text.casefold()))
