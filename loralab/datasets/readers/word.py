"""Owns Word documents (.docx): running text in passages, and each table of several columns as a table.

Invariants: what was deleted under “track changes” is not read, what was inserted is; nothing outside of the file is ever asked for.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath
from xml.etree import ElementTree as ET

from loralab.core.errors import UserError
from loralab.datasets.formats.archives import content, members, open_archive
from loralab.datasets.formats.documents import Block, framed, parts, setting, tag, tree
from loralab.datasets.readers import MAX_BYTES, MAX_FILES, Reader, Table

_SUFFIXES = (".docx", ".docm", ".dotx")
_BREAKS = {"tab": "\t", "br": "\n", "cr": "\n", "noBreakHyphen": "-"}
_UNSEEN = {"del", "moveFrom", "Fallback", "instrText", "pPr", "rPr", "tblPr", "tcPr"}  # the second copy of a text box is a fallback
_HEADING = re.compile(r"(?:heading|berschrift|titre|t[íi]tulo)\s?(\d)$|(title|titel)$", re.IGNORECASE)
_INSIDE = {"sdt", "sdtContent", "ins", "moveTo", "customXml", "smartTag", "body", "document"}


def read(raw: bytes, name: str) -> list[Table]:
    """The running text as passages, then the tables that hold rows, tables with the same columns as one."""
    with open_archive(raw, name, MAX_BYTES, MAX_FILES) as archive:
        main = next((m for m in archive.infolist() if _is_main(m.filename)), None)
        if main is None:
            raise _damaged(name)
        text = content(archive, main)
    if b"<!DOCTYPE" in text:
        raise UserError(f"{name} holds what no Word document holds.", "Do not trust this file.", code="unsafe_archive")
    try:
        made = parts(name, _blocks(tree(text)))
    except (ValueError, RecursionError) as error:
        raise _damaged(name) from error
    if not made:
        todo = "If its words are in pictures, type them out; else choose a file with examples in it."
        raise UserError(f"{name} holds no text.", todo, code="empty_file")
    return made


def marked(raw: bytes, name: str) -> list[Block]:
    """Paragraphs and tables in order, headings and items with the marks of Markdown. For a file that `read` takes."""
    with open_archive(raw, name, MAX_BYTES, MAX_FILES) as archive:
        main = next(member for member in archive.infolist() if _is_main(member.filename))
        numbering = next((member for member in archive.infolist() if member.filename == "word/numbering.xml"), None)
        counted = _counted(tree(content(archive, numbering))) if numbering else set[tuple[str, str]]()
        return list(_blocks(tree(content(archive, main)), counted))


def _counted(numbering: ET.Element) -> set[tuple[str, str]]:
    """Lists (by number and level) whose items are counted, not only marked with a sign."""
    kinds: dict[tuple[str, str], bool] = {}
    for kind in _below(numbering, ("abstractNum",)):
        for level in _below(kind, ("lvl",)):
            said = next((setting(one, "val") for one in level if tag(one) == "numFmt"), "bullet")
            kinds[setting(kind, "abstractNumId"), setting(level, "ilvl")] = said not in ("bullet", "none")
    found: set[tuple[str, str]] = set()
    for number in _below(numbering, ("num",)):
        of = next((setting(one, "val") for one in number if tag(one) == "abstractNumId"), "")
        found |= {(setting(number, "numId"), level) for (kind, level), counts in kinds.items() if kind == of and counts}
    return found


def _mark(paragraph: ET.Element, counted: set[tuple[str, str]], at: Counter[tuple[str, str]]) -> str:
    """What stands before a heading or an item in Markdown; "" before any other paragraph."""
    about = next((part for part in paragraph if tag(part) == "pPr"), None)
    if about is None:
        return ""
    style = next((setting(part, "val") for part in about if tag(part) == "pStyle"), "")
    if (heading := _HEADING.search(style)) is not None:
        return f"{'#' * min(6, int(heading[1] or 1))} "
    numbered = next((part for part in about if tag(part) == "numPr"), None)
    if numbered is not None:
        values = {tag(part): setting(part, "val") for part in numbered}
        key = (values.get("numId", ""), values.get("ilvl", "0"))
        at[key] += 1
        return f"{at[key]}. " if key in counted else "- "
    if style.replace(" ", "").startswith(("ListNumber", "Listennummer")):
        at[style, ""] += 1
        return f"{at[style, '']}. "
    at.clear()
    return "- " if style.replace(" ", "").startswith(("ListBullet", "Aufzhlungszeichen")) else ""


def _damaged(name: str) -> UserError:
    return UserError(f"{name} is damaged or not a Word document.", "Open it in Word and save it again as .docx.", code="bad_word")


def _is_main(member: str) -> bool:
    path = PurePosixPath(member)
    return path.parent.name == "word" and path.name.startswith("document") and path.suffix == ".xml"


def _blocks(element: ET.Element, counted: set[tuple[str, str]] | None = None) -> Iterator[Block]:
    """Paragraphs and tables in the order in which they are read; a table of one column or row only frames its text. `counted`: marked."""
    at = Counter[tuple[str, str]]()
    for child in _below(element, ("p", "tbl")):
        if tag(child) == "p":
            said = "".join(_words(child)).strip("\n")
            yield f"{_mark(child, counted, at)}{said}" if counted is not None and said.strip() else said
        else:
            yield from framed(_rows(child))


def _below(element: ET.Element, tags: tuple[str, ...]) -> Iterator[ET.Element]:
    """The nearest descendants of these kinds: what only wraps them is looked through, other things are not."""
    for child in element:
        if tag(child) in tags:
            yield child
        elif tag(child) in _INSIDE:
            yield from _below(child, tags)


def _words(element: ET.Element) -> Iterator[str]:
    for child in element:
        kind = tag(child)
        if kind in _UNSEEN:
            continue
        if kind == "t":
            yield child.text or ""
        elif kind in _BREAKS:
            yield _BREAKS[kind]
        else:
            yield from _words(child)
        if kind == "p":  # of a text box or a cell
            yield "\n"


def _rows(tbl: ET.Element) -> list[list[str]]:
    """The cells of a table, row by row; a cell that spans rows is in each of them, one that spans columns in the first."""
    rows: list[list[str]] = []
    for line in _below(tbl, ("tr",)):
        cells: list[str] = []
        for cell in _below(line, ("tc",)):
            said = "".join(_words(cell)).strip()
            merged, span = (_setting(cell, name) for name in ("vMerge", "gridSpan"))
            if merged is not None and merged != "restart" and rows and len(cells) < len(rows[-1]):
                said = rows[-1][len(cells)]
            cells += [said] + [""] * (int(span) - 1 if span and span.isdigit() else 0)
        rows.append(cells)
    return rows


def _setting(cell: ET.Element, name: str) -> str | None:
    """A property of a cell; "" where it has no value, None where it is not set."""
    marks = (mark for about in cell if tag(about) == "tcPr" for mark in about if tag(mark) == name)
    mark = next(marks, None)
    return None if mark is None else next((value for key, value in mark.attrib.items() if key.rpartition("}")[2] == "val"), "")


READER = Reader(
    suffixes=_SUFFIXES, read=read, claims=lambda raw, _suffix: raw[:4] == b"PK\x03\x04" and any(_is_main(name) for name in members(raw))
)
