"""Owns the sheet for what came in: the file, every row read with what became of it, every field with what it is used for.

Invariants: rows kept and rows left out, by reason, add up to the rows read; what is not used is named like what is.
"""

from __future__ import annotations

from collections import Counter

from loralab.core.records import Choice, DatasetProfile, Example, FieldUse
from ui.markup import draw
from ui.words import count

MOST_REASONS, MOST_FIELDS = 8, 24  # listed; the rest is counted
PILLS = {  # role -> what a column is called over the table; in the order in which they are shown
    "prompt": "question",
    "text": "text",
    "input": "more to read",
    "reasoning": "reasoning",
    "answer": "answer",
    "label": "label",
    "system": "instructions",
    "messages": "conversation",
    "history": "earlier turns",
    "rejected": "not chosen",
    "wanted": "wanted or not",
    "pictures": "pictures",
    "tools": "tools",
}


def sheet_html(profile: DatasetProfile) -> str:
    """All of it in a table, open where something is left out, not used or not sure, and where turns hold more than words."""
    beside = any(use.telling or use.within for use in profile.fields)
    telling = bool(left_out(profile)) or not profile.certain or bool(profile.aside) or beside
    return draw("dataset", "sheet", lines_of(profile), telling)


def lines_of(profile: DatasetProfile) -> list[tuple[str, list[str]]]:
    """(what, what is said of it) of each line of the sheet."""
    read = [part.name for part in profile.parts if part.taken and part.name]
    used = [f"{use.name}: {use.used_for}{_rows(use, profile)}" for use in profile.fields if use.used_for]
    unused = [f"{use.name}{_rows(use, profile)}" for use in profile.fields if not use.used_for]
    kept = [f"{profile.n_kept:,}: {profile.n_train:,} to learn from, {profile.n_heldout:,} kept aside to test on", profile.aside]
    sure = "known from their names" if profile.certain else "a guess that nobody has confirmed yet"
    found = [
        ("File", [f"{profile.name}, letters written as {profile.encoding}"]),
        ("Sheets read", read),
        ("Rows read", [f"{profile.n_read:,}"]),
        ("Kept", kept),
        ("Left out", reasons(profile)),
        ("Columns", [sure] if len(profile.columns) > 1 or not profile.certain else []),
        ("Used", _first(used)),
        ("Not used", _first(unused)),
    ]
    return [(what, [line for line in said if line]) for what, said in found if any(said)]


def left_out(profile: DatasetProfile) -> int:
    """Rows that were read and are not kept."""
    return len(profile.left_out) + profile.more_left_out


def reasons(profile: DatasetProfile) -> list[str]:
    """The rows left out, by their reason; the numbers add up to all of them."""
    counted = Counter(row.reason for row in profile.left_out).most_common()
    lines = [f"{rows:,} × {reason}" for reason, rows in counted[:MOST_REASONS]]
    rest = left_out(profile) - sum(rows for _, rows in counted[:MOST_REASONS])
    return [*lines, f"{rest:,} × other reasons"] if rest else lines


def _first(lines: list[str]) -> list[str]:
    rest = len(lines) - MOST_FIELDS
    return [*lines[:MOST_FIELDS], f"and {rest:,} more"] if rest > 0 else lines


def _rows(use: FieldUse, profile: DatasetProfile) -> str:
    return "" if use.rows == profile.n_read else f" ({count(use.rows, 'row')})"


def choices_html(profile: DatasetProfile) -> str:
    """What else a guess could be, each with its first examples and a button to take it."""
    others = [] if profile.speakers else list(enumerate(profile.choices))[1:]
    return (
        draw("dataset", "choices", [(place, _meant(choice), [_taught(e) for e in choice.examples]) for place, choice in others])
        if others
        else ""
    )


def _meant(choice: Choice) -> list[tuple[str, str]]:
    return [(pill, choice.roles[role]) for role, pill in PILLS.items() if role in choice.roles]


def _taught(example: Example) -> list[str]:
    return [message.said for message in example.messages if message.role in ("user", "assistant")][-2:] or [example.text]
