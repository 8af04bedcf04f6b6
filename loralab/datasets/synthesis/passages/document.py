"""Owns the document: one text with its pages and tables, whatever file it came in. The readers of files are used as they are.

Invariants: every span quoted from a document is a span of `text`; a table's rows stand at the end of the text, a line each, so that they
can be quoted, too; a scan, a locked or a broken file is refused with the reader's own words.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from loralab.core.errors import UserError
from loralab.core.records import LeftOut
from loralab.datasets.formats.cells import cell_text
from loralab.datasets.formats.documents import Block as Part
from loralab.datasets.formats.encoding import decode
from loralab.datasets.formats.markup import Headed
from loralab.datasets.formats.markup import blocks as html_blocks
from loralab.datasets.formats.pages import paragraphs, said
from loralab.datasets.formats.tabular import table, under
from loralab.datasets.readers import Reader, Table, choose, ebook, pdf, plain, read_bytes, web_page, word
from loralab.datasets.synthesis.passages.apart import asks_for_praise, is_furniture, lists_goals, stands_apart
from loralab.datasets.synthesis.passages.blocks import Block, blocks, flat
from loralab.datasets.synthesis.passages.cleaning import cleaned, frame, without_emphasis, without_notes
from loralab.datasets.synthesis.passages.pipes import without_tables
from loralab.datasets.synthesis.rows import Passage

LIMIT = 1200  # characters of a passage
_CELL = 400  # characters of a cell that is asked about
_TOLD = 80  # characters of a paragraph that tells
_BUTTON = 25  # characters of what can be pressed
_SOME = 0.5  # of a page's text: where less is left, what is left out by its name was the text
_NAME = 60  # characters of a column's name
_TAG = re.compile(r"</?(?:br|p|b|i|em|strong|ul|ol|li|div|span|a|h[1-6])\b[^<>]{0,200}>", re.IGNORECASE)  # in cells of a shop's export
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
    goes_on: bool = False  # it is the next scene under the heading before it


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
        """The running text by headings, without the parts that hold no text to learn from: contents, references, exercises, menus."""
        made: list[Section] = []
        for one in self._all_sections():
            if not stands_apart(one.heading, [self.text[block.start : block.end] for block in one.blocks]):
                made.append(one)
            elif lists_goals(one.heading) and made and not made[-1].blocks:
                made[-1] = replace(
                    made[-1], blocks=_behind_goals(self.text, one.blocks)
                )  # what follows the goals is the chapter's beginning
        return made

    def _all_sections(self) -> list[Section]:
        made: list[Section] = []
        heading, level, held, praised, goes_on = "", 0, list[Block](), False, False
        for one in blocks(self.text[: self.prose]):
            said = self.text[one.start : one.end]
            praised = asks_for_praise(said) or (praised and len(said) < _BUTTON)
            if one.kind == "para" and held and not any(map(str.isalnum, said)):
                made.append(Section(heading, level, tuple(held), goes_on))
                held, goes_on = [], True
            if praised or (one.kind == "para" and is_furniture(said)):
                continue
            if one.kind == "heading":
                if held or heading:
                    made.append(Section(heading, level, tuple(held), goes_on))
                heading, level, held, goes_on = flat(said), one.level, [], False
            else:
                held.append(one)
        return [*made, Section(heading, level, tuple(held), goes_on)] if held or (heading and not goes_on) else made

    def language(self) -> str:
        """ISO 639-1 code of its words; empty where they are too few."""
        from py3langid import classify

        sample = self.text[:_LOOKED]
        return str(classify(sample)[0]) if sum(map(str.isalpha, sample)) >= 40 else ""


def _behind_goals(text: str, held: Sequence[Block]) -> tuple[Block, ...]:
    """The blocks from the first paragraph of whole sentences on."""
    told = (at for at, one in enumerate(held) if one.kind == "para" and one.end - one.start >= _TOLD and text[one.end - 1] == ".")
    return tuple(held[next(told, len(held)) :])


def read_document(raw: bytes, name: str) -> list[Document]:
    """The document in a file; several where the file holds several. Raises UserError where there is nothing to read."""
    reader = choose(raw, name)
    if reader is pdf.READER:
        return [_pdf(raw, name)]
    tables = read_bytes(raw, name)
    if reader is plain.READER:
        text, cells = without_tables(cleaned(decode(raw, name).text, markdown=name.lower().endswith((".md", ".markdown"))))
        return [_with_tables(name, text, _tables(name, cells), _lost(tables))]
    if reader in _MARKED and (parts := _marked(reader, raw, name)):
        said = [part.strip() for part in parts if isinstance(part, str) and part.strip()]
        text = without_notes("\n\n".join(said)).replace("\u00ad", "")
        return [_with_tables(name, text, _tables(name, parts), _lost(tables))]
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
    """Pages as they are printed: without running heads and notes, headings marked; a paragraph that goes on on the next page is one."""
    found = pdf.lines(raw, name)
    lost = tuple(LeftOut(row=number, source=name, reason=f"Page {number} {why}") for number, (_, why) in enumerate(found, 1) if why)
    if not any(lines for lines, _ in found):
        pdf.read(raw, name)  # which refuses it in its own words: a scan as a scan
    hyphenated = frozenset(re.findall(r"(?<!\w)\w{1,40}-\w{1,40}", " ".join(line.text for lines, _ in found for line in lines).casefold()))
    text, starts, cells = "", list[tuple[int, int]](), list[Part]()
    for one in paragraphs([lines for lines, _ in found]):
        if one.table:
            cells.append(one.table)
            continue
        text += "\n\n" if text else ""
        text += f"{'#' * one.level} " if one.level else ""
        for piece, page in said(one, hyphenated):
            if not starts or starts[-1][1] != page:
                starts.append((len(text), page))
            text += without_emphasis(piece)
    start, end = frame(text)
    pages = tuple((max(0, at - start), page) for at, page in starts if at < end)
    return replace(_with_tables(name, text[start:end], _tables(name, cells), lost), pages=pages)


def _page(raw: bytes, name: str) -> list[Part]:
    """A web page's paragraphs as they stand on it: not cut, headings and items marked. All of it where names of parts mislead."""
    text = decode(raw, name).text
    whole, (found, _, _) = _length(html_blocks(text)[0]), html_blocks(text, marked=True)
    return found if _length(found) >= _SOME * whole else html_blocks(text, menus=True, marked=True)[0]


