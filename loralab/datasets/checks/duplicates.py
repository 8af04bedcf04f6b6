"""The same example several times: it counts more than the others, and makes the data set look bigger than it is."""

from __future__ import annotations

from loralab.core.errors import Problem
from loralab.core.records import Example
from loralab.datasets.checks import Case, counted, where
from loralab.datasets.dataset import fingerprint


def check(case: Case) -> list[Problem]:
    """Warning from 5 % duplicates on, else a note."""
    seen: set[str] = set()
    again: list[Example] = []
    for example in case.examples:
        mark = fingerprint(example)
        if mark in seen:
            again.append(example)
        seen.add(mark)
    if not again:
        return []
    share = len(again) / len(case.examples)
    what = f"Repeating an earlier one: {len(again):,} of {counted(len(case.examples))} ({where(again)})."
    todo = "They are kept, and never used for learning and testing at once. Remove them if they are there by mistake."
    return [Problem(code="duplicates", what=what, todo=todo, severity="warning" if share >= 0.05 else "info")]


CHECK = check
