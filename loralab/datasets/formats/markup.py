"""Owns the words of HTML: what a browser would show, as paragraphs and tables. Invariant: one pass, whatever the file holds.

Own code: the standard library's parser takes minutes for a file made to stop it in the versions of Python that we run on.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Iterator

from loralab.datasets.formats.documents import Block, Cells, framed

_TAG = re.compile(r"<(/?)([a-zA-Z][\w:-]*)([^<>]*)>")
_SPAN = re.compile(r"\b(col|row)span\s*=\s*[\"']?(\d{1,4})", re.IGNORECASE)
_UNSEEN = re.compile(r"\bhidden(?=[\s=/>]|$)|display\s*:\s*none", re.IGNORECASE)
_RAW = ("script", "style", "textarea", "noscript", "template", "svg", "iframe")  # their content is no text of the page
_AROUND = ("nav", "footer", "aside", "menu")
_HIDDEN = ("div", "section", "dialog", "form")  # what a page may hide; others are often not closed
_BLOCKS = frozenset(
    (
        *("address", "article", "blockquote", "body", "caption", "center", "dd", "details", "div", "dl", "dt", "fieldset", "figcaption"),
        *("figure", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "html", "li", "main", "ol", "option", "p", "pre"),
        *("section", "summary", "title", "ul"),
    )
)
_MOST_SPAN, _MOST_PADDED = 200, 100_000
# Around the text by what pages call it: only looked for where marks are asked for, because a name is no proof.
_NAMED = re.compile(
    r"(?:class|id|role)\s*=\s*[\"'][^\"'>]{0,200}\b(?:cookies?|consent|breadcrumbs?|(?:doc-)?(?:foot|end)notes?|newsletter|related|share|social"
    r"|sidebar|toc|pagination|references)\b",
    re.IGNORECASE,
)
_CAN_BE_NAMED = ("div", "section", "ol", "ul", "figcaption", "caption")
_FEW_PIECES = 6  # of what is only the mark of an item
_NOTE = re.compile(r"\[?[\d*†‡§a-z]{1,3}\]?")
_RAISED = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")


class Headed(list[list[str]]):
    """A table whose first row the page marks as the names of its columns."""


class _Page:
    """What was read so far: finished blocks, the paragraph that is open, and the tables that are."""

    def __init__(self, marked: bool = False) -> None:
        self.marked = marked
        self.lists: list[int] = []  # the number of the last item of each open list; -1: it is not numbered
        self.raised = -1  # how many words there were before the raised ones
        self.named = False  # the open row holds cells that name columns
        self.blocks: list[Block] = []
        self.words: list[str] = []
        self.tables: list[Cells] = []
        self.cell: tuple[int, int] | None = None  # how many columns and rows the open cell spans
        self.pending: dict[int, tuple[int, str]] = {}  # cells that reach down into the next rows: column -> rows left, words
        self.pre = 0
        self.padded = 0

    def text(self) -> str:
        """The words since the last break, as a browser would wrap them."""
        said = "".join(self.words)
        self.words = []
        if self.pre:
            return said.strip("\n")
        lines = (" ".join(line.split()) for line in said.split("\n"))
        return "\n".join(lines).strip("\n")

    def end_block(self) -> None:
        if self.cell is not None:
            self.words.append("\n")
        elif self.marked and len(self.words) < _FEW_PIECES and re.fullmatch(r"\s*(?:-|\d+\.|#{1,6}) \s*", "".join(self.words)):
            pass  # the mark of an item whose words come in a paragraph of their own
        elif said := self.text():
            self.blocks.append(said)

    def open_table(self) -> None:
        if self.tables and self.cell is not None:  # a table within a table: the outer one only lays out the page
            self.cell = None
            self.end_block()
            self.blocks.extend(cell for row in self.tables[-1] for cell in row if cell)
            self.tables[-1] = []
        self.end_block()
        self.tables.append([])
        self.pending = {}

    def close_table(self) -> None:
        self.close_cell()
        if self.tables:
            rows = [row for row in self.tables.pop() if any(row)]
            if rows:
                self.blocks.extend(framed(Headed(rows) if self.named else rows))
            self.named = False

    def open_row(self) -> None:
        self.close_cell()
        if self.tables:
            self.tables[-1].append([])
            self._reach_down()

    def open_cell(self, about: str) -> None:
        self.close_cell()
        if not self.tables:
            return self.end_block()
        if not self.tables[-1]:
            self.open_row()
        self.text()
        spans = {kind.lower(): min(int(n), _MOST_SPAN) for kind, n in _SPAN.findall(about)}
        self.cell = (max(1, spans.get("col", 1)), max(1, spans.get("row", 1)))
        return None

    def close_cell(self) -> None:
        if self.cell is None or not self.tables or not self.tables[-1]:
            self.cell = None
            return
        columns, rows = self.cell
        self.cell = None
        said, row = re.sub(r"\n{2,}", "\n", self.text()), self.tables[-1][-1]
        if rows > 1:
            self.pending[len(row)] = (rows - 1, said)
        row.append(said)
        self.padded += columns - 1
        if self.padded < _MOST_PADDED:
            row += [""] * (columns - 1)
        self._reach_down()

    def _reach_down(self) -> None:
        row = self.tables[-1][-1]
        while (found := self.pending.get(len(row))) and found[0] > 0:
            self.pending[len(row)] = (found[0] - 1, found[1])
            row.append(found[1])


def blocks(text: str, *, menus: bool = False, marked: bool = False) -> tuple[list[Block], str, int]:
    """Paragraphs and tables in the order of the page, its title, and how many menus and the like around the text were left out.

    `menus`: these are read, too. `marked`: headings and items carry the marks of Markdown, terms stand before what they mean, and marks of
    notes, captions and what is named as standing around the text are left out.
    """
    page = _Page(marked)
    left_out: Counter[str] = Counter()
    title, around = "", ""
    depth = 0
    for kind, about, said in _tokens(text):
        if around:  # within a menu: only its end is looked for
            depth += (kind == around) - (kind == f"/{around}")
            around = around if depth > 0 else ""
        elif not kind:
            page.words.append(said if page.pre else re.sub(r"\s+", " ", said))
        elif not menus and (_is_around(kind, about) or (marked and _is_named(kind, about))):
            page.end_block()
            around, depth = kind, 1
            left_out[kind] += 1
        elif kind == "/title":
            title, page.words = " ".join("".join(page.words).split()), []
        else:
            _step(page, kind, about)
    if around:  # one that never ends would cost all behind it
        return blocks(text, menus=True, marked=marked)
    while page.tables:
        page.close_table()
    page.end_block()
    return page.blocks, title, sum(n for kind, n in left_out.items() if kind in _AROUND)


def _is_around(kind: str, about: str) -> bool:
    return kind in _AROUND or bool(kind in _HIDDEN and about and _UNSEEN.search(about))


def _is_named(kind: str, about: str) -> bool:
    return kind in ("figcaption", "caption") or bool(kind in _CAN_BE_NAMED and about and _NAMED.search(about))


def _mark(page: _Page, kind: str) -> None:
    """What a tag adds where marks are asked for."""
    name = kind.lstrip("/")
    if kind == "sup":
        page.raised = len(page.words)
    elif kind == "/sup" and page.raised >= 0:
        said, before = "".join(page.words[page.raised :]).strip(), "".join(page.words[max(0, page.raised - 4) : page.raised])[-4:]
        if _NOTE.fullmatch(said):
            is_note = said[0] == "[" or not said.isdigit() or not re.search(r"\d$|(?:^|[^A-Za-z])[A-Za-z]{1,3}$", before)
            page.words[page.raised :] = [] if is_note else [said.translate(_RAISED)]
        page.raised = -1
    elif page.cell is not None:
        page.named |= kind == "th" and len(page.tables[-1]) == 1
    elif name in ("ol", "ul"):
        if kind == name:
            page.lists.append(0 if kind == "ol" else -1)
        elif page.lists:
            page.lists.pop()
    elif kind == "li":
        page.words.append("- " if not page.lists or page.lists[-1] < 0 else f"{page.lists[-1] + 1}. ")
        page.lists[-1:] = [page.lists[-1] + (page.lists[-1] >= 0)] if page.lists else []
    elif re.fullmatch(r"h[1-6]", kind):
        page.words.append(f"{'#' * int(kind[1])} ")
    elif kind == "summary":
        page.words.append("### ")


def _terms(page: _Page, kind: str) -> None:
    """A term and what it means are one line: “term: meaning”; a question stays a line of its own."""
    if kind == "dt":
        page.end_block()
    elif kind == "/dt" and (said := page.text()):
        page.words = [f"### {said}"] if said.endswith("?") else [f"{said.rstrip(':')}: "]
        if said.endswith("?"):
            page.end_block()
    elif kind == "/dd":
        page.end_block()


def _step(page: _Page, kind: str, about: str) -> None:
    """What a tag does."""
    if page.marked and page.cell is None and kind.lstrip("/") in ("dt", "dd"):
        return _terms(page, kind)
    if kind == "br":
        page.words.append("\n")
    elif kind == "table":
        page.open_table()
    elif kind == "/table":
        page.close_table()
    elif kind == "tr":
        page.open_row()
    elif kind in ("td", "th"):
        page.open_cell(about)
    elif kind in ("/td", "/th", "/tr"):
        page.close_cell()
    elif kind.lstrip("/") in _BLOCKS:
        page.end_block()
        page.pre = max(0, page.pre + (kind == "pre") - (kind == "/pre"))
        if kind == "li" and not page.marked:
            page.words.append("- ")
    if page.marked:
        _mark(page, kind)
    return None


def _tokens(text: str) -> Iterator[tuple[str, str, str]]:
    """Tags (name, with a slash where it closes, and attributes) and the text between them."""
    low, at = text.lower(), 0
    while at < len(text):
        start = text.find("<", at)
        start = len(text) if start < 0 else start
        if start > at:
            yield "", "", html.unescape(text[at:start])
        if start == len(text):
            return
        found = _TAG.match(text, start)
        if found:
            name = found[2].lower()
            yield found[1] + name, found[3], ""
            at = found.end()
            if name in _RAW and not found[1] and not found[3].endswith("/"):
                at = _after(low, f"</{name}", at)
        elif text.startswith("<!--", start):
            at = _after(text, "-->", start + 4)
        elif text.startswith(("<!", "<?", "</"), start):
            at = _after(text, ">", start)
        else:
            yield "", "", "<"
            at = start + 1


def _after(text: str, mark: str, at: int) -> int:
    end = text.find(mark, at)
    return len(text) if end < 0 else end + len(mark) * (mark[0] != "<")