def _length(parts: Sequence[Part]) -> int:
    return sum(len(part) for part in parts if isinstance(part, str))


_MARKED = {web_page.READER: _page, word.READER: word.marked, ebook.READER: ebook.marked}


def _marked(reader: Reader, raw: bytes, name: str) -> list[Part]:
    """Its parts with their marks; none where what says the marks is damaged, so that it is read without them."""
    try:
        return _MARKED[reader](raw, name)
    except (ValueError, RecursionError, StopIteration):
        return []


def _tables(name: str, parts: Sequence[Part]) -> list[Table]:
    """The tables among parts. The first row of one within a text names its columns where the page says so or all of it looks like that."""
    made: list[Table] = []
    for cells in (part for part in parts if not isinstance(part, str) and len(part) > 1):
        numbered = [(number, list(row)) for number, row in enumerate(cells, 1)]
        found = table(name, numbered)
        first = [flat(cell) for cell in cells[0]]
        names = len(first) == len(set(first)) and all(0 < len(cell) <= _NAME and not re.search(r"\d{3}", cell) for cell in first)
        if not found.headed and names and (isinstance(cells, Headed) or (len(first) > 2 and len(cells) > 2)):
            found = under(name, tuple(first), numbered[1:])
            found.headed = True
        made.append(found)
    return made


def _prose(source: str, tables: Sequence[Table]) -> str:
    """Running text, put together of the passages that the reader cut it into."""
    return "\n\n".join(str(row.values["text"]) for table in tables if table.source == source and table.is_prose for row in table.rows)


def _lost(tables: Sequence[Table]) -> tuple[LeftOut, ...]:
    return tuple(lost for table in tables for lost in table.left_out)


def _with_tables(name: str, text: str, tables: Sequence[Table], lost: tuple[LeftOut, ...] = ()) -> Document:
    """The running text with the rows of all tables behind it."""
    prose = len(text)
    grids: list[Grid] = []
    for held in (one for one in tables if not one.is_prose and one.rows):
        columns = held.columns or tuple(dict.fromkeys(key for row in held.rows for key in row.values))
        rows: list[TableRow] = []
        pieces = [text]
        at = len(text)
        for row in held.rows:
            line, cells = _line(columns, row.values, at + 2)
            if cells:
                rows.append(TableRow(row.number, cells, at + 2, at + 2 + len(line)))
                pieces += ["\n\n", line]
                at += 2 + len(line)
        text = "".join(pieces)
        grids.append(Grid(tuple(columns), tuple(rows), held.headed))
    return Document(name, text, grids=tuple(grids), prose=prose, lost=lost or _lost(tables))


def _line(columns: Sequence[str], values: dict[str, object], at: int) -> tuple[str, dict[str, tuple[str, int, int]]]:
    """A row as “column: value; column: value”, and where in the text each value stands."""
    said, cells = "", dict[str, tuple[str, int, int]]()
    for column in columns:
        value = flat(_TAG.sub(" ", cell_text(values.get(column))))[:_CELL]
        if not value:
            continue
        said += f"{'; ' if said else ''}{column}: "
        cells[column] = (value, at + len(said), at + len(said) + len(value))
        said += value
    return said, cells
