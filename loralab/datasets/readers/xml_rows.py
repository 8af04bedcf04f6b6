"""Owns XML that holds records: the same element again and again, each with fields of its own. Other XML is text, and a person is asked.

Invariant: an element beside the records that says something is named; definitions within the file are refused before they are read.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET  # only the names of its types; `documents.tree` reads
from collections import Counter

from loralab.core.records import LeftOut
from loralab.core.words import count
from loralab.datasets.formats.documents import setting, tag, tree
from loralab.datasets.readers import Reader, Row, Table, plain

FEWEST, MOST_ALIKE = 3, 0.8  # records; of them so many have two fields or more
_SPACE = re.compile(r"[ \t\r\f\v]*\n\s*|[ \t\r\f\v]+")


def read(raw: bytes, name: str) -> list[Table]:
    """One row per record, numbered by its place among them; else passages of text."""
    try:
        root = tree(raw)
    except ValueError:
        return plain.read(raw, name)
    units = [unit for unit in root.iter() if tag(unit) in ("trans-unit", "segment")] if tag(root) == "xliff" else []
    if units:
        return [_translated(units, name)]
    parents = [(parent, kind, number) for parent in root.iter() for kind, number in _commonest(parent)]
    for parent, kind, number in sorted(parents, key=lambda found: -found[2]):
        made = _table(parent, kind, name)
        if number >= FEWEST and made and sum(len(row.values) > 1 for row in made.rows) >= MOST_ALIKE * number:
            return [made]
    return plain.read(raw, name)


def _translated(units: list[ET.Element], name: str) -> Table:
    """Sentences with their translations, as XLIFF has them (OASIS, 1.2 and 2.0); those that are not translated yet are named."""
    said = [(at, {tag(child): _said(child) for child in unit if tag(child) in ("source", "target")}) for at, unit in enumerate(units, 1)]
    rows = [
        Row(at, {"original": both["source"], "translation": both["target"]})
        for at, both in said
        if both.get("source") and both.get("target")
    ]
    lost = [
        LeftOut(row=at, source=name, reason="It is not translated yet.")
        for at, both in said
        if not (both.get("source") and both.get("target"))
    ]
    return Table(name, rows, ("original", "translation"), lost, about=count(len(rows), "translation"))


def _commonest(parent: ET.Element) -> list[tuple[str, int]]:
    return Counter(tag(child) for child in parent).most_common(1)


def _table(parent: ET.Element, kind: str, name: str) -> Table | None:
    """The children of this kind as rows; those of other kinds that say something, and empty ones, are named."""
    rows: list[Row] = []
    lost: list[LeftOut] = []
    for at, child in enumerate(parent, 1):
        values = _fields(child)
        if tag(child) == kind and values:
            rows.append(Row(at, values))
        elif values or _said(child):
            lost.append(LeftOut(row=at, source=name, reason=f"“{tag(child)}” is not one of the “{kind}” entries."))
        elif tag(child) == kind:
            lost.append(LeftOut(row=at, source=name, reason="The row is empty."))
    columns = tuple(dict.fromkeys(column for row in rows for column in row.values))
    about = count(len(rows), f"“{kind}” entry", f"“{kind}” entries")
    return Table(source=name, rows=rows, columns=columns, left_out=lost, about=about) if rows else None


def _fields(record: ET.Element) -> dict[str, str]:
    """Attributes and children of a record with their words; in other languages under the language, of one name one below the other."""
    values = {name.rpartition("}")[2]: text.strip() for name, text in record.attrib.items() if text.strip()}
    for child in record:
        name, text = setting(child, "lang") or tag(child), _said(child)
        if text:
            values[name] = f"{values[name]}\n{text}" if name in values else text
    return values


def _said(element: ET.Element) -> str:
    return _SPACE.sub(lambda space: "\n" if "\n" in space[0] else " ", "".join(element.itertext())).strip()


READER = Reader(suffixes=(".xml", ".rss", ".atom", ".tmx", ".xlf", ".xliff"), read=read)
