"""Owns JSON and JSON Lines, told apart by content. Invariant: what is broken costs its own row only, and its line is told."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from loralab.core.errors import UserError
from loralab.core.records import LeftOut
from loralab.core.words import count, listed
from loralab.datasets.formats import lenient
from loralab.datasets.formats.encoding import decode
from loralab.datasets.formats.layout import Layout, Piece
from loralab.datasets.readers import Coverage, Reader, Row, Table, delimited
from loralab.datasets.tables.json_layouts import rows_of

Found = tuple[int, Any, str]  # number, value, reason why it is not usable ("" when it is)
_NO_FIELDS = "Not an object with named fields."
_MOST_AROUND = 1 << 16
_BEGINNING = re.compile(rb"(?:```\w*\s*)?(?:\[\s*)?\{\s*([\"'])[^\"'\n]{1,100}\1\s*:")


def read(raw: bytes, name: str) -> list[Table]:
    """Rows of JSON Lines (numbered by line), of an array, or of an array inside an object (numbered by position)."""
    decoded = decode(raw, name)
    found, coverage, about = _values(decoded.text)
    made = [_fields(value) if not reason else {} for _, value, reason in found]
    rows = [Row(number, fields) for (number, _, _), fields in zip(found, made, strict=True) if fields]
    if not rows:
        return _no_rows(raw, name, decoded.text, next((reason or _NO_FIELDS for _, _, reason in found), "It holds no rows."))
    lost = ((number, reason or _NO_FIELDS) for (number, _, reason), fields in zip(found, made, strict=True) if not fields)
    left_out = [LeftOut(row=number, source=name, reason=reason) for number, reason in lost]
    columns = tuple(dict.fromkeys(key for row in rows for key in row.values))
    return [Table(source=name, rows=rows, columns=columns, left_out=left_out, encoding=decoded.encoding, about=about, coverage=coverage)]


def _no_rows(raw: bytes, name: str, text: str, why: str) -> list[Table]:
    """A table of another kind under the name of JSON; else words about why nothing could be read."""
    if text.lstrip()[:1] not in tuple("{[(") and delimited.is_table(text):
        return delimited.read(raw, name)
    todo = "One object per line, or a list of objects, is expected."
    raise UserError(f"{name} could not be read as JSON. {why}", todo, code="bad_json")


def _values(text: str) -> tuple[list[Found], Coverage, str]:
    """The rows of a JSON text whichever way it is laid out, what became of its characters, and what was put right."""
    try:
        whole = lenient.strict(text)
    except (ValueError, RecursionError):
        return _lines(text) or _pieces(text)
    if isinstance(whole, str) and whole.lstrip().startswith(("[", "{")):  # a program wrote a whole file of JSON into one text
        found, _, about = _values(whole)
        return found, Coverage(rows=len(text), left_out=0, structure=0), about
    if lenient.is_deep(whole):
        return _pieces(text)
    inner = len(text.strip())
    return list(_inside(whole)), Coverage(rows=inner, left_out=0, structure=len(text) - inner), ""


def _lines(text: str) -> tuple[list[Found], Coverage, str] | None:
    """JSON Lines of which every one is a whole object; None where one is not. Split at line feeds: strings may hold other separators."""
    found: list[Found] = []
    rows = 0
    for number, line in enumerate(text.split("\n"), 1):
        if said := line.strip():
            try:
                value = lenient.strict(said)
            except (ValueError, RecursionError):
                return None
            may_be_deep = said.count("[") + said.count("{") > lenient.MAX_DEPTH
            if not isinstance(value, dict) or (may_be_deep and lenient.is_deep(value)):
                return None
            found.append((number, value, ""))
            rows += len(said)
    return found, Coverage(rows=rows, left_out=0, structure=len(text) - rows), ""


def _pieces(text: str) -> tuple[list[Found], Coverage, str]:
    layout = Layout(text)
    layout.run()
    pieces = layout.pieces
    rows = [piece for piece in pieces if not piece.reason]
    numbers = _numbers(pieces, layout.in_lists)
    found: list[Found] = [(numbers[piece.start], None, piece.reason) for piece in pieces if piece.reason]
    alone = len(rows) == 1 and not layout.in_lists
    holders: dict[str, list[Any]] = {}
    for piece in rows:
        holders.setdefault(piece.holder, []).append(piece.value)
    values = [piece.value for piece in rows]
    if alone or layout.in_lists:
        read = list(_inside(values[0] if alone else holders if len(holders) > 1 and all(holders) else values))
    else:
        read = [(0, value, "") for value in values]
    same = len(read) == len(rows) and not alone
    found += [(numbers[rows[place].start] if same else number, value, why) for place, (number, value, why) in enumerate(read)]
    lost = sum(piece.end - piece.start for piece in pieces if piece.reason)
    coverage = Coverage(rows=sum(piece.end - piece.start for piece in rows), left_out=lost, structure=layout.structure)
    return found, coverage, _mended(layout)


def _numbers(pieces: list[Piece], in_lists: bool) -> dict[int, int]:
    """How a person counts the pieces: by line where each has its own, else by position."""
    lines = [piece.line for piece in pieces]
    by_line = not in_lists and len(set(lines)) == len(lines) and lines == sorted(lines)
    long = sum(after - before > 1 for before, after in pairwise(lines))
    if by_line and long * 2 <= len(lines):
        return {piece.start: piece.line for piece in pieces}
    return {piece.start: place for place, piece in enumerate(pieces, 1)}


def _mended(layout: Layout) -> str:
    said = [f"{kind} in {count(n, 'row')}" for kind, n in sorted(layout.mends.items())]
    return f"put right: {listed(said)}" if said else ""


def _inside(whole: Any) -> Iterator[Found]:
    """Rows of a complete document: in a layout that is known, a list, or one object."""
    if isinstance(whole, list) and len(whole) == 1 and isinstance(whole[0], list) and not _is_said(whole[0]):
        whole = whole[0]  # a list too many around the rows
    found = rows_of(whole)
    if found is not None:
        yield from found
        return
    for number, value in enumerate(whole if isinstance(whole, list) else [whole], 1):
        yield number, value, ""


def _written_twice(value: str) -> dict[str, Any]:
    """The fields of an object that a program wrote as JSON into a text of JSON; none where the text is a text."""
    if not value.startswith("{") or not value.endswith("}"):
        return {}
    try:
        inner = lenient.strict(value)
    except (ValueError, RecursionError):
        return {}
    return {str(key): item for key, item in inner.items()} if isinstance(inner, dict) and not lenient.is_deep(inner) else {}


def _is_said(value: list[Any]) -> bool:
    """Whether a list is one conversation rather than rows."""
    return not all(isinstance(one, dict) and not {"role", "from"} & set(one) for one in value)


def _fields(value: Any) -> dict[str, Any]:
    """Named fields of a JSON value; texts and bare conversations get the name they would have had."""
    if isinstance(value, dict):
        return {str(key): item for key, item in value.items()}
    if isinstance(value, str) and (inner := _written_twice(value)):
        return inner
    if isinstance(value, str) and value.strip():
        return {"text": value}
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return {"messages": value}
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return {f"column {place}": item for place, item in enumerate(value, 1)}
    return {}


def _claims(raw: bytes, suffix: str) -> bool:
    """JSON under a wrong name: it begins with an object that names a field, alone or in a list."""
    head = raw[:4096].lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n\0").replace(b"\0", b"")
    if suffix not in (".md", ".markdown") and _BEGINNING.match(head):
        return True
    begun, end = raw.find(b"```json", 0, _MOST_AROUND), raw.rfind(b"```")  # what a chatbot wrote, with its words around it
    most = begun >= 0 and 2 * (end - begun) > len(raw)
    return most and _BEGINNING.match(raw[begun : begun + 4096]) is not None


READER = Reader(suffixes=(".jsonl", ".json", ".ndjson", ".jsonlines"), read=read, claims=_claims)
