"""Owns finding held-out examples that prove nothing, because one that is nearly the same was learned from.

Invariants: a long text is nearly the same when near_duplicates says so; a question only when every learned question that looks like it
has its very answer, so that a form all questions share (“What is the colour of ...?”) is no sign of anything; and where both question and
long answer were made from the pattern of a learned one, however few patterns fill the file: what is the same in both was learned.
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
PATTERN = 0.7  # share of the words of two texts that both have, from which on they are of one pattern: six in twenty may be others
FEWEST = 4  # words, or a question is too short to tell
MOST, LOOKED_AT = 20_000, 40  # learned examples; of them, those with most words in common
OF_A_WORD = 400  # learned examples looked at for one word, evenly spread: of a pattern that fills the file these are enough
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
    copies |= set(patterned(train, heldout))
    near = _alike(train, heldout)
    copies |= {place for place, likeness in near.items() if likeness >= COPY}
    return Leaks(frozenset(copies), frozenset(copies | near.keys()))


def _alike(train: Sequence[Example], heldout: Sequence[Example]) -> dict[int, float]:
    """Held-out places whose look-alikes among the learned questions all have the same answer, and how much alike the nearest is."""
    asked = [_question(example) for example in train]
    where = _where(asked)
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


def patterned(train: Sequence[Example], heldout: Sequence[Example]) -> list[int]:
    """Held-out places whose question and long answer (or whose long text) were made from the pattern of one that is learned from."""
    texts = [_texts(example) for example in train]
    where = _where([question + said for question, said in texts])
    found: list[int] = []
    for place, example in enumerate(heldout):
        question, said = _texts(example)
        if said.total() < LONG:
            continue
        shared = Counter(other for word in question + said for other in where.get(word, ()))
        near = (texts[other] for other, _ in nlargest(LOOKED_AT, shared.items(), key=lambda item: item[1]))
        if any(_one_pattern(said, other_said) and _one_pattern(question, other) for other, other_said in near):
            found.append(place)
    return found


def _one_pattern(one: Words, other: Words) -> bool:
    return 2 * (one & other).total() >= PATTERN * (one.total() + other.total())


def _texts(example: Example) -> tuple[Words, Words]:
    """The words of a question and of its answer; of a plain text all are the answer's."""
    return (_question(example), _words(answer(example))) if example.messages else (Counter(), _words(example.text))


def _where(texts: Sequence[Words]) -> dict[str, Sequence[int]]:
    """In which of the texts each word stands, of common ones some."""
    found: dict[str, list[int]] = defaultdict(list)
    for place, words in enumerate(texts):
        for word in words:
            found[word].append(place)
    return {word: places[:: -(-len(places) // OF_A_WORD)] for word, places in found.items()}


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
