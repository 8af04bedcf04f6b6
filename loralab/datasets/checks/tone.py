"""How answers speak: “du” in some and “Sie” in others, little pictures in some, hardly a full stop; and whether a person can read them.

A model learns one voice; where two are mixed, it speaks in either. Invariant: a voice that is used throughout is nobody's
business, and a few rows of another are told only from a share on that will be heard.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import islice

from loralab.core.errors import Problem
from loralab.core.records import Example
from loralab.datasets.checks import Case, answer, where

FEWEST = 30  # answers of several words
HEARD = 0.15  # share from which on a voice is heard
_WORDS = 5
_LOOKED = 5000
_DU = re.compile(r"\b(?:du|dich|dir|dein(?:e[mnrs]?)?)\b", re.IGNORECASE)
_SIE = re.compile(r"(?<=[a-zäöüß,;] )(?:Sie|Ihnen|Ihr(?:e[mnrs]?)?)\b|\b(?:[A-ZÄÖÜ][a-zäöüß]+en Sie)\b")
_TU = re.compile(r"\b(?:tu|toi|ton|tes)\b", re.IGNORECASE)
_VOUS = re.compile(r"\b(?:vous|votre|vos)\b", re.IGNORECASE)
_SMILES = re.compile("[\U0001f300-\U0001faff☀-➿]|(?<!\\w)[:;]-?[)D(]")
_SENTENCE = re.compile(r"[.!?…]+(?:\s|$)")
_LONG_WORD = 7  # letters; LIX = words per sentence + per cent of longer words (Björnsson 1968): 30 easy, 60 very hard
HARD, LONG_SENTENCE = 65.0, 40.0


def check(case: Case) -> list[Problem]:
    """Warnings on mixed voices, a hint where answers are hard to read."""
    told = [e for e in islice(case.examples, _LOOKED) if e.messages and e.label is None and len(answer(e).split()) >= _WORDS]
    if len(told) < FEWEST:
        return []
    return [
        *_mixed(told, ("formal_address", "du", "Sie"), _DU.search, _SIE.search),
        *_mixed(told, ("formal_address", "tu", "vous"), _TU.search, _VOUS.search),
        *_smiling(told),
        *_hard(told),
    ]


def lix(text: str) -> tuple[float, float]:
    """How hard a text is to read, and words in a sentence."""
    words = re.findall(r"[^\W\d_]+", text)
    sentences = max(1, len(_SENTENCE.findall(text)))
    if not words:
        return 0.0, 0.0
    return len(words) / sentences + 100 * sum(len(word) >= _LONG_WORD for word in words) / len(words), len(words) / sentences


def _mixed(
    told: Sequence[Example], names: tuple[str, str, str], one: Callable[[str], object], other: Callable[[str], object]
) -> list[Problem]:
    code, first, second = names
    texts = [(example, answer(example)) for example in told]
    ones = [example for example, text in texts if one(text) and not other(text)]
    others = [example for example, text in texts if other(text) and not one(text)]
    few = min(ones, others, key=len)
    if len(few) < HEARD * (len(ones) + len(others)) or len(few) < 5:
        return []
    rest = second if few is ones else first
    word = first if few is ones else second
    what = f"{len(few):,} answers say “{word}” ({where(few)}), {len(ones) + len(others) - len(few):,} say “{rest}”."
    return [Problem(code=code, what=what, todo="Choose one of them for all answers, or the model will mix them, too.", severity="warning")]


def _smiling(told: Sequence[Example]) -> list[Problem]:
    smiling = [example for example in told if _SMILES.search(answer(example))]
    if not HEARD <= len(smiling) / len(told) <= 1 - HEARD:
        return []
    what = f"{len(smiling):,} of {len(told):,} answers have little pictures or smileys in them, the others have none."
    return [Problem(code="mixed_tone", what=what, todo="Fine if you want both; else make them alike.", severity="info")]


def _hard(told: Sequence[Example]) -> list[Problem]:
    measured = sorted(lix(answer(example)) for example in told if len(answer(example).split()) >= 20)
    if len(measured) < FEWEST:
        return []
    score, _ = measured[len(measured) // 2]
    length = sorted(words for _, words in measured)[len(measured) // 2]
    if score < HARD and length < LONG_SENTENCE:
        return []
    what = f"The answers are hard to read: {length:.0f} words in a usual sentence, and many long words."
    todo = "The model will write like that. If people are to read it, shorter sentences help."
    return [Problem(code="hard_to_read", what=what, todo=todo, severity="info")]


CHECK = check
