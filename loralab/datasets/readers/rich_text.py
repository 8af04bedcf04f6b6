"""Owns rich text (.rtf): its words in passages, each table of several columns as a table.

Invariants: what was deleted under “track changes” is not read; what else is not read (pictures, notes, text boxes) is counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from loralab.core.errors import UserError
from loralab.core.words import count
from loralab.datasets.formats.documents import Block, Cells, framed, parts
from loralab.datasets.readers import Reader, Table, plain

_MAGIC = b"{\\rtf"
_MOST = 100 << 20  # bytes without pictures
_CELL, _ROW, _BEGINS, _LINE = "\ufdd0\ufdd1\ufdd2\ufdd3"  # no letters: they stand for marks of the format while it is taken apart
_MARKS = {"cell": _CELL, "nestcell": _CELL, "row": _ROW, "nestrow": _ROW, "trowd": _BEGINS, "line": _LINE}
_MARK = re.compile(r"(?<!\\)((?:\\\\)*)\\(nestcell|nestrow|cell|row|trowd|line)(?![a-z\d-]) ?")
_DELETED = re.compile(r"(?<!\\)((?:\\\\)*)\\deleted1?(?![a-z\d]) ?")
_PICTURE = re.compile(rb"[0-9A-Fa-f\r\n]{200,}")  # written as digits: no text has so many in a row
_PAGE = re.compile(rb"\\ansicpg(\d{3,5})")
_UNREAD = {"picture": rb"\\pict(?![a-z])", "note": rb"\\footnote(?![a-z])|\\annotation(?![a-z])", "text box": rb"\\shptxt(?![a-z])"}


def read(raw: bytes, name: str) -> list[Table]:
    """The words of the paragraphs as passages, and the tables."""
    from striprtf.striprtf import rtf_to_text

    if not raw.startswith(_MAGIC):
        return plain.read(raw, name)  # a text that only its name calls rich
    bare = _PICTURE.sub(b"", raw)
    if len(bare) > _MOST:
        raise UserError(f"{name} holds more than 100 MB of text.", "Split it, or take a part of it.", code="file_too_big")
    try:
        text = _plain(rtf_to_text(_prepared(bare), encoding=_code_page(bare), errors="replace"))
    except (ValueError, TypeError, LookupError, OverflowError) as error:
        todo = "Open it in a word processor, save it as .docx, and choose that."
        raise UserError(f"{name} is damaged or not a rich text.", todo, code="bad_rich_text") from error
    more = [f"{count(n, kind)} not read" for kind, mark in _UNREAD.items() if (n := len(re.findall(mark, raw)))]
    more += [] if raw.rstrip(b"\0 \t\r\n").endswith(b"}") else ["cut off before its end"]
    made = parts(name, _blocks(text), ", ".join(more))
    if not any(one.rows for one in made):
        raise UserError(f"{name} holds no text.", "Choose a file with examples in it.", code="empty_file")
    return made


def _prepared(raw: bytes) -> str:
    """The same with marks in place of what would be lost, and without what was deleted."""
    text = raw.decode(_code_page(raw), errors="replace").replace("\0", "")
    text = _MARK.sub(lambda found: found[1] + _MARKS[found[2]], text)
    text = _DELETED.sub(lambda found: f"{found[1]}\\*", text)
    return text.replace("\\fldinst{", "\\fldinst {")  # of a link the words stay: the library would take all between two links for one


def _code_page(raw: bytes) -> str:
    found = _PAGE.search(raw[:4096])
    page = f"cp{found[1].decode()}" if found else "mac_roman" if b"\\mac\\" in raw[:200] else "cp1252"
    try:
        b"".decode(page)
    except LookupError:
        return "cp1252"
    return page


def _plain(text: str) -> str:
    """Letters that are written as two numbers are one; hyphens that nobody sees are none."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", errors="replace").replace("\xad", "").replace("\0", "")


def _blocks(text: str) -> Iterator[Block]:
    """Paragraphs and tables in reading order."""
    rows: Cells = []
    for piece in re.split(f"({_ROW})", text):
        before, cells = _row(piece) if _CELL in piece else (piece.strip(_ROW + _BEGINS), [])
        if before.strip() and rows:
            yield from framed(rows)
            rows = []
        yield from map(_cell, before.split("\n"))
        rows += [cells] if cells else []
    if rows:
        yield from framed(rows)


def _row(piece: str) -> tuple[str, list[str]]:
    """What stands before a row of a table, and its cells. A row may say twice how it looks: where it begins, and where it ends."""
    first, *cells = piece.split(_CELL)
    before, begun, said = first.partition(_BEGINS)
    if not begun:
        before, _, said = first.rpartition("\n")
    return before, [_cell(cell) for cell in [said, *cells[:-1]]]


def _cell(text: str) -> str:
    return text.replace(_BEGINS, "").replace(_ROW, "").replace(_LINE, "\n").strip()


READER = Reader(suffixes=(".rtf",), read=read, claims=lambda raw, _suffix: raw.startswith(_MAGIC))
