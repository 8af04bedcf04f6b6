"""Owns the account of what a file says: which of its columns, and of what its turns hold, is used for what, and what is not used.

Invariant: what holds something in any row is named with its number of rows, used or not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from loralab.core.records import FieldUse
from loralab.datasets.formats.cells import cell_text
from loralab.datasets.readers import Table
from loralab.datasets.tables import columns as names
from loralab.datasets.tables.marked import mark_column
from loralab.datasets.tables.origins import PROVENANCE, USED_FOR, tells_origin

ROLE_WORDS = {  # role -> what its column is used for
    "prompt": "the question",
    "text": "the text",
    "input": "more to read before the answer",
    "reasoning": "reasoning before the answer",
    "answer": "the answer to learn",
    "label": "the label to learn",
    "system": "instructions that come first",
    "messages": "the conversation",
    "history": "earlier turns",
    "rejected": "the answer that was not chosen: kept, and not learned by imitation",
    "wanted": "which answers are wanted: only these are learned",
    "tools": "tools that may be called",
    "pictures": "pictures, which are left aside",
}
KEPT_ASIDE = "which rows are kept aside to test on"
LOOKED = 200  # cells of a column
_NOTHING = ("", [], {}, "[]", "{}")
ENOUGH, LONG, WORDY = 0.3, 25, 3  # share of filled cells, mean characters or words from which a column says something


class Tally:
    """How many rows hold something of a kind within their turns, and what became of it. One row counts once for each."""

    def __init__(self) -> None:
        self._rows: Counter[tuple[str, str]] = Counter()

    def note(self, *found: tuple[str, str]) -> None:
        """(what it is, what it is used for) of one row; used for "": not used."""
        self._rows.update(set(found))

    def uses(self) -> tuple[FieldUse, ...]:
        """What was noted, in the order in which it was first seen."""
        return tuple(FieldUse(name=name, used_for=used, rows=rows, within=True) for (name, used), rows in self._rows.items())


def column_uses(tables: Sequence[Table], roles: Sequence[Mapping[str, str]]) -> tuple[FieldUse, ...]:
    """Every column that holds something, in file order, with what it is used for; the same column of several files is one."""
    found: tuple[FieldUse, ...] = ()
    for table, own in zip(tables, roles, strict=True):
        if table.is_prose:
            continue
        used = {column: ROLE_WORDS.get(role, role) for role, column in own.items() if role != names.NAMES_A_PERSON}
        marks = mark_column(table.columns, table.rows)
        used = {marks: KEPT_ASIDE, **used} if marks else used
        used = {column: USED_FOR for column in table.columns if tells_origin(table.columns) and column in PROVENANCE} | used
        found = joined(found, [use for column in table.columns if (use := _column_use(table, column, used.get(column, "")))])
    return found


def _column_use(table: Table, column: str, used_for: str) -> FieldUse | None:
    filled = [value for row in table.rows if (value := row.values.get(column)) is not None and value not in _NOTHING]
    often = not used_for and len(filled) >= ENOUGH * len(table.rows)
    telling = often and says_something(column, filled[:: max(1, len(filled) // LOOKED)])
    return FieldUse(name=column, used_for=used_for, rows=len(filled), telling=telling) if filled else None


def joined(before: Sequence[FieldUse], more: Sequence[FieldUse]) -> tuple[FieldUse, ...]:
    """What two parts of one file hold, together; a column that is used in one of them is used. Columns stay in front."""
    found: dict[tuple[str, str], FieldUse] = {}
    for use in (*before, *more):
        place = use.name, use.used_for if use.within else "a column"
        found[place] = _together(found[place], use) if place in found else use
    return tuple(sorted(found.values(), key=lambda use: use.within))


def _together(one: FieldUse, other: FieldUse) -> FieldUse:
    used = one.used_for or other.used_for
    telling = not used and (one.telling or other.telling)
    return one.model_copy(update={"rows": one.rows + other.rows, "used_for": used, "telling": telling})


def says_something(column: str, cells: Iterable[object]) -> bool:
    """Whether cells hold words that somebody may miss: not numbers, dates, links, or what only tells about the row."""
    texts = [text for cell in cells if (text := cell_text(cell))]
    if names.is_about(column) or not texts:
        return False
    spoken = [text for text in texts if any(char.isalpha() for char in text) and not text.startswith(("http://", "https://"))]
    length = sum(map(len, texts)) / len(texts)
    many = sum(len(text.split()) for text in texts) / len(texts)
    return 2 * len(spoken) >= len(texts) and (length >= LONG or many > WORDY) and len(set(texts)) > 1
