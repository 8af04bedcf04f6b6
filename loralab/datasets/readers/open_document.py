"""Owns OpenDocument texts and tables (.odt, .ods): running text in passages, tables and sheets as tables.

Invariant: a cell reads as the program shows it (12.5 %, not 0.125); what was deleted under “record changes” is not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from xml.etree import ElementTree as ET

from loralab.core.errors import UserError
from loralab.core.words import count
from loralab.datasets.formats import kinds
from loralab.datasets.formats.archives import content, members, open_archive
from loralab.datasets.formats.documents import Block, framed, parts, setting, tag, tree
from loralab.datasets.formats.tabular import Numbered, table
from loralab.datasets.readers import MAX_BYTES, MAX_FILES, Reader, Table

_SUFFIXES = (".odt", ".ott", ".fodt", ".ods", ".ots", ".fods")
_UNSEEN = {"tracked-changes", "annotation", "annotation-end", "note-citation", "forms", "sequence-decls", "bookmark"}
_ROWS = {"table-rows", "table-header-rows", "table-row-group"}
_COLUMNS = 1000
_ENCRYPTED = b"encryption-data"


def read(raw: bytes, name: str) -> list[Table]:
    """Of a text its passages and tables, of a workbook a table per sheet with the rows' own numbers."""
    whole = raw if raw.lstrip()[:1] == b"<" else _content(raw, name)
    try:
        document = tree(whole)
        body = next((inner for outer in document.iter() if tag(outer) == "body" for inner in outer), None)
        if body is None or tag(body) not in ("text", "spreadsheet"):
            raise kinds.NotRead(kinds.SLIDES, name)
        made = parts(name, _blocks(body)) if tag(body) == "text" else list(_sheets(name, document, body))
    except (ValueError, RecursionError) as error:
        raise _damaged(name) from error
    if not any(one.rows for one in made):
        raise UserError(f"{name} holds no text.", "Choose a file with examples in it.", code="empty_file")
    return made


def _content(raw: bytes, name: str) -> bytes:
    with open_archive(raw, name, MAX_BYTES, MAX_FILES) as archive:
        inside = {member.filename: member for member in archive.infolist()}
        if "content.xml" not in inside:
            raise _damaged(name)
        manifest = inside.get("META-INF/manifest.xml")
        kinds.refuse(kinds.LOCKED if manifest and _ENCRYPTED in content(archive, manifest) else None, name)
        return content(archive, inside["content.xml"])


def _damaged(name: str) -> UserError:
    todo = "Open it in LibreOffice and save it again."
    return UserError(f"{name} is damaged or not an OpenDocument file.", todo, code="bad_open_document")


def _blocks(element: ET.Element) -> Iterator[Block]:
    """Paragraphs and tables in reading order."""
    for child in element:
        kind = tag(child)
        if kind in ("p", "h"):
            yield "".join(_words(child)).strip("\n")
        elif kind == "table":
            yield from framed([[_cell(cell) for cell in _repeated(row, 1)] for row in _rows(child)])
        elif kind not in _UNSEEN:
            yield from _blocks(child)


def _words(element: ET.Element) -> Iterator[str]:
    """The text of a paragraph; blanks and line breaks are elements, notes stand in brackets."""
    yield element.text or ""
    for child in element:
        kind = tag(child)
        if kind == "s":
            yield " " * min(100, int(setting(child, "c") or 1))
        elif kind in ("tab", "line-break"):
            yield "\t" if kind == "tab" else "\n"
        elif kind == "note-body":
            yield f" [{' '.join(''.join(_words(part)).strip() for part in child)}]"
        elif kind not in _UNSEEN:
            yield from _words(child)
        yield child.tail or ""


# ---- sheets ------------------------------------------------------------------------------------------------------------------


def _sheets(name: str, document: ET.Element, body: ET.Element) -> Iterator[Table]:
    unseen = {
        setting(style, "name")
        for style in document.iter()
        if tag(style) == "style" and any(setting(about, "display") == "false" for about in style if tag(about) == "table-properties")
    }
    for sheet in (child for child in body if tag(child) == "table"):
        records, hidden_rows = _records(sheet)
        if records:
            hidden = setting(sheet, "style-name") in unseen
            about = ["hidden"] * hidden + [f"{count(hidden_rows, 'row')} of it hidden"] * bool(hidden_rows)
            yield replace(table(name, records), part=setting(sheet, "name"), hidden=hidden, about=", ".join(about))


def _records(sheet: ET.Element) -> tuple[list[Numbered], int]:
    """Rows with something in them, and how many of these are hidden; a row may stand for several that are alike."""
    records: list[Numbered] = []
    number = hidden = 0
    for row in _rows(sheet):
        times = max(1, int(setting(row, "number-rows-repeated") or 1))
        cells: list[str] = [_cell(cell) for cell in _repeated(row, _COLUMNS)]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            if len(records) + times > _MOST_ROWS:
                raise ValueError
            records += [(number + at, list(cells)) for at in range(1, times + 1)]
            hidden += times * (setting(row, "visibility") in ("collapse", "filter"))
        number += times
    return records, hidden


_MOST_ROWS = 2_000_000  # of one sheet: programs allow a million


def _rows(element: ET.Element) -> Iterator[ET.Element]:
    for child in element:
        if tag(child) == "table-row":
            yield child
        elif tag(child) in _ROWS:
            yield from _rows(child)


def _repeated(row: ET.Element, most: int) -> Iterator[ET.Element]:
    """The cells of a row, those that stand for several as often as they do, at most `most` times."""
    for cell in row:
        if tag(cell) in ("table-cell", "covered-table-cell"):
            times = int(setting(cell, "number-columns-repeated") or 1)
            yield from [cell] * max(1, min(times, most))


def _cell(cell: ET.Element) -> str:
    """What the program shows in a cell: the paragraphs in it, or its value where none are stored."""
    said = "\n".join("".join(_words(part)) for part in cell if tag(part) in ("p", "h", "list"))
    return said or setting(cell, "string-value") or setting(cell, "date-value") or setting(cell, "value")


def _claims(raw: bytes, _suffix: str) -> bool:
    """By its members, or where it is one file of XML."""
    flat = raw[:1].strip() == b"<" and b"office:document" in raw[:400]
    return flat or (raw[:4] == b"PK\x03\x04" and members(raw) >= {"mimetype", "content.xml"})


READER = Reader(suffixes=_SUFFIXES, read=read, claims=_claims)
