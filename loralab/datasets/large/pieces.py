"""Owns cutting a large file into pieces that its own reader reads as if each were a file.

Invariants: a piece ends where a row ends; rows are numbered through the whole file; reading can begin again at the end of any piece.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import BinaryIO

from loralab.core.errors import LabError, UserError
from loralab.core.records import LeftOut, Record
from loralab.datasets.formats.encoding import decode
from loralab.datasets.readers import Row, Table, choose, delimited, json_rows, parquet

PIECE = 4 << 20  # bytes: what is made of them takes ten to twenty times as much
LONGEST = 64 << 20  # bytes of one row
_HEAD, _SPOTS = 1 << 18, 8
_MARK = b"\xef\xbb\xbf"  # before text that is certainly UTF-8
_WIDE = ("utf-16", "utf-32")  # a line break in these is more than one byte
_STRING_OR_BRACKET = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*"|["{}\[\]]', re.DOTALL)
_LINE = re.compile(r"\b([Ll]ine )(\d+)")


class Place(Record):
    """Where in a file a piece ends: bytes (or rows, where a format counts in them), rows and lines before it."""

    at: int = 0
    rows: int = 0
    lines: int = 0


@dataclass(frozen=True)
class Piece:
    """Some rows of a file. `done`: the share of the file that has been read with them."""

    tables: list[Table]
    end: Place
    done: float


Cutter = Callable[[Path, str, Place], Iterator[Piece]]


def cutter_of(path: Path, name: str) -> Cutter | None:
    """How this file is cut; None where it has to be held whole. Raises UserError where it is something that is not read."""
    head, tail = _ends(path)
    reader = choose(head + tail, name)
    if reader is parquet.READER:
        return _rows_of_parquet
    if reader not in (json_rows.READER, delimited.READER) or _encoding(path).startswith(_WIDE):
        return None
    if reader is delimited.READER:
        return _records if b"\n" in head else None
    first = head.removeprefix(_MARK).lstrip()
    if first.startswith(b"["):
        return _elements if first[1:].lstrip().startswith((b"{", b"[")) else None
    return _lines if _is_object(first.partition(b"\n")[0]) else None


def _is_object(line: bytes) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _ends(path: Path) -> tuple[bytes, bytes]:
    with path.open("rb") as file:
        head = file.read(_HEAD)
        file.seek(max(len(head), path.stat().st_size - 8))
        return head, file.read()


def _encoding(path: Path) -> str:
    """The encoding of the whole, by its beginning and whole lines at spots spread over it."""
    with path.open("rb") as file:
        sample = [file.read(_HEAD).rpartition(b"\n")[0]]
        for spot in range(1, _SPOTS):
            file.seek(spot * path.stat().st_size // _SPOTS)
            sample.append(file.read(_HEAD // 4).partition(b"\n")[2].rpartition(b"\n")[0])
    return decode(b"\n".join(sample), path.name).encoding


def _blocks(file: BinaryIO, at: int, cut: Callable[[bytes], int]) -> Iterator[tuple[bytes, int]]:
    """Blocks from byte `at` on and where each ends; `cut` says how much of a block is whole rows, less than 1 for none."""
    file.seek(at)
    while block := file.read(PIECE):
        rest = file.peek(1) if isinstance(file, io.BufferedReader) else b"x"
        end = len(block)
        while rest and (end := cut(block)) < 1:
            if len(block) > LONGEST:
                what = f"A row from byte {at:,} on is longer than {LONGEST >> 20} MB."
                raise UserError(what, "Save the file with each example on a line of its own.", code="row_too_long")
            more = file.read(PIECE)
            block, rest, end = block + more, more, len(block) + len(more)
        at += end
        file.seek(at)
        yield block[:end], at


def _text(block: bytes, encoding: str) -> bytes:
    """The block as UTF-8 that says so."""
    plain = block.removeprefix(_MARK)
    return _MARK + (plain if encoding == "utf-8" else plain.decode(encoding, errors="replace").encode())


def _read(read: Callable[[bytes, str], list[Table]], raw: bytes, name: str, *, first: bool, lost: int = 1) -> list[Table]:
    """What a reader makes of a piece; one that it refuses is `lost` rows left out, unless it is the first."""
    try:
        return read(raw, name)
    except LabError as error:
        if first:
            raise
        reason = error.problem.what
        return [Table(source=name, rows=[], left_out=[LeftOut(row=n, source=name, reason=reason) for n in range(1, lost + 1)])]


def _moved(table: Table, place: Place, encoding: str) -> Table:
    """The table of a piece with its rows numbered as in the whole file."""
    rows = [replace(row, number=row.number + place.rows) for row in table.rows]

    def said(reason: str) -> str:
        return _LINE.sub(lambda found: f"{found[1]}{int(found[2]) + place.lines}", reason)

    lost = [one.model_copy(update={"row": one.row + place.rows, "reason": said(one.reason)}) for one in table.left_out]
    return replace(table, rows=rows, left_out=lost, encoding=encoding)


def _last(tables: list[Table]) -> int:
    """The highest number of a row in these tables."""
    numbers = [row.number for table in tables for row in table.rows] + [lost.row for table in tables for lost in table.left_out]
    return max(numbers, default=0)


# ---- the formats -------------------------------------------------------------------------------------------------------------


def _lines(path: Path, name: str, place: Place) -> Iterator[Piece]:
    """JSON Lines: rows are numbered by their lines."""
    encoding, size = _encoding(path), path.stat().st_size
    with path.open("rb") as file:
        for block, at in _blocks(file, place.at, lambda block: block.rfind(b"\n") + 1):
            lines = [line for line in block.removeprefix(_MARK).split(b"\n") if line.strip()]
            if lines:
                found = _read(_read_lines, _text(block, encoding), name, first=not place.at, lost=len(lines))
                breaks = block.count(b"\n")
                tables = [_moved(table, place, encoding) for table in found]
                place = Place(at=at, rows=place.rows + breaks, lines=place.lines + breaks)
                yield Piece(tables, place, at / size)


def _read_lines(raw: bytes, name: str) -> list[Table]:
    """JSON Lines as one list, which is parsed many times faster, where each line is whole; else as they are."""
    lines = raw.removeprefix(_MARK).rstrip(b"\n").split(b"\n")
    try:
        whole = json.loads(b"[" + b",".join(lines) + b"]")
    except (ValueError, RecursionError):
        return json_rows.read(raw, name)
    if len(whole) != len(lines) or not all(isinstance(value, dict) and value for value in whole):
        return json_rows.read(raw, name)
    columns = tuple(dict.fromkeys(str(key) for value in whole for key in value))
    return [Table(source=name, rows=[Row(number, value) for number, value in enumerate(whole, 1)], columns=columns)]


def _elements(path: Path, name: str, place: Place) -> Iterator[Piece]:
    """A list of JSON objects, whichever way it is laid out: rows are numbered by their position."""
    encoding, size = _encoding(path), path.stat().st_size
    with path.open("rb") as file:
        begin = place.at or file.read(_HEAD).index(b"[") + 1
        for block, at in _blocks(file, begin, _whole_elements):
            inner = block.lstrip(b" \t\r\n,")
            if inner.rstrip(b" \t\r\n]"):
                closed = inner if at == size else inner + b"]"
                found = _read(json_rows.read, _text(b"[" + closed, encoding), name, first=not place.at)
                tables = [_moved(table, place, encoding) for table in found]
                place = Place(at=at, rows=max(place.rows, _last(tables)), lines=place.lines + block.count(b"\n"))
                yield Piece(tables, place, at / size)


def _whole_elements(block: bytes) -> int:
    """How much of a block is whole elements of the list it is in the middle of."""
    depth = end = 0
    for found in _STRING_OR_BRACKET.finditer(block):
        mark = found[0]
        if mark == b'"':  # a string that goes on behind the block
            break
        if mark in (b"{", b"["):
            depth += 1
        elif mark in (b"}", b"]"):
            depth = max(0, depth - 1)
            end = found.end() if depth == 0 else end
    return end


def _records(path: Path, name: str, place: Place) -> Iterator[Piece]:
    """Delimited text: the first piece says the columns of all."""
    encoding, size = _encoding(path), path.stat().st_size
    with path.open("rb") as file:
        delimiter = delimited.delimited(decode(_text(file.read(PIECE), encoding), name).text, name)[1]
        whole = partial(_whole_records, encoding=encoding, delimiter=delimiter)
        begun = [delimited.read(_text(block, encoding), name) for block, _ in islice(_blocks(file, 0, whole), 1)]
        for block, at in _blocks(file, place.at, whole):
            later = bool(place.at)
            found = [delimited.continued(_text(block, encoding), name, begun[0][0].columns, delimiter)] if later else begun[0]
            tables = [_moved(table, place, encoding) for table in found]
            place = Place(at=at, rows=max(place.rows, _last(tables)), lines=place.lines + block.count(b"\n"))
            yield Piece(tables, place, at / size)


def _whole_records(block: bytes, encoding: str, delimiter: str) -> int:
    """How much of a block is whole records; all its lines where a quotation mark seems never to be closed."""
    end = block.rfind(b"\n") + 1
    lines = block[:end].split(b"\n")[:-1]
    reader = csv.reader((line.decode(encoding, errors="replace").replace("\0", "") + "\n" for line in lines), delimiter=delimiter)
    before = last = 0
    for _ in reader:
        before, last = last, reader.line_num
    whole = sum(len(line) + 1 for line in lines[:before])
    return whole if whole * 2 > end else end


def _rows_of_parquet(path: Path, name: str, place: Place) -> Iterator[Piece]:
    """Parquet: in batches, so that not even a group of its rows is held."""
    for rows, total, table in parquet.batches(path, name):
        if rows > place.at:
            yield Piece([table], Place(at=rows, rows=rows), rows / max(1, total))
