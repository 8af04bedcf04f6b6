"""Owns Excel workbooks (.xlsx): every sheet is a table. Invariant: formulas are never run; the values last shown are read."""

from __future__ import annotations

import io
import zlib
from lzma import LZMAError
from typing import Any
from zipfile import BadZipFile

from loralab.core.errors import UserError
from loralab.datasets.archives import open_archive
from loralab.datasets.readers import MAX_BYTES, MAX_FILES, Reader, Table
from loralab.datasets.tabular import Numbered, table

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
    """A table per sheet that holds rows; rows numbered as Excel shows them."""
    if raw[:4] == b"\xd0\xcf\x11\xe0":
        todo = "Save it as .xlsx without a password."
        raise UserError(f"{name} is a workbook of an old format or with a password.", todo, code="old_excel")
    open_archive(raw, name, MAX_BYTES, MAX_FILES).close()
    import openpyxl

    try:
        book = openpyxl.load_workbook(io.BytesIO(raw), read_only=True, data_only=True)
        sheets = [(sheet.title, _records(sheet)) for sheet in book.worksheets]
        book.close()
    except DAMAGED as error:
        todo = "Open it in Excel and save it again as .xlsx."
        raise UserError(f"{name} is damaged or not an Excel workbook.", todo, code="bad_excel") from error
    filled = [(title, records) for title, records in sheets if records]
    tables = [table(name if len(filled) == 1 else f"{name}/{title}", records) for title, records in filled]
    if not any(made.rows for made in tables):
        raise UserError(f"{name} has no rows with examples.", "Add examples to it.", code="empty_file")
    return tables


def _records(sheet: Any) -> list[Numbered]:
    """Rows with something in them: sheets often carry thousands of formatted but empty rows."""
    rows = sheet.iter_rows(values_only=True)
    return [(number, list(cells)) for number, cells in enumerate(rows, 1) if any(cell not in (None, "") for cell in cells)]


READER = Reader(
    suffixes=(".xlsx", ".xlsm", ".xls"),
    read=read,
    claims=lambda raw, _suffix: (raw[:4] == b"PK\x03\x04" and b"xl/workbook.xml" in raw) or raw[:4] == b"\xd0\xcf\x11\xe0",
)
