"""Owns pages as they are printed: lines with their place and size become headings, paragraphs, items and tables in the order of reading.

Invariant: words are left out only where they stand on page after page (heads and feet) or at a page's foot in small print (notes).
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median

_LARGER, _SMALLER = 1.1, 0.9  # than the body: a heading, a note
_APART = 1.35  # of the usual distance between lines: a paragraph ends
_SHORT, _VERY_SHORT = 0.8, 0.6  # of a full line
_HEADS, _ON_MOST = 2, 0.6  # lines at the top and at the bottom; share of the pages that a head stands on
_TITLE = 14  # words
_ITEM = re.compile(r"(?:[•◦▪‣●○*–-]|\(?\d{1,3}[.)]|\(?[a-z]\))\s+\S")
_SIGN = re.compile(r"[•◦▪‣●○*–-]\s+")
_ENDS = (".", "!", "?", ":", "”", "“", '"', "«", "»", ")", "…")
_NOTE = re.compile(r"(?:\d{1,2}|[*†‡§¹²³⁴⁵⁶⁷⁸⁹])\s*\S")
_GAP = 1.6  # sizes between two words: they stand in different cells
_FEWEST_ROWS, _FEWEST_CELLS = 3, 2


@dataclass(frozen=True)
class Line:
    """A line: where it begins (points from the left and the bottom of the page), how large most of it is, and its cells."""

    text: str
    x: float
    y: float
    size: float
    page: int
    bold: bool = False
    cells: tuple[str, ...] = ()


@dataclass
class Paragraph:
    """A piece of a text: lines that belong together, or the rows of a table. `level`: of a heading, 0 for none."""

    lines: list[Line] = field(default_factory=list[Line])
    level: int = 0
    table: list[list[str]] = field(default_factory=list[list[str]])


def paragraphs(pages: Sequence[Sequence[Line]]) -> list[Paragraph]:
    """All pages as one text."""
    kept = [line for page in without_heads(pages) for line in page]
    sizes = Counter[float]()
    for line in kept:
        sizes[round(line.size, 1)] += len(line.text)
    body = sizes.most_common(1)[0][0] if sizes else 1.0
    kept = _without_notes(kept, body)
    gaps = [a.y - b.y for a, b in pairwise(kept) if a.page == b.page and 0 < a.y - b.y < 3 * a.size and abs(a.size - b.size) < 0.1 * body]
    leading = median(gaps) if gaps else 1.2 * body
    full = _full(kept, body)
    made: list[Paragraph] = []
    for line in kept:
        last = made[-1] if made and not made[-1].table else None
        if last is None or _begins(last, line, leading, full.get(line.page, 0)):
            made.append(Paragraph([line]))
        else:
            last.lines.append(line)
    made = list(_with_tables(made))
    ranks = sorted({round(one.lines[0].size, 1) for one in made if one.lines and _is_large(one, body)}, reverse=True)
    for one in made:
        if one.lines and _is_large(one, body):
            one.level = min(4, 1 + ranks.index(round(one.lines[0].size, 1)))
        elif one.lines and _is_bold_title(one):
            one.level = 5
    return made


def said(paragraph: Paragraph, hyphenated: frozenset[str] = frozenset()) -> list[tuple[str, int]]:
    """The words of a paragraph in pieces, each with its page; a word that a line's end divided is whole."""
    made: list[tuple[str, int]] = []
    for at, line in enumerate(paragraph.lines):
        text = _SIGN.sub("- ", line.text, count=1) if not at and _SIGN.match(line.text) else line.text
        after = paragraph.lines[at + 1].text if at + 1 < len(paragraph.lines) else ""
        divided = re.search(r"(?<!\w)(\w{1,40})[-\u00ad]$", text) if after[:1].islower() else None
        if divided and not re.match(r"(?:und|oder|bis|sowie|and|or|to)\b", after):
            word = re.match(r"\w+", after)
            text = text if f"{divided[1]}-{word[0] if word else ''}".casefold() in hyphenated else text[:-1]
        elif after and not text.endswith(("-", "—")):
            text += " "
        made.append((text, line.page))
    return made


def without_heads(pages: Sequence[Sequence[Line]]) -> list[list[Line]]:
    """Pages without the lines at their top and bottom that come again on most of them, numbers aside, also on every second one."""
    kept = [list(page) for page in pages]
    for sign in (1, -1):
        for _ in range(_HEADS):
            edge = {at: max(page, key=lambda line: sign * line.y) for at, page in enumerate(kept) if len(page) > 1}
            marks = Counter(_mark(line.text) for line in edge.values())
            often = [mark for mark, times in marks.most_common(2) if times >= 2]
            if not often or sum(marks[mark] for mark in often) < max(2, _ON_MOST * len(edge)):
                break
            for at, line in edge.items():
                if _mark(line.text) in often:
                    kept[at] = [one for one in kept[at] if abs(one.y - line.y) > 0.5 * line.size]
    return kept


def _mark(line: str) -> str:
    return re.sub(r"\d+|\b[ivxlc]+\b", "#", line.strip().casefold())


