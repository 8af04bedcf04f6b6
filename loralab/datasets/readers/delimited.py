"""Owns delimited text (.csv, .tsv): delimiter found by trying, cells over several lines, and quotation marks that never close.

Invariant: an unclosed quotation mark costs its own line only, never the rest of the file.
"""

from __future__ import annotations

import csv
import io
import sys
from collections import Counter
from dataclasses import replace
from itertools import islice

from loralab.core.errors import UserError
from loralab.core.records import LeftOut
from loralab.datasets.formats.encoding import decode
from loralab.datasets.formats.tabular import Numbered, table, under
from loralab.datasets.readers import Coverage, Reader, Table

_DELIMITERS = (",", ";", "\t", "|")
_SAMPLE = 200_000
_LINES_ESCAPED = 500  # of one record
_WORK = 20  # lines read in vain for each line there is

csv.field_size_limit(min(sys.maxsize, 2**31 - 1))  # a long article is one cell; the standard limit is 131,072 characters


def read(raw: bytes, name: str) -> list[Table]:
    """Rows numbered as a spreadsheet would show them: the header is row 1, a cell of many lines is one row."""
    decoded = decode(raw, name)
    text, delimiter = delimited(decoded.text, name)
    read = _Records(text.split("\n"), delimiter, name)
    read.run()
    made = table(name, read.records, decoded.encoding, read.lost)
    if not made.rows:
        what = f"{name} has no rows below its header." if read.records else f"{name} is empty."
        raise UserError(what, "Add examples to it.", code="empty_file")
    rows = sum(read.lengths.pop(row.number) for row in made.rows)
    left_out = sum(read.lengths.pop(lost.row) for lost in made.left_out)
    holding = len(decoded.text) - len(text) + read.line_ends + read.blank + sum(read.lengths.values())  # what is left is the header
    return [replace(made, coverage=Coverage(rows=rows, left_out=left_out, structure=holding))]


def continued(raw: bytes, name: str, columns: tuple[str, ...], delimiter: str) -> Table:
    """Rows of a later piece of a file whose columns and delimiter are known; numbered from 1."""
    decoded = decode(raw, name)
    read = _Records(decoded.text.split("\n"), delimiter, name)
    read.run()
    return under(name, columns, read.records, decoded.encoding, read.lost)


def delimited(text: str, name: str) -> tuple[str, str]:
    """The text without a line that names its delimiter, and the delimiter."""
    text, delimiter = _declared(text)
    return text, delimiter or sniff(text, "\t" if name.lower().endswith((".tsv", ".tab")) else ",")


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
        read = _Records(sample.split("\n"), delimiter, "")
        read.run(alike=False)
        widths = Counter(len(cells) for _, cells in read.records)
        if not widths:
            continue
        width, count = widths.most_common(1)[0]
        first = len(next(csv.reader(io.StringIO(sample.lstrip("\n"), newline="\n"), delimiter=delimiter)))
        steady = count / (widths.total() + read.faults)  # with a wrong delimiter, quotation marks end in the middle of cells
        if width > 1 and (steady >= 0.9 or (first == width and steady >= 0.6)):
            scores.append((round(steady, 1), delimiter == usual, width, delimiter))
    return max(scores)[3] if scores else usual


def is_table(text: str) -> bool:
    """Whether a text whose name says nothing has at least three lines that one delimiter cuts into the same columns."""
    lines = [line for line in text[:_SAMPLE].split("\n")[:200] if line.strip()]
    delimiter = sniff(text, "")
    return bool(delimiter) and len(lines) >= 3 and sum(delimiter in line for line in lines) >= 0.9 * len(lines)


