"""Owns the measure for calculations: whether the answer ends in the right number (`#### 72`, or the last number written)."""

from __future__ import annotations

import re
from collections.abc import Sequence

from loralab.core.records import Example
from loralab.evaluations import Evaluation, Judging, Measured
from loralab.evaluations.shared.answer_scores import Trait, both, shorten
from loralab.evaluations.shared.answers import asked
from loralab.evaluations.text import TEXT

MARK = "####"  # how GSM8K and data sets like it mark the result (Cobbe et al. 2021)
_NUMBER = re.compile(r"-?\d[\d,]*(?:\.\d+)?")

TRAIT = Trait(
    "number_match",
    "The right number",
    f"The number after {MARK}, or else the last one written, equals that of the reference.",
    "accuracy",
    "It reaches the right number more often",
    "It reaches the right number less often",
)


def result(text: str) -> float | None:
    """The number a text ends in: after the mark where there is one, otherwise the last."""
    marked = text.rpartition(MARK)[2] if MARK in text else ""
    found = _NUMBER.findall(marked)[:1] or _NUMBER.findall(text)[-1:]
    return float(found[0].replace(",", "")) if found else None


def same(text: str, reference: str) -> bool:
    """Whether both end in the same number."""
    found, wanted = result(text), result(reference)
    return found is not None and wanted is not None and abs(found - wanted) <= 1e-6 * max(1.0, abs(wanted))


def measure(judging: Judging) -> Measured:
    """Share of answers that end in the reference's number."""
    answers = [a for a in judging.answers() if result(a.reference) is not None]
    if not answers:
        return Measured((), [])
    before, after = both(answers, lambda text, a: float(same(text, a.reference)))
    rows = [
        {
            "row": a.example.row,
            "reference": result(a.reference),
            "before": shorten(a.before.text),
            "after": shorten(a.after.text),
            "before_right": bool(b),
            "after_right": bool(r),
        }
        for a, b, r in zip(answers, before, after, strict=True)
    ]
    return Measured((TRAIT.score(before, after),), rows)


def accepts(examples: Sequence[Example]) -> bool:
    """Text runs in which most references mark a result."""
    references = [asked(e)[1] for e in examples if e.messages]
    return bool(references) and sum(MARK in r for r in references) > len(references) / 2


EVALUATION = Evaluation(name="number_match", label="How often the number is right", tasks=TEXT, accepts=accepts, measure=measure, main=3)
