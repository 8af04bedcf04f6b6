"""Owns what can be seen of an answer without knowing what is right: its language, whether its words exist, whether it loops.

Invariants: whoever learned from a text may write its words; a check that the person's own answers do not pass is not asked of others;
too short a text is given the benefit of the doubt.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

ENOUGH = 24  # letters from which on a language can be told
A_LANGUAGE = 0.15  # share of the examples' texts from which on a language is one of theirs
LIKELY = 0.05  # below this chance of every language of the examples, an answer is in another one
UNKNOWN = 0.15  # share of unknown words that an answer may have, and more where the person's own have more
UNTELLING = 0.5  # where the person's own have so many, the check says nothing
ROUND = 0.35  # share of runs of words said before, from which on an answer goes round in circles
LEAST_VARIED = 0.34  # different words over all words of a long answer
LONG = 12  # words from which on variety can be asked for
ONE_LETTER = re.compile(r"(\S)\1{7,}")
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")


def words(text: str) -> list[str]:
    """The words of a text in small letters, without numbers and marks."""
    return [word.lower() for word in _WORD.findall(text)]


def goes_round(text: str, run: int = 3) -> bool:
    """Whether a text says the same again and again: a letter, a word, a sentence."""
    if ONE_LETTER.search(text):
        return True
    said = text.lower().split()
    if len(said) < LONG:
        return len(said) >= 4 and len(set(said)) <= len(said) / 4
    runs = [tuple(said[i : i + run]) for i in range(len(said) - run + 1)]
    return 1 - len(set(runs)) / len(runs) >= ROUND or len(set(said)) < LEAST_VARIED * min(len(said), 60)


# ---- language --------------------------------------------------------------------------------------------------------------
def languages(texts: Iterable[str]) -> frozenset[str]:
    """The languages that examples are written in; empty where it cannot be told."""
    found = Counter(max(chances, key=chances.__getitem__) for text in texts if (chances := _chances(text)))
    whole = sum(found.values())
    return frozenset(name for name, count in found.items() if count >= A_LANGUAGE * whole)


def in_one_of(text: str, known: frozenset[str]) -> bool:
    """Whether a text may be in one of these languages."""
    chances = _chances(text)
    return not chances or sum(chances.get(name, 0.0) for name in known) >= LIKELY


@lru_cache(maxsize=2048)
def _chances(text: str) -> dict[str, float]:
    """How likely a text is in each language; empty where it is too short."""
    if sum(char.isalpha() for char in text) < ENOUGH:
        return {}
    from py3langid import rank  # late: its model takes a moment to load

    names, scores = zip(*rank(text), strict=True)
    values = np.asarray(scores, np.float64)
    shares = np.exp(values - values.max())
    return dict(zip(names, (shares / shares.sum()).tolist(), strict=True))


# ---- words -----------------------------------------------------------------------------------------------------------------
class Lexicon:
    """Which words exist: those of the person's own texts, and of the kept lists of their languages."""

    def __init__(self, texts: Iterable[str], known: frozenset[str]) -> None:
        self.own = {word for text in texts for word in words(text)}
        self.lists = tuple(found for name in sorted(known) if (found := _listed(name)))

    def unknown(self, text: str) -> float:
        """Share of a text's words that nobody knows; 0 for a text without words."""
        found = words(text)
        return sum(not self.has(word) for word in found) / len(found) if found else 0.0

    def has(self, word: str) -> bool:
        """Whether a word is known, or is made of two that are."""
        if word in self.own or any(word in one for one in self.lists):
            return True
        parts = word.replace("’", "'").split("'")
        if len(parts) > 1:
            return all(len(part) < 3 or self.has(part) for part in parts)
        cuts = range(4, len(word) - 3)
        return any(word[:cut] in one and word[cut:] in one for one in self.lists for cut in cuts)


@lru_cache(maxsize=4)
def _listed(language: str) -> frozenset[str]:
    """The words of a language that pyspellchecker keeps; empty where it has none."""
    from spellchecker import SpellChecker  # late: a list takes a second to read

    if language not in SpellChecker.languages():
        return frozenset()
    return frozenset(SpellChecker(language=language, distance=1).word_frequency.dictionary)


def allowed(references: Sequence[str], lexicon: Lexicon) -> float | None:
    """Share of unknown words that an answer may have beside the person's own; None where theirs are no words either, or nobody can tell."""
    if not lexicon.lists or not references:
        return None
    usual = float(np.quantile([lexicon.unknown(text) for text in references], 0.9))
    return None if usual > UNTELLING else max(UNKNOWN, usual)
