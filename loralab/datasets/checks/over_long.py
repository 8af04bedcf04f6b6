"""Very long examples: what lies beyond the longest length of the plan is cut off at the end, and long rows cost memory and time."""

from __future__ import annotations

from loralab.core.errors import Problem
from loralab.core.words import count
from loralab.datasets.checks import Case, where

LONG = 2048  # tokens: about 1,500 English words, more than small machines train on at once


def check(case: Case) -> list[Problem]:
    """Warning with the rows longer than 2,048 tokens."""
    long = [example for example, length in zip(case.examples, case.lengths, strict=False) if length > LONG]
    if not long:
        return []
    of = count(len(case.examples), "example")
    what = f"Longer than {LONG:,} tokens: {len(long):,} of {of}, up to {max(case.lengths):,} ({where(long)})."
    todo = "Their ends are cut off where they exceed the longest example of the plan; shorten them if the end matters."
    return [Problem(code="over_long", what=what, todo=todo, severity="warning")]


CHECK = check
