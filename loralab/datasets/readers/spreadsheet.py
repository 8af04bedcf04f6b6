"""Owns Excel workbooks (.xlsx): every sheet is a table. Invariant: formulas are never run; what was last shown is read."""

from __future__ import annotations

import io
import re
import warnings
import zipfile
import zlib
from dataclasses import replace
from lzma import LZMAError
from typing import Any
from zipfile import BadZipFile

from loralab.core.errors import UserError
from loralab.core.words import count
from loralab.datasets.formats.archives import members, open_archive
from loralab.datasets.formats.shown import shown
from loralab.datasets.formats.tabular import Numbered, table
from loralab.datasets.readers import MAX_BYTES, MAX_FILES, Reader, Table

_NO_RESULT = re.compile(rb"<f\b[^<>]*(?:/>|>[^<>]*</f>)\s*(?:<v\s*/>|<v></v>)?\s*</c>")

# What a damaged workbook makes openpyxl raise; ElementTree's ParseError is a SyntaxError.
DAMAGED = (
    BadZipFile,
    zlib.error,
    LZMAError,
    KeyError,
    ValueError,
    TypeError,
    IndexError,
    AttributeError,
    SyntaxError,
    EOFError,
    OSError,
    OverflowError,
    RuntimeError,
)


def read(raw: bytes, name: str) -> list[Table]:
    """A table per sheet that holds rows, hidden ones too; rows numbered as Excel shows them, cells as it shows them."""
    import openpyxl

    with open_archive(raw, name, MAX_BYTES, MAX_FILES) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what openpyxl says of a file is for programmers
        try:
            book = openpyxl.load_workbook(io.BytesIO(raw), read_only=True, data_only=True)
            tables = [made for sheet in book.worksheets if (made := _sheet(sheet, archive, name))]
            book.close()
        except DAMAGED as error:
            todo = "Open it in Excel and save it again as .xlsx."
            raise UserError(f"{name} is damaged or not an Excel workbook.", todo, code="bad_excel") from error
    if not any(made.rows for made in tables):
        what = f"{name} has no rows with examples."
        unread = next((made.about for made in tables if "formula" in made.about), "")
        raise UserError(f"{what[:-1]}: {unread}." if unread else what, "Add examples to it.", code="empty_file")
    return tables


def _sheet(sheet: Any, archive: zipfile.ZipFile, name: str) -> Table | None:
    """The table of a sheet; None where it is empty."""
    sheet.reset_dimensions()  # what a file says of its size may be a million columns
    records = _records(sheet)
    if not records:
        return None
    hidden = sheet.sheet_state != "visible"
    about = ["hidden in Excel"] * hidden
    place = str(vars(sheet).get("_worksheet_path", ""))
    if place in archive.namelist():
        text = archive.read(place)
        rows, columns = (len(re.findall(rb"<%s [^<>]*hidden=\"(?:1|true)\"" % kind, text)) for kind in (b"row", b"col"))
        unknown = len(_NO_RESULT.findall(text))
        about += [f"{count(rows, 'row')} of it hidden"] * bool(rows) + ["hidden columns"] * bool(columns)
        about += [f"{count(unknown, 'formula')} without a stored result: open it in Excel and save it again"] * bool(unknown)
    return replace(table(name, records), part=sheet.title, hidden=hidden, about=", ".join(about))


def _records(sheet: Any) -> list[Numbered]:
    """Rows with something in them: sheets often carry thousands of formatted but empty rows."""
    records: list[Numbered] = []
    for number, row in enumerate(sheet.iter_rows(), 1):
        cells = [_shown(cell) for cell in row]
        while cells and cells[-1] in (None, ""):
            cells.pop()
        if cells:
            records.append((number, cells))
    return records


def _shown(cell: Any) -> Any:
    value = cell.value
    return value if value is None else shown(value, "" if isinstance(value, str) else str(cell.number_format or ""))


READER = Reader(
    suffixes=(".xlsx", ".xlsm"),
    read=read,
    claims=lambda raw, _suffix: raw[:4] == b"PK\x03\x04" and any(name.startswith("xl/workbook.") for name in members(raw)),
)
