"""The same example several times: it counts more than the others, and makes the data set look bigger than it is."""

from __future__ import annotations

from loralab.core.errors import Problem
from loralab.core.words import count
from loralab.datasets.checks import Case, where
from loralab.datasets.dataset import copies


def check(case: Case) -> list[Problem]:
    """Warning from 5 % duplicates on, else a note."""
    examples = case.everyone or case.examples
    again = copies(examples)
    if not again:
        return []
    share = len(again) / len(examples)
    what = f"Repeating an earlier one: {len(again):,} of {count(len(examples), 'example')} ({where(again)})."
    todo = "They are kept, and never used for learning and testing at once. Remove them if they are there by mistake."
    return [Problem(code="duplicates", what=what, todo=todo, severity="warning" if share >= 0.05 else "info")]


CHECK = check
