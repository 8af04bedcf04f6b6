"""Answers that say nothing: missing ones (left out on reading) and placeholders, which the model would learn to give."""

from __future__ import annotations

from loralab.core.errors import Problem
from loralab.core.words import count
from loralab.datasets.checks import Case, answer, where

PLACEHOLDERS = frozenset(
    ("n/a", "na", "none", "null", "nan", "nil", "-", "--", "?", ".", "...", "…", "todo", "tbd", "tba", "#n/a", "undefined", "empty")
)


def check(case: Case) -> list[Problem]:
    """Warning with the rows; classes may well be called “none”, so sorted texts are not searched for placeholders."""
    found: list[Problem] = []
    empty = [row for row in case.loaded.left_out if row.reason.startswith("The answer")]
    if empty:
        what = f"An answer is missing in {count(len(empty), 'row')}, left out (first: row {empty[0].row})."
        found.append(Problem(code="empty_answers", what=what, todo="Fill them in if they matter.", severity="warning"))
    hollow = [e for e in case.examples if e.messages and e.label is None and answer(e).strip().lower() in PLACEHOLDERS]
    if hollow:
        what = f"Only a placeholder such as “{answer(hollow[0]).strip()}” answers {count(len(hollow), 'example')} ({where(hollow)})."
        found.append(Problem(code="placeholder_answers", what=what, todo="Remove these rows or write real answers.", severity="warning"))
    return found


CHECK = check
