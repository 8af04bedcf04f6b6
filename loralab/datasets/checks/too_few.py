"""Too few examples: below 9 nothing can be tested, below about 50 the model learns them by heart instead of learning how it is done."""

from __future__ import annotations

from loralab.core.errors import Problem
from loralab.core.words import count, plural
from loralab.datasets.checks import Case
from loralab.datasets.dataset import MIN_EXAMPLES

ENOUGH = 50


def check(case: Case) -> list[Problem]:
    """Error below 9 examples, warning below 50."""
    n = len(case.examples)
    if n < MIN_EXAMPLES:
        what = f"{MIN_EXAMPLES} examples are needed to begin: {n} here, {MIN_EXAMPLES - n} to go."
        return [Problem(code="too_few_rows", what=what, todo="A few hundred are a good start.")]
    if n < ENOUGH:
        what = f"There {plural(n, 'is', 'are')} only {count(n, 'example')}, so the model may learn them by heart."
        return [Problem(code="few_rows", what=what, todo="A few hundred are a good start.", severity="warning")]
    return []


CHECK = check
