"""Owns JSON and JSON Lines, told apart by content. Invariant: a broken line costs that line only, and its number is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from loralab.core.errors import UserError
from loralab.core.records import LeftOut
from loralab.datasets.encoding import decode
from loralab.datasets.readers import Reader, Row, Table

Found = tuple[int, Any, str]  # number, value, reason why it is not usable ("" when it is)


def read(raw: bytes, name: str) -> list[Table]:
    """Rows of JSON Lines (numbered by line), of an array, or of an array inside an object (numbered by position)."""
    decoded = decode(raw, name)
    rows: list[Row] = []
    left_out: list[LeftOut] = []
    for number, value, reason in _values(decoded.text):
        fields = _fields(value) if not reason else {}
        if fields:
            rows.append(Row(number, fields))
        else:
            left_out.append(LeftOut(row=number, source=name, reason=reason or "Not an object with named fields."))
    if not rows:
        why = left_out[0].reason if left_out else "It holds no rows."
        todo = "One object per line, or a list of objects, is expected."
        raise UserError(f"{name} could not be read as JSON. {why}", todo, code="bad_json")
    columns = tuple(dict.fromkeys(key for row in rows for key in row.values))
    return [Table(source=name, rows=rows, columns=columns, left_out=left_out, encoding=decoded.encoding)]


def _values(text: str) -> Iterator[Found]:
    """The rows of a JSON text whichever way it is laid out."""
    whole = _parse(text)
    if whole is not None:
        yield from _inside(whole)
        return
    first_line = text.lstrip().split("\n", 1)[0]
    if text.lstrip().startswith("[") and not isinstance(_parse(first_line), list | dict):
        yield from _elements(text, text.index("[") + 1, in_list=True)
    elif text.lstrip().startswith("{") and _parse(first_line) is None and _opens_only(first_line):
        yield from _elements(text, 0, in_list=False)
    else:
        yield from _lines(text)


def _opens_only(line: str) -> bool:
    """A line such as `{` or `{"question": "...",`: an object spread over several lines, not a broken row of JSON Lines."""
    return line.rstrip().endswith(("{", "[", ",")) and line.count("}") < line.count("{")


def _parse(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None


def _inside(whole: Any) -> Iterator[Found]:
    """Rows of a complete document: a list, a list under some key, columns side by side, or one object."""
    if isinstance(whole, dict):
        lists = {key: value for key, value in whole.items() if isinstance(value, list) and value}
        dicts_below = [value for value in lists.values() if all(isinstance(item, dict) for item in value)]
        is_example = any(key in whole for key in ("messages", "conversations", "instances"))
        if dicts_below and not is_example:
            whole = [row for value in dicts_below for row in value]  # {"train": [...], "test": [...]}
        elif len(lists) == len(whole) > 0 and len({len(value) for value in lists.values()}) == 1 and not is_example:
            whole = [dict(zip(lists, cells, strict=True)) for cells in zip(*lists.values(), strict=True)]
        else:
            whole = [whole]
    if not isinstance(whole, list):
        whole = [whole]
    for number, value in enumerate(whole, 1):
        yield number, value, ""


def _lines(text: str) -> Iterator[Found]:
    """JSON Lines; split at line feeds only, because strings may hold other line separators."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        try:
            yield number, json.loads(line), ""
        except json.JSONDecodeError as error:
            yield number, None, f"Line {number} is not valid JSON: {error.msg.lower()} at character {error.colno}."
        except (ValueError, RecursionError):
            yield number, None, f"Line {number} is not valid JSON: it is nested too deeply or holds an impossible number."


def _elements(text: str, position: int, *, in_list: bool) -> Iterator[Found]:
    """Values one after another until the text breaks off; what comes after the break is one row left out."""
    decoder = json.JSONDecoder()
    number = 0
    while True:
        while position < len(text) and (text[position].isspace() or text[position] == ","):
            position += 1
        if position >= len(text) or (in_list and text[position] == "]"):
            return
        number += 1
        try:
            value, position = decoder.raw_decode(text, position)
        except (ValueError, RecursionError) as error:
            at = error.pos if isinstance(error, json.JSONDecodeError) else position
            yield number, None, f"The file breaks off at line {text.count(chr(10), 0, at) + 1}: what follows is not valid JSON."
            return
        yield number, value, ""


def _fields(value: Any) -> dict[str, Any]:
    """Named fields of a JSON value; texts and bare conversations get the name they would have had."""
    if isinstance(value, dict):
        return {str(key): item for key, item in value.items()}
    if isinstance(value, str) and value.strip():
        return {"text": value}
    if isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        return {"messages": value}
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return {f"column {place}": item for place, item in enumerate(value, 1)}
    return {}


def _claims(raw: bytes, suffix: str) -> bool:
    """JSON Lines under a wrong name: the first line is an object."""
    if suffix in (".csv", ".tsv", ".md") or not raw.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return False
    first = raw.lstrip(b"\xef\xbb\xbf \t\r\n").split(b"\n", 1)[0]
    return isinstance(_parse(first.decode("utf-8", errors="replace")), dict)


READER = Reader(suffixes=(".jsonl", ".json", ".ndjson", ".jsonlines"), read=read, claims=_claims)