class _Records:
    """All records of a text. `lengths`: characters of each record and of each line left out, by row number, without the last line end."""

    def __init__(self, lines: list[str], delimiter: str, name: str) -> None:
        self.lines, self.delimiter, self.name = lines, delimiter, name
        self.records: list[Numbered] = []
        self.lost: list[LeftOut] = []
        self.lengths: dict[int, int] = {}
        self.line_ends, self.blank = len(lines) - 1, 0
        self.faults = 0  # places that are not sound
        self._number = 1
        self._work = _WORK * len(lines) + 100_000

    def run(self, *, alike: bool = True) -> None:
        """Read on; after an unclosed quotation mark on the line below it, and without cells over several lines where there are too many."""
        at = 0
        while at < len(self.lines) and self._work > 0:
            at = self._read_from(at)
        for line in range(at, len(self.lines)):
            self._alone(line)
        if alike:
            self._other_delimiters()

    def _read_from(self, start: int) -> int:
        """Add records from line `start` on, as far as a line that is not sound. Returns the line to go on from."""
        reader = csv.reader((self.lines[at] + "\n" for at in range(start, len(self.lines))), delimiter=self.delimiter, strict=True)
        begun = start
        try:
            for cells in reader:
                ended = start + reader.line_num
                self._add(begun, ended, cells)
                begun = ended
        except csv.Error:
            self.faults += 1
            self._work -= start + reader.line_num - begun
            return self._escaped(begun) or self._alone(begun)
        return len(self.lines)

    def _escaped(self, at: int) -> int:
        """A record whose quotation marks stand behind backslashes, as some databases write them. Returns the line below, or 0."""
        if '\\"' not in self.lines[at]:
            return 0
        lines = (f"{line}\n" for line in islice(self.lines, at, at + _LINES_ESCAPED))
        reader = csv.reader(lines, delimiter=self.delimiter, strict=True, doublequote=False, escapechar="\\")
        try:
            cells = next(reader)
        except (csv.Error, StopIteration):
            return 0
        if self.records and len(cells) != len(self.records[-1][1]):
            return 0
        self._add(at, at + reader.line_num, cells)
        return at + reader.line_num

    def _alone(self, at: int) -> int:
        """A line for itself: left out where it opens a quotation mark that is never closed. Returns the line below."""
        line = self.lines[at]
        if line.count('"') % 2 and (f'{self.delimiter}"' in line or line.startswith('"')):
            self.lost.append(
                LeftOut(row=self._number, source=self.name, reason=f"Line {at + 1} opens a quotation mark that is never closed.")
            )
            self.lengths[self._number] = len(line)
            self._number += 1
        else:
            self._add(at, at + 1, next(csv.reader([line], delimiter=self.delimiter), []))
        return at + 1

    def _add(self, begun: int, ended: int, cells: list[str]) -> None:
        length = sum(map(len, self.lines[begun:ended]))
        if cells:  # ="00123" is how programs keep Excel from taking the zeros off
            cells = [cell[2:-1] if cell.startswith('="') and cell.endswith('"') else cell for cell in cells]
            self.records.append((self._number, cells))
            self.lengths[self._number] = length
        else:
            self.blank += length
        self._number += 1

    def _other_delimiters(self) -> None:
        """Rows that only another delimiter cuts as all the others are cut: files that were put together."""
        width = Counter(len(cells) for _, cells in self.records).most_common(1)[0][0] if self.records else 0
        for place, (number, cells) in enumerate(self.records):
            if len(cells) == 1 < width and "\n" not in cells[0]:
                found = (next(csv.reader([cells[0]], delimiter=other), []) for other in _DELIMITERS)
                self.records[place] = (number, next((new for new in found if len(new) == width), cells))


def _claims(raw: bytes, suffix: str) -> bool:
    """A .txt whose lines all hold the same number of tabs is a table."""
    if suffix != ".txt" or b"\t" not in raw[:2000] or b"\0" in raw[:2000]:
        return False
    lines = [line for line in raw[:20_000].splitlines()[:-1] if line.strip()][:100]
    tabs = {line.count(b"\t") for line in lines}
    return len(lines) >= 5 and len(tabs) == 1 and min(tabs) >= 1


READER = Reader(suffixes=(".csv", ".tsv", ".tab"), read=read, claims=_claims)
