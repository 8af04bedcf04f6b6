"""Owns workbooks of the old kind (.xls): every sheet is a table. Invariant: cells are as Excel shows them, formulas as last shown."""

from __future__ import annotations

import io
import struct
from dataclasses import replace
from typing import Any

from loralab.core.errors import UserError
from loralab.core.words import count
from loralab.datasets.formats import kinds
from loralab.datasets.formats.encoding import decode
from loralab.datasets.formats.shown import ERRORS, shown
from loralab.datasets.formats.tabular import Numbered, table
from loralab.datasets.readers import Reader, Table, delimited, plain
from loralab.datasets.readers.spreadsheet import DAMAGED

_BARE = tuple(b"\x09" + version for version in (b"\x00", b"\x02", b"\x04", b"\x08"))  # of before 1995: not in a container
_EXACT = 1e15  # a larger number has lost digits


def read(raw: bytes, name: str) -> list[Table]:
    """A table per sheet that holds rows, hidden ones too; rows numbered as Excel shows them."""
    import xlrd
    from xlrd.biffh import XLRDError
    from xlrd.compdoc import CompDocError

    if not kinds.is_office_container(raw) and not raw.startswith(_BARE):  # programs call any table so
        return (delimited if delimited.is_table(decode(raw, name).text) else plain).read(raw, name)
    try:
        book = xlrd.open_workbook(file_contents=raw, formatting_info=True, ragged_rows=True, logfile=io.StringIO())
        tables = [made for sheet in book.sheets() if (made := _sheet(sheet, book, name))]
    except (*DAMAGED, XLRDError, CompDocError, struct.error, AssertionError, ArithmeticError, MemoryError) as error:
        kinds.refuse(kinds.LOCKED if "encrypted" in str(error) else None, name)
        raise UserError(
            f"{name} is damaged or not an Excel workbook.", "Open it in Excel and save it as .xlsx.", code="bad_excel"
        ) from error
    if not any(made.rows for made in tables):
        raise UserError(f"{name} has no rows with examples.", "Add examples to it.", code="empty_file")
    return tables


def _sheet(sheet: Any, book: Any, name: str) -> Table | None:
    """The table of a sheet; None where it is empty."""
    records: list[Numbered] = []
    for number in range(sheet.nrows):
        cells = [_shown(cell, book) for cell in sheet.row(number)]
        while cells and cells[-1] in (None, ""):
            cells.pop()
        if cells:
            records.append((number + 1, cells))
    if not records:
        return None
    hidden = bool(sheet.visibility)
    rows = sum(bool(info.hidden) for info in sheet.rowinfo_map.values())
    about = ["hidden in Excel"] * hidden + [f"{count(rows, 'row')} of it hidden"] * bool(rows)
    about += ["hidden columns"] * any(info.hidden for info in sheet.colinfo_map.values())
    return replace(table(name, records), part=sheet.name, hidden=hidden, about=", ".join(about))


def _shown(cell: Any, book: Any) -> Any:
    from xlrd import XL_CELL_BOOLEAN, XL_CELL_DATE, XL_CELL_NUMBER, XL_CELL_TEXT
    from xlrd.xldate import XLDateError, xldate_as_datetime

    value = cell.value
    if cell.ctype == XL_CELL_TEXT:
        return None if value in ERRORS else value
    if cell.ctype == XL_CELL_BOOLEAN:
        return bool(value)
    if cell.ctype not in (XL_CELL_NUMBER, XL_CELL_DATE):  # an error (#N/A) is nothing
        return None
    style = book.format_map[book.xf_list[cell.xf_index].format_key].format_str
    if cell.ctype == XL_CELL_DATE:
        try:
            moment = xldate_as_datetime(value, book.datemode)
        except (XLDateError, ValueError, OverflowError):
            return value
        return shown(moment.time() if value < 1 else moment, "")
    return shown(int(value) if value.is_integer() and abs(value) < _EXACT else value, style)


def _claims(raw: bytes, suffix: str) -> bool:
    return kinds.is_office_container(raw) and kinds.kind_of(raw, f"a{suffix}") is None


READER = Reader(suffixes=(".xls", ".xlt"), read=read, claims=_claims)
