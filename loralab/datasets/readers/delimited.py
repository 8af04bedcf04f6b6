"""Owns delimited text (.csv, .tsv): delimiter found by trying, cells over several lines, and quotation marks that never close.

Invariant: an unclosed quotation mark costs its own line only, never the rest of the file.
"""

from __future__ import annotations

import csv
import io
import sys
from collections import Counter

from loralab.core.errors import UserError
from loralab.core.records import LeftOut
from loralab.datasets.encoding import decode
from loralab.datasets.readers import Reader, Table
from loralab.datasets.tabular import Numbered, table

_DELIMITERS = (",", ";", "\t", "|")
_SAMPLE = 200_000
_RESTARTS = 50

csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # a long article is one cell; the standard limit is 131,072 characters


def read(raw: bytes, name: str) -> list[Table]:
    """Rows numbered as a spreadsheet would show them: the header is row 1, a cell of many lines is one row."""
    decoded = decode(raw, name)
    text, delimiter = _declared(decoded.text)
    delimiter = delimiter or sniff(text, "\t" if name.lower().endswith((".tsv", ".tab")) else ",")
    records, lost = _records(text, delimiter, name)
    made = table(name, records, decoded.encoding, lost)
    if not made.rows:
        what = f"{name} has no rows below its header." if records else f"{name} is empty."
        raise UserError(what, "Add examples to it.", code="empty_file")
    return [made]


def _declared(text: str) -> tuple[str, str]:
    """Excel's first line `sep=;` names the delimiter and is no data."""
    first, _, rest = text.partition("\n")
    if len(first.strip()) == 5 and first.lower().startswith("sep="):
        return rest, first.strip()[4]
    return text, ""


def sniff(text: str, usual: str) -> str:
    """The delimiter that cuts the beginning of the text into the steadiest number of columns; `usual` when none does."""
    sample = text[:_SAMPLE]
    if len(text) > _SAMPLE:
        sample = sample[: sample.rfind("\n") + 1] or sample
    scores: list[tuple[float, bool, int, str]] = []
    for delimiter in _DELIMITERS:
        widths = Counter(len(cells) for cells in csv.reader(io.StringIO(sample, newline="\n"), delimiter=delimiter) if cells)
        if not widths:
            continue
        width, count = widths.most_common(1)[0]
        first = len(next(csv.reader(io.StringIO(sample.lstrip("\n"), newline="\n"), delimiter=delimiter)))
        steady = count / widths.total()
        if width > 1 and (steady >= 0.9 or (first == width and steady >= 0.6)):
            scores.append((round(steady, 1), delimiter == usual, width, delimiter))
    return max(scores)[3] if scores else usual


def _records(text: str, delimiter: str, name: str) -> tuple[list[Numbered], list[LeftOut]]:
    """All records; after an unclosed quotation mark reading starts again on the line below it."""
    lines = text.split("\n")
    records: list[Numbered] = []
    lost: list[LeftOut] = []
    start, number = 0, 1
    for _ in range(_RESTARTS):
        broken_at, number = _read_from(lines, start, delimiter, records, number)
        if broken_at < 0:
            return records, lost
        lost.append(LeftOut(row=number, source=name, reason=f"Line {broken_at + 1} opens a quotation mark that is never closed."))
        start, number = broken_at + 1, number + 1
    lost.append(LeftOut(row=number, source=name, reason=f"From line {start + 1} on there are too many unclosed quotation marks to go on."))
    return records, lost


def _read_from(lines: list[str], start: int, delimiter: str, records: list[Numbered], number: int) -> tuple[int, int]:
    """Append records from line `start` on. Returns the line of an unclosed quotation mark (-1: none) and the next row number."""
    reader = csv.reader((line + "\n" for line in lines[start:]), delimiter=delimiter)
    begun = 0
    while True:
        try:
            cells = next(reader)
        except StopIteration:
            return -1, number
        ended, first = reader.line_num, start + begun
        at_end = start + ended >= len(lines)
        begun = ended
        if at_end and cells and cells[-1].endswith("\n") and sum(line.count('"') for line in lines[first:]) % 2:
            return first, number  # the last cell swallowed the final line end: its quotation mark was never closed
        if cells:
            records.append((number, cells))
        if cells or not at_end:
            number += 1


def _claims(raw: bytes, suffix: str) -> bool:
    """A .txt whose lines all hold the same number of tabs is a table."""
    if suffix != ".txt" or b"\t" not in raw[:2000] or b"\0" in raw[:2000]:
        return False
    lines = [line for line in raw[:20_000].splitlines()[:-1] if line.strip()][:100]
    tabs = {line.count(b"\t") for line in lines}
    return len(lines) >= 5 and len(tabs) == 1 and min(tabs) >= 1


READER = Reader(suffixes=(".csv", ".tsv", ".tab"), read=read, claims=_claims)
