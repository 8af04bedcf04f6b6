"""Owns what documents share: their paragraphs and tables become parts, lines that a page broke become paragraphs again, XML is safe.

Invariant: a line that was not broken by the page's width stays a line of its own, so that a poem or a list keeps its shape.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from xml.etree import ElementTree as ET

from loralab.core.records import LeftOut
from loralab.core.words import count
from loralab.datasets.formats.passages import passages
from loralab.datasets.formats.tabular import Numbered, table
from loralab.datasets.readers import Row, Table

Cells = list[list[str]]  # the rows of a table
Block = str | Cells  # what a document holds one after the other: paragraphs and tables
MAX_XML = 100 << 20  # bytes; a tree of them takes ten times as much
_NO_ENTITIES = re.compile(rb"<!DOCTYPE[^>\[]*>")

_FULL = 0.8  # of the usual width: a line that long was ended by the page, not by its writer
_NARROW = 60  # characters: where full lines are shorter, nobody can say who ended them
_ENDS = tuple(".!?:;…”\"'»)。！？")
_HYPHEN = re.compile(r"(\w)[-\u00ad]$")
_REPEATED = 0.6  # of the pages
_HEADS = 2  # lines at the top, and at the bottom
_FEW_PAGES = 4  # fewer say nothing about what is on every page


def parts(name: str, blocks: Iterable[Block], more: str = "", lost: Sequence[LeftOut] = ()) -> list[Table]:
    """The running text as passages, then the tables that hold rows, tables with the same columns as one. `more`: what else is told."""
    found = list(blocks)
    prose = [block for block in found if isinstance(block, str) and block.strip()]
    rows = [Row(number, {"text": passage}) for number, passage in enumerate(passages("\n\n".join(prose)), 1)]
    about = ", ".join(filter(None, (count(len(prose), "paragraph"), more)))
    made = [Table(name, rows, ("text",), left_out=list(lost), is_prose=True, part="Text", about=about)] if rows or lost else []
    made += [replace(table(name, cells), part=f"Table {at}") for at, cells in enumerate(_joined_tables(found), 1)]
    return [one for one in made if one.rows or one.left_out]


def framed(cells: Cells) -> list[Block]:
    """A table, or, where it has one column or one row only, the text that it frames."""
    if len(cells) > 1 and max(map(len, cells)) > 1:
        return [cells]
    return [cell for row in cells for cell in row]


def _joined_tables(blocks: Iterable[Block]) -> list[list[Numbered]]:
    """Tables with numbered rows; one that goes on on the next page, under the same first row, is one."""
    kept: list[Cells] = []
    for rows in (block for block in blocks if not isinstance(block, str)):
        if kept and kept[-1][0] == rows[0]:
            kept[-1] += rows[1:]
        else:
            kept.append(rows)
    return [[(number, list(row)) for number, row in enumerate(rows, 1)] for rows in kept]


def tree(raw: bytes) -> ET.Element:
    """The elements of XML that defines nothing of its own. Raises ValueError where it does, is damaged or far too large."""
    text = _NO_ENTITIES.sub(b"", raw, count=1)
    if b"<!DOCTYPE" in text or b"\0" in text[:200] or len(text) > MAX_XML:
        raise ValueError
    try:
        return ET.fromstring(text)  # noqa: S314 - without definitions, refused above, there is nothing to expand
    except ET.ParseError as error:
        raise ValueError from error


def tag(element: ET.Element) -> str:
    """The name of an element without its namespace."""
    return element.tag.rpartition("}")[2]


def setting(element: ET.Element, name: str) -> str:
    """An attribute by its name without the namespace; "" where it is not set."""
    return next((value for key, value in element.attrib.items() if key.rpartition("}")[2] == name), "")


def flowing(pages: Sequence[str]) -> tuple[str, int]:
    """The text of pages as paragraphs, and how many lines were taken out because they stand on every page."""
    kept, taken = _without_running_heads([_lines(page) for page in pages])
    lines = [line for page in kept for line in page]
    return "\n".join(_joined(lines, _width(lines))), taken


def _width(lines: Sequence[str]) -> int:
    """How long a full line is; 0 where lines are too short to say who ended them."""
    lengths = sorted(len(line) for line in lines if line)
    width = lengths[round(0.9 * (len(lengths) - 1))] if lengths else 0
    return width if width >= _NARROW else 0


def readable(text: str) -> bool:
    """Whether most of it is letters and blanks: fonts without a table of letters come out as signs."""
    shown = [char for char in text if not char.isspace()]
    return not shown or sum(char.isalnum() and not "\ue000" <= char <= "\uf8ff" for char in shown) >= 0.5 * len(shown)


def _lines(page: str) -> list[str]:
    lines = [re.sub(r"[ \t\u00a0]+", " ", line).rstrip() for line in page.replace("\r", "\n").split("\n")]
    while lines and not lines[-1]:
        lines.pop()
    while lines and not lines[0]:
        lines.pop(0)
    return lines


def _without_running_heads(pages: list[list[str]]) -> tuple[list[list[str]], int]:
    """Pages without their first and last line where that is the same on most of them, numbers aside."""
    filled = [page for page in pages if page]
    if len(filled) < _FEW_PAGES:
        return filled, 0
    taken = 0
    for at in (0, -1):
        for _ in range(_HEADS):
            marks = Counter(_mark(page[at]) for page in filled if len(page) > 1)
            mark, count = marks.most_common(1)[0] if marks else ("", 0)
            if count < _REPEATED * len(filled):
                break
            for page in filled:
                if len(page) > 1 and _mark(page[at]) == mark:
                    page.pop(at)
                    taken += 1
    return filled, taken


def _mark(line: str) -> str:
    return re.sub(r"\d+|\b[ivxlc]+\b", "#", line.strip().casefold())


def _joined(lines: Sequence[str], width: int) -> list[str]:
    """Lines that the page broke put together; `width` 0: none was."""
    joined: list[str] = []
    open_ended = False  # the last line was ended by the page
    for line in lines:
        if joined and open_ended and line:
            joined[-1] = _HYPHEN.sub(r"\1", joined[-1]) + line if _goes_on(joined[-1], line) else f"{joined[-1]} {line}"
        else:
            joined.append(line)
        full = bool(width) and len(line) >= _FULL * width
        open_ended = full and not (line.endswith(_ENDS) and len(line) < 0.95 * width)
    return joined


def _goes_on(before: str, line: str) -> bool:
    """Whether a word was divided at the line's end."""
    return bool(_HYPHEN.search(before)) and line[:1].islower()
