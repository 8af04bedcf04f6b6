"""Owns the document: one text with its pages and tables, whatever file it came in. The readers of files are used as they are.

Invariants: every span quoted from a document is a span of `text`; a table's rows stand at the end of the text, a line each, so that they
can be quoted, too; a scan, a locked or a broken file is refused with the reader's own words.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

from loralab.core.errors import UserError
from loralab.core.records import LeftOut
from loralab.datasets.formats.cells import cell_text
from loralab.datasets.formats.documents import flowing_pages
from loralab.datasets.formats.encoding import decode
from loralab.datasets.formats.markup import blocks as html_blocks
from loralab.datasets.readers import Table, choose, pdf, plain, read_bytes, web_page
from loralab.datasets.synthesis.passages.blocks import Block, blocks, flat
from loralab.datasets.synthesis.rows import Passage

LIMIT = 1200  # characters of a passage
_CELL = 400  # characters of a cell that is asked about
_LOOKED = 4000  # characters that the language is told by


@dataclass(frozen=True)
class TableRow:
    """A row of a table: its cells with the span of each in the document's text."""

    number: int
    cells: dict[str, tuple[str, int, int]]  # column -> value, start, end
    start: int
    end: int


@dataclass(frozen=True)
class Grid:
    """A table of a document."""

    columns: tuple[str, ...]
    rows: tuple[TableRow, ...]
    headed: bool


@dataclass(frozen=True)
class Section:
    """What stands under one heading."""

    heading: str
    level: int
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """A document that can be read."""

    name: str
    text: str
    pages: tuple[tuple[int, int], ...] = ()  # offset at which a page begins, its number
    grids: tuple[Grid, ...] = ()
    prose: int = 0  # characters of running text; tables follow
    lost: tuple[LeftOut, ...] = field(default=())

    def page(self, offset: int) -> int:
        """The page of a place; 0 where the document has none."""
        at = bisect_right([start for start, _ in self.pages], offset) - 1
        return self.pages[at][1] if at >= 0 else 0

    def sections(self) -> list[Section]:
        """The running text by headings."""
        made: list[Section] = []
        heading, level, held = "", 0, list[Block]()
        for one in blocks(self.text[: self.prose]):
            if one.kind == "heading":
                if held or heading:
                    made.append(Section(heading, level, tuple(held)))
                heading, level, held = flat(self.text[one.start : one.end]), one.level, []
            else:
                held.append(one)
        return [*made, Section(heading, level, tuple(held))] if held or heading else made

    def language(self) -> str:
        """ISO 639-1 code of its words; empty where they are too few."""
        from py3langid import classify

        sample = self.text[:_LOOKED]
        return str(classify(sample)[0]) if sum(map(str.isalpha, sample)) >= 40 else ""


def read_document(raw: bytes, name: str) -> list[Document]:
    """The document in a file; several where the file holds several. Raises UserError where there is nothing to read."""
    reader = choose(raw, name)
    if reader is pdf.READER:
        return [_pdf(raw, name)]
    tables = read_bytes(raw, name)
    if reader is plain.READER:
        return [Document(name, (text := decode(raw, name).text.replace("\r\n", "\n")), prose=len(text), lost=_lost(tables))]
    if reader is web_page.READER and (text := _page_text(raw, name)):
        return [_with_tables(name, text, tables)]
    sources = dict.fromkeys(table.source for table in tables if table.rows)
    made = [_with_tables(source, _prose(source, tables), [one for one in tables if one.source == source]) for source in sources]
    if not made:
        raise UserError(f"{name} holds nothing to learn from.", "Choose another file.", code="no_text")
    return made


def passages(document: Document) -> list[Passage]:
    """The document in passages: blocks of one section while they fit; a table's rows for themselves."""
    made: list[Passage] = []

    def add(start: int, end: int, heading: str, page: int) -> None:
        text = document.text[start:end]
        made.append(Passage(id=f"{document.name}#{start}", source=document.name, page=page, offset=start, heading=heading, text=text))

    for section in document.sections():
        start = end = -1
        for one in section.blocks:
            if start >= 0 and one.end - start > LIMIT:
                add(start, end, section.heading, document.page(start))
                start = -1
            start, end = (one.start if start < 0 else start), one.end
        if start >= 0:
            add(start, end, section.heading, document.page(start))
    for grid in document.grids:
        for row in grid.rows:
            add(row.start, row.end, next(iter(row.cells.values()))[0] if row.cells else "", row.number)
    return made


def _pdf(raw: bytes, name: str) -> Document:
    """Pages with running heads taken out; a paragraph that goes on on the next page is one."""
    found = pdf.pages(raw, name)
    lost = tuple(LeftOut(row=number, source=name, reason=f"Page {number} {why}") for number, (_, why) in enumerate(found, 1) if why)
    numbers = [number for number, (text, why) in enumerate(found, 1) if not why and text.strip()]
    if not numbers:
        pdf.read(raw, name)  # which refuses it in its own words: a scan as a scan
    text, starts = "", list[tuple[int, int]]()
    for number, page in zip(numbers, flowing_pages([found[number - 1][0] for number in numbers]), strict=True):
        said = re.sub(r"\n+", "\n\n", page.strip())
        goes_on = text and text[-1:].isalpha() and said[:1].islower()
        text += " " if goes_on else "\n\n" if text else ""
        starts.append((len(text), number))
        text += said
    return Document(name, text, tuple(starts), prose=len(text), lost=lost)


def _page_text(raw: bytes, name: str) -> str:
    """A web page's paragraphs as they stand on it: not cut, headings and items on lines of their own."""
    found, title, _ = html_blocks(decode(raw, name).text)
    said = [block.strip() for block in found if isinstance(block, str) and block.strip()]
    return "\n\n".join([title, *said] if title and title not in said[:1] else said)


def _prose(source: str, tables: Sequence[Table]) -> str:
    """Running text, put together of the passages that the reader cut it into."""
    return "\n\n".join(str(row.values["text"]) for table in tables if table.source == source and table.is_prose for row in table.rows)


def _lost(tables: Sequence[Table]) -> tuple[LeftOut, ...]:
    return tuple(lost for table in tables for lost in table.left_out)


def _with_tables(name: str, text: str, tables: Sequence[Table]) -> Document:
    """The running text with the rows of all tables behind it."""
    prose = len(text)
    grids: list[Grid] = []
    for table in (one for one in tables if not one.is_prose and one.rows):
        columns = table.columns or tuple(dict.fromkeys(key for row in table.rows for key in row.values))
        rows: list[TableRow] = []
        pieces = [text]
        at = len(text)
        for row in table.rows:
            line, cells = _line(columns, row.values, at + 2)
            if cells:
                rows.append(TableRow(row.number, cells, at + 2, at + 2 + len(line)))
                pieces += ["\n\n", line]
                at += 2 + len(line)
        text = "".join(pieces)
        grids.append(Grid(tuple(columns), tuple(rows), table.headed))
    return Document(name, text, grids=tuple(grids), prose=prose, lost=_lost(tables))


def _line(columns: Sequence[str], values: dict[str, object], at: int) -> tuple[str, dict[str, tuple[str, int, int]]]:
    """A row as “column: value; column: value”, and where in the text each value stands."""
    said, cells = "", dict[str, tuple[str, int, int]]()
    for column in columns:
        value = flat(cell_text(values.get(column)))[:_CELL]
        if not value:
            continue
        said += f"{'; ' if said else ''}{column}: "
        cells[column] = (value, at + len(said), at + len(said) + len(value))
        said += value
    return said, cells
