"""Too few examples: with fewer than about 50 the model learns them by heart instead of learning how it is done."""

from __future__ import annotations

from loralab.core.errors import Problem
from loralab.datasets.checks import Case

LEAST = 2  # one to learn from and one to test on
ENOUGH = 50


def check(case: Case) -> list[Problem]:
    """Error below 2 examples, warning below 50."""
    count = len(case.examples)
    if count < LEAST:
        return [Problem(code="too_few_rows", what="There is only one example.", todo="Add more; a few hundred are a good start.")]
    if count < ENOUGH:
        what = f"There are only {count} examples, so the model may learn them by heart."
        return [Problem(code="few_rows", what=what, todo="A few hundred are a good start.", severity="warning")]
    return []


CHECK = check
