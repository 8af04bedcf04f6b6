"""Owns rows that say in their own way what a question and an answer say: options in columns of their own, marks around the words for
another program, a pick or a decision of whoever looked the row over.

Invariants: a row that somebody rejected is named and never learned; what is taken off stands around the words, never within, and is told.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from loralab.core.records import LeftOut
from loralab.datasets.formats.cells import cell_text
from loralab.datasets.readers import Row, Table
from loralab.datasets.tables.columns import WORDS, find, key

_OPTION = re.compile(r"(?:(?:option|choice|op|opt|antwort|ending)(?P<mark>[a-h]|\d)|(?P<bare>[a-h]))")
_DECISIONS, _TAKEN = frozenset(("accept", "reject", "ignore")), "accept"
_LEAST = 4  # columns of a question, two options and the letter of one, and one more, since two are found by chance
_MOSTLY = 0.9  # of the cells: so many have the same mark
_AROUND = re.compile(
    r"\s*(?:human|user|question|q|### ?instruction) ?:\s*(.*\S)\s*\n\s*(?:assistant|ai|answer|a|### ?response) ?:\s*",
    re.DOTALL | re.IGNORECASE,
)
_BEHIND_QUESTION = re.compile(r"(.*\S)\s*(?:###|->|=>|\|\|\|)\s*", re.DOTALL)
_BEHIND_ANSWER = re.compile(r"(.*\S)\s*(?:###|\bEND|\|\|\||</s>|<\|endoftext\|>)\s*", re.DOTALL)


def restated(table: Table) -> Table:
    """The table with whole questions, plain words, and without rows that were rejected."""
    return _decided(_picked(_unmarked(_with_options(_numbered(table)))))


def _told(table: Table, what: str) -> str:
    return f"{table.about}; {what}" if table.about else what


# ---- options ---------------------------------------------------------------------------------------------------------------------


def _with_options(table: Table) -> Table:
    """Options that stand in columns of their own (A, B, C, D; option 1, option 2), below their question."""
    options = _options(table.columns)
    asked = find((*WORDS["prompt"], *WORDS["text"], *WORDS["input"]), table.columns, tuple(options))
    told = find(
        (*WORDS["answer"], *WORDS["label"], "correct", "correct_answer", "correct_option", "cop", "key"), table.columns, (*options, asked)
    )
    if not options or not asked or not told:
        return table
    rows = [Row(row.number, _joined(row.values, asked, options)) for row in table.rows]
    columns = tuple(column for column in table.columns if column not in options)
    return replace(table, rows=rows, columns=columns, about=_told(table, "the options stand below their question"))


def _numbered(table: Table) -> Table:
    """A table without names that is a question, its options and the letter of the right one, as in MMLU: named, and still a guess."""
    names = table.columns
    letters = [cell_text(row.values.get(names[-1])) for row in table.rows] if len(names) > _LEAST else []
    among = "ABCDEFGH"[: len(names) - 2]
    if table.headed or not letters or not all(len(one) == 1 and one in among for one in letters):
        return table
    named = dict(zip(names, ("question", *(f"option {mark}" for mark in among), "answer"), strict=True))
    rows = [Row(row.number, {named[name]: cell for name, cell in row.values.items()}) for row in table.rows]
    return replace(table, rows=rows, columns=tuple(named.values()), guessed=True)


def _options(columns: Sequence[str]) -> dict[str, str]:
    """Columns of options with the mark of each; none where the marks do not begin with the first and follow each other."""
    found = {column: match for column in columns if (match := _OPTION.fullmatch(key(column)))}
    marked = {column: str(match["mark"]) for column, match in found.items() if match["mark"]}
    named = marked or {column: str(match["bare"]) for column, match in found.items()}
    marks = "".join(sorted(named.values()))
    fewest = 2 if marked else 3  # a column “a” is mostly an answer
    return named if len(marks) >= fewest and marks in ("abcdefgh"[: len(marks)], "12345678"[: len(marks)], "01234567"[: len(marks)]) else {}


def _joined(values: dict[str, Any], asked: str, options: dict[str, str]) -> dict[str, Any]:
    told = [f"{mark.upper()}) {text}" for column, mark in options.items() if (text := cell_text(values.get(column)))]
    question = "\n".join([cell_text(values.get(asked)), *told])
    return {name: question if name == asked else cell for name, cell in values.items() if name not in options}


# ---- marks for other programs ----------------------------------------------------------------------------------------------------


def _unmarked(table: Table) -> Table:
    """Questions and answers without the marks that show some program where they begin and end, where nearly all have them."""
    prompt, answer = find(WORDS["prompt"], table.columns), find(WORDS["answer"], table.columns)
    if not prompt or not answer or prompt == answer:
        return table
    found = {
        column: form
        for column, forms in ((prompt, (_AROUND, _BEHIND_QUESTION)), (answer, (_BEHIND_ANSWER,)))
        for form in forms
        if _have(table.rows, column, form)
    }
    if not found:
        return table
    rows = [Row(row.number, {name: _within(cell, found.get(name)) for name, cell in row.values.items()}) for row in table.rows]
    return replace(table, rows=rows, about=_told(table, "marks around questions and answers were taken off"))


def _have(rows: Sequence[Row], column: str, form: re.Pattern[str]) -> bool:
    cells = [cell for row in rows if isinstance(cell := row.values.get(column), str) and cell.strip()]
    return len(cells) > 1 and sum(form.fullmatch(cell) is not None for cell in cells) >= _MOSTLY * len(cells)


def _within(cell: Any, form: re.Pattern[str] | None) -> Any:
    found = form.fullmatch(cell) if form and isinstance(cell, str) else None
    return found[1] if found else cell


# ---- what was picked -------------------------------------------------------------------------------------------------------------


def _picked(table: Table) -> Table:
    """The words of the options that somebody picked for a text, where a list holds them by their names (Prodigy's `accept`)."""
    if not {"options", "accept"} <= set(table.columns) or "label" in table.columns:
        return table
    rows: list[Row] = []
    for row in table.rows:
        options, picked = row.values.get("options"), row.values.get("accept")
        if not isinstance(options, list) or not isinstance(picked, list):
            return table
        words = {str(one.get("id")): str(one.get("text") or one.get("id")) for one in options if isinstance(one, dict)}
        rest = {name: cell for name, cell in row.values.items() if name not in ("options", "accept")}
        rows.append(Row(row.number, {**rest, "label": ", ".join(words.get(str(one), str(one)) for one in picked)}))
    columns = (*(name for name in table.columns if name not in ("options", "accept")), "label")
    return replace(table, rows=rows, columns=columns, about=_told(table, "the options that were picked are the labels"))


# ---- decisions -------------------------------------------------------------------------------------------------------------------


def _decided(table: Table) -> Table:
    """Rows that were accepted, where a column holds nothing but such decisions; the others are named."""
    column = next(_decisions(table), "")
    if not column:
        return table

    def taken(row: Row) -> bool:
        return cell_text(row.values.get(column)).casefold() == _TAKEN

    reason = f"The column “{column}” says that somebody did not accept it."
    lost = [LeftOut(row=row.number, source=table.source, reason=reason) for row in table.rows if not taken(row)]
    rows = [Row(row.number, {name: cell for name, cell in row.values.items() if name != column}) for row in table.rows if taken(row)]
    return replace(table, rows=rows, columns=tuple(one for one in table.columns if one != column), left_out=[*table.left_out, *lost])


def _decisions(table: Table) -> Iterator[str]:
    for column in table.columns:
        said = {cell_text(row.values.get(column)).casefold() for row in table.rows}
        if _TAKEN in said and said <= _DECISIONS and len(table.columns) > 1:
            yield column