def _full(lines: Sequence[Line], body: float) -> dict[int, int]:
    """How many characters a full line of each page has."""
    lengths: dict[int, list[int]] = {}
    for line in lines:
        if abs(line.size - body) < 0.1 * body:
            lengths.setdefault(line.page, []).append(len(line.text))
    return {page: sorted(found)[int(0.85 * len(found))] for page, found in lengths.items()}


def _without_notes(lines: Sequence[Line], body: float) -> list[Line]:
    """Without the small print at the foot of each page that begins with a note's number or sign."""
    out: set[int] = set()
    for page in {line.page for line in lines}:
        places = [at for at, line in enumerate(lines) if line.page == page]
        run: list[int] = []
        for at in reversed(places):
            if lines[at].size > _SMALLER * body:
                break
            run.append(at)
            if _NOTE.match(lines[at].text):
                out.update(run)
                run = []
    return [line for at, line in enumerate(lines) if at not in out]


def _begins(last: Paragraph, line: Line, leading: float, full: int) -> bool:
    """Whether a line begins a new paragraph."""
    before = last.lines[-1]
    looks_other = abs(line.size - before.size) > 0.08 * before.size or line.bold != before.bold
    in_cells = (len(line.cells) > 1) != (len(before.cells) > 1) or (len(line.cells) > 1 and before.y > line.y)
    if looks_other or in_cells or _ITEM.match(line.text):
        return True
    ended = before.text.rstrip().endswith(_ENDS)
    if line.page != before.page or line.y >= before.y:  # the next page or column
        return ended and (len(before.text) < _SHORT * full or line.x > last.lines[0].x + 0.5 * line.size)
    apart = before.y - line.y > _APART * max(leading, 1.1 * line.size)
    return apart or (ended and (_indented(before, line) or len(before.text) < _SHORT * full)) or _stands_back(last, line, full)


def _indented(before: Line, line: Line) -> bool:
    return line.x - before.x > 0.6 * line.size


def _stands_back(last: Paragraph, line: Line, full: int) -> bool:
    """Whether what was indented has ended, or a line too short to have been wrapped (a list, a poem) stood alone."""
    if _indented(line, last.lines[-1]) and len(last.lines) > 1 and not _ITEM.match(last.lines[0].text):
        return True
    return len(last.lines) == 1 and len(last.lines[0].text) < _VERY_SHORT * full and line.text[:1].isupper() and not line.bold


def _is_large(one: Paragraph, body: float) -> bool:
    return one.lines[0].size >= _LARGER * body and sum(len(line.text.split()) for line in one.lines) <= _TITLE


def _is_bold_title(one: Paragraph) -> bool:
    text = " ".join(line.text for line in one.lines)
    return all(line.bold for line in one.lines) and len(text.split()) <= _TITLE and not text.endswith((".", ",", ":", ";"))


def _place(line: Line) -> tuple[int, float]:
    return line.page, -line.y


def _with_tables(made: Sequence[Paragraph]) -> Iterator[Paragraph]:
    """Rows of as many cells that stand under one another are a table."""
    at = 0
    while at < len(made):
        width = len(made[at].lines[0].cells)
        end = at
        while end < len(made) and len(made[end].lines) == 1 and len(made[end].lines[0].cells) == width >= _FEWEST_CELLS:
            end += 1
        if end - at >= _FEWEST_ROWS:
            rows = sorted((one.lines[0] for one in made[at:end]), key=_place)
            named = next((place for place, line in enumerate(rows) if line.bold), 0)  # the names come again where a page ends
            yield Paragraph(table=[list(line.cells) for line in rows[named:] if not line.bold or line is rows[named]])
            at = end
        else:
            yield made[at]
            at += 1


def line_of(pieces: Sequence[tuple[str, float, float, float, bool]], page: int) -> Line | None:
    """A line of its pieces (words, x, y, size, whether bold): raised numbers are marks of notes and left out, wide gaps part cells."""
    sizes = Counter[float]()
    for text, _, _, size, _ in pieces:
        sizes[round(size, 1)] += len(text.strip())
    if not sizes:
        return None
    size = sizes.most_common(1)[0][0] or 1.0
    base = next((y for text, _, y, of, _ in pieces if abs(of - size) < 0.1 * size and text.strip()), pieces[0][2])
    cells, end = [""], pieces[0][1]
    for text, x, y, of, _ in pieces:
        if (
            of < _SMALLER * size
            and y > base + 0.1 * size
            and re.fullmatch(r"\s*\d{1,2}\s*", text)
            and re.search(r"[a-zäöü]{4}$|[.,;:!?”)]$", cells[-1])
        ):
            continue
        if cells[-1].strip() and x - end > _GAP * size:
            cells.append("")
        cells[-1] += text
        end = x + 0.5 * of * len(text)
    shown = [" ".join(cell.split()).translate(_LIGATURES) for cell in cells]
    if not any(shown):
        return None
    bold = all(heavy for text, _, _, _, heavy in pieces if text.strip())
    return Line("   ".join(filter(None, shown)), pieces[0][1], base, size, page, bold, tuple(filter(None, shown)))


_LIGATURES = str.maketrans({"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "st", "ﬆ": "st"})
