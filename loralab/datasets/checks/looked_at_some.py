"""A large file: its tokens and what the checks found are of some of its examples, which is told."""

from __future__ import annotations

from loralab.core.errors import Problem
from loralab.core.words import count
from loralab.datasets.checks import Case


def check(case: Case) -> list[Problem]:
    """A note where not all examples were looked at."""
    if len(case.everyone) <= len(case.examples):
        return []
    some, everyone = len(case.examples), count(len(case.everyone), "example")
    what = f"This is a large file: {some:,} of its {everyone}, evenly spread, were looked at for these notes and for its tokens."
    return [Problem(code="looked_at_some", what=what, todo="Copies and rows left out were looked for in all.", severity="info")]


CHECK = check
