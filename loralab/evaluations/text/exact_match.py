"""Owns the measure for short answers: how often exactly the reference is written, to the letter and in essence.

Invariant: only asked where most references are short; a long answer that is right hardly ever repeats its reference word for word.
"""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from statistics import median

from loralab.core.records import Example
from loralab.evaluations import Answered, Evaluation, Judging, Measured
from loralab.evaluations.shared.answer_scores import Trait, both, shorten
from loralab.evaluations.shared.answers import asked
from loralab.evaluations.text import TEXT

SHORT = 12  # words of the median reference
_ARTICLES = re.compile(r"\b(a|an|the)\b")
_MARKS = str.maketrans("", "", string.punctuation)

EXACT = Trait(
    "exact_match",
    "Exactly the reference",
    "The answer is the reference, letter by letter (spaces at the ends aside).",
    "accuracy",
    "It writes exactly the reference more often",
    "It writes exactly the reference less often",
)
NORMALISED = Trait(
    "normalised_match",
    "The expected answer, apart from spelling",
    "The answer is the reference when capitals, punctuation and articles are ignored.",
    "accuracy",
    "It gives the right answer more often",
    "It gives the right answer less often",
)


def normalised(text: str) -> str:
    """Lower case without punctuation, articles and double spaces (the usual normalisation of SQuAD, Rajpurkar et al. 2016)."""
    return " ".join(_ARTICLES.sub(" ", text.lower().translate(_MARKS)).split())


def measure(judging: Judging) -> Measured:
    """Exact and normalised match, each answer against its reference."""
    answers = [a for a in judging.answers() if a.reference.strip()]
    exact = both(answers, lambda text, a: float(text.strip() == a.reference.strip()))
    essence = both(answers, lambda text, a: float(normalised(text) == normalised(a.reference)))
    rows = [_row(a, before, after) for a, before, after in zip(answers, *essence, strict=True)]
    return Measured((NORMALISED.score(*essence), EXACT.score(*exact)), rows) if answers else Measured((), [])


def _row(a: Answered, before: float, after: float) -> dict[str, object]:
    return {
        "row": a.example.row,
        "reference": shorten(a.reference),
        "before": shorten(a.before.text),
        "after": shorten(a.after.text),
        "before_right": bool(before),
        "after_right": bool(after),
    }


def accepts(examples: Sequence[Example]) -> bool:
    """Text runs with short references that are no labels (those have their own measure)."""
    if any(e.label is not None for e in examples):
        return False
    lengths = [len(asked(e)[1].split()) for e in examples if e.messages]
    return bool(lengths) and median(lengths) <= SHORT


EVALUATION = Evaluation(name="exact_match", label="How often it is right", tasks=TEXT, accepts=accepts, measure=measure, main=2)
