"""Owns what spreadsheets and delimited files share: finding the header row and turning lists of cells into rows.

Invariant: a file without a header loses no row, and a file with one does not learn from it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import median
from typing import Any

from loralab.core.records import LeftOut
from loralab.datasets.formats.cells import cell_text
from loralab.datasets.readers import Row, Table
from loralab.datasets.tables.columns import ANSWERING, ASKING, is_known, suggests

Numbered = tuple[int, list[Any]]  # row number as a person counts it, cells


def table(source: str, records: Sequence[Numbered], encoding: str = "utf-8", lost: Sequence[LeftOut] = ()) -> Table:
    """Rows from numbered lists of cells. Rows with too many cells or none are left out with the reason."""
    width = _width(records)
    start = next((place for place, (_, cells) in enumerate(records) if _is_row(cells, width)), 0)  # skips a title above the table
    headed = bool(records) and has_header([cells for _, cells in records[start : start + 200]])
    columns = _names(records[start][1], width) if headed else tuple(f"column {place}" for place in range(1, width + 1))
    made = under(source, columns, records[start + 1 if headed else start :], encoding, lost)
    made.headed = headed
    titles = (LeftOut(row=number, source=source, reason="a title above the table.") for number, _ in records[:start])
    made.left_out[len(lost) : len(lost)] = titles
    return made


def under(
    source: str, columns: tuple[str, ...], records: Sequence[Numbered], encoding: str = "utf-8", lost: Sequence[LeftOut] = ()
) -> Table:
    """Rows under columns that are known. Rows with too many cells or none are left out with the reason."""
    made = Table(source=source, rows=[], columns=columns, left_out=list(lost), encoding=encoding)
    order = columns
    for number, cells in records:
        if len(columns) > 1 and _again(cells, columns):
            order = tuple(map(cell_text, cells[: len(columns)]))  # two files in one, whose columns need not stand in the same order
            made.left_out.append(LeftOut(row=number, source=source, reason="The names of the columns again."))
        elif not any(map(cell_text, cells)):
            made.left_out.append(LeftOut(row=number, source=source, reason="The row is empty."))
        elif any(cell_text(cell) for cell in cells[len(columns) :]):
            reason = f"The row has {len(cells)} cells for {len(columns)} columns: a text with the separator in it needs quotation marks."
            made.left_out.append(LeftOut(row=number, source=source, reason=reason))
        else:
            made.rows.append(Row(number, _in_order(dict(zip(order, [*cells, *[""] * (len(columns) - len(cells))], strict=False)), columns)))
    return made


def _again(cells: Sequence[Any], columns: tuple[str, ...]) -> bool:
    """Whether a row is the header, which stands in it once more."""
    if len(cells) < len(columns) or cells[0] not in columns:
        return False
    return not any(map(cell_text, cells[len(columns) :])) and {*map(cell_text, cells)} - {""} == {*columns}


def _in_order(values: dict[str, Any], columns: tuple[str, ...]) -> dict[str, Any]:
    return values if tuple(values) == columns else {column: values[column] for column in columns}


def has_header(records: Sequence[Sequence[Any]]) -> bool:
    """Whether the first record names the columns: known names, or short words unlike everything below them."""
    if len(records) < 2:
        return any(is_known(cell_text(cell)) for cell in (records[0] if records else ()))
    first = [cell_text(cell) for cell in records[0]]
    names = [cell for cell in first if cell]
    if not names or len(set(names)) < len(names) or any(len(cell) > 60 or "\n" in cell or _is_number(cell) for cell in names):
        return False
    if sum(is_known(cell) for cell in names) * 2 >= len(names):
        return True
    votes = 0
    for place, name in enumerate(first):
        below = [text for record in records[1:] if place < len(record) and (text := cell_text(record[place]))]
        votes += _column_vote(name, below)
    return votes > 0


def _column_vote(name: str, below: list[str]) -> int:
    """+1 when `name` is unlike the values below it, -1 when it could be one of them, 0 when nothing can be said."""
    if not name or not below:
        return 0
    if name in below:
        return -1  # the same value comes again: it is data
    if all(_is_number(value) for value in below):
        return 1
    if len(set(below)) <= len(below) // 3:
        return 1  # a column of classes in which this one never comes again
    if is_known(name) or suggests((*ASKING, *ANSWERING), name) or _is_unlike(name, below):
        return 1
    return 1 if median(map(len, below)) > 3 * len(name) and len(name.split()) <= 3 else -1


def _is_unlike(name: str, below: list[str]) -> bool:
    """Whether nearly all values have something that a name above them would have, too, if it were one of them: a digit, a full stop."""
    for mark in (r"\d", r"[.!?。！？]$"):
        if not re.search(mark, name) and sum(bool(re.search(mark, value)) for value in below) >= 0.9 * len(below):
            return True
    return False


def _is_number(text: str) -> bool:
    return text.replace(".", "", 1).replace(",", "", 1).lstrip("+-").isdigit()


def _is_row(cells: Sequence[Any], width: int) -> bool:
    """Whether it may be a row of the table: two cells are filled, or all but the first, which pandas leaves without a name."""
    return _filled(cells) >= min(2, width) or (len(cells) == width == 2 and not cell_text(cells[0]) and bool(cell_text(cells[1])))


def _filled(cells: Sequence[Any]) -> int:
    return sum(1 for cell in cells if cell_text(cell))


def _width(records: Sequence[Numbered]) -> int:
    """The commonest number of cells; ends of rows that are empty everywhere do not count."""
    counts: dict[int, int] = {}
    for _, cells in records:
        last = max((place for place, cell in enumerate(cells, 1) if cell not in (None, "")), default=0)
        if last:
            counts[last] = counts.get(last, 0) + 1
    common = max(counts, key=lambda size: (counts[size], size), default=1)
    header = max((place for place, cell in enumerate(records[0][1], 1) if cell not in (None, "")), default=0) if records else 0
    return max(common, header)


def _names(cells: Sequence[Any], width: int) -> tuple[str, ...]:
    """Column names made unique; unnamed ones are called by their place."""
    names: list[str] = []
    for place in range(width):
        name = (cell_text(cells[place]) if place < len(cells) else "") or f"column {place + 1}"
        names.append(name if name not in names else f"{name} ({place + 1})")
    return tuple(names)
