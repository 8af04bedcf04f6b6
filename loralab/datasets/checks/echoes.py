"""Answers that are their question again: two columns with the same words, or one chosen twice. The model would learn to repeat."""

from __future__ import annotations

from loralab.core.errors import Problem
from loralab.core.words import count
from loralab.datasets.checks import Case, answer, where

SOME, MOST = 0.1, 0.5  # of the answers: so many are worth a note, so many make the data useless


def check(case: Case) -> list[Problem]:
    """A warning from a tenth of the answers on. Classes are no echoes: “refund” may well be asked and answered with “refund”."""
    asked = [example for example in case.examples if len(example.messages) > 1 and example.label is None]
    same = [example for example in asked if _words(answer(example)) == _words(example.messages[-2].said)]
    if not asked or len(same) < max(3, SOME * len(asked)):
        return []
    what = f"{len(same):,} of {count(len(asked), 'answer')} only repeat their question ({where(same)})."
    todo = "Choose the column with the answers." if len(same) >= MOST * len(asked) else "Write answers for these rows, or remove them."
    return [Problem(code="echoes", what=what, todo=todo, severity="warning")]


def _words(text: str) -> list[str]:
    return text.casefold().split()


CHECK = check
