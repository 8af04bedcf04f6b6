"""What the file says and nobody uses: columns of words, pictures, calls of tools; and of preferences, what is learned."""

from __future__ import annotations

from loralab.core.errors import Problem
from loralab.core.words import count, listed, plural
from loralab.datasets.checks import Case
from loralab.datasets.conversations.spoken import PICTURED
from loralab.datasets.readable import NO_TOOLS

MOST = 4  # columns named


def check(case: Case) -> list[Problem]:
    """A warning for what carries meaning and is not learned, a note where a preference is learned by its chosen side alone."""
    found: list[Problem] = []
    columns = [use for use in case.loaded.fields if use.telling]
    if columns:
        names = listed([f"“{use.name}”" for use in columns[:MOST]]) + (f" and {len(columns) - MOST} more" if len(columns) > MOST else "")
        what = f"Nothing is learned from {names}, though {plural(len(columns), 'it holds', 'they hold')} words in most rows."
        todo = "Leave it so if that is what you want, or choose other columns."
        found.append(Problem(code="unused_column", what=what, todo=todo, severity="info"))
    if pictures := sum(row.reason == PICTURED for row in case.loaded.left_out):
        what = f"{_left_out(pictures)}: {plural(pictures, 'it is', 'they are')} about pictures, which are not read."
        todo = "To learn the words without the pictures, choose the column with the pictures under “Choose other columns”."
        found.append(Problem(code="pictures_unused", what=what, todo=todo, severity="warning"))
    if tools := sum(row.reason == NO_TOOLS for row in case.loaded.left_out):
        what = f"{_left_out(tools)}: {plural(tools, 'it calls', 'they call')} a tool, which this model cannot write."
        found.append(
            Problem(code="tools_unused", what=what, todo="Choose a model that knows tools to learn them, too.", severity="warning")
        )
    pairs = sum(bool(example.rejected) for example in case.examples)
    if pairs:
        what = f"{count(pairs, 'example')} {plural(pairs, 'has', 'have')} a better and a worse answer."
        todo = "Learning to answer imitates the better ones alone, never the worse; learning what is preferred uses both."
        found.append(Problem(code="preferences", what=what, todo=todo, severity="info"))
    return found


def _left_out(rows: int) -> str:
    return f"{count(rows, 'row')} {plural(rows, 'is', 'are')} left out"


CHECK = check
