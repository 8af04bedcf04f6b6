"""Owns finding the rows of a JSON text that is not valid as a whole: one after another, in lists, under names, with broken ones between.

Invariant: each character belongs to a row, to something left out with its reason, or to what only holds rows together (`structure`).
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from typing import Any

from loralab.datasets.formats.lenient import Broken, Doubled, Lenient

MOST_NAMED = 10_000  # broken pieces that are told one by one; those after them, as far as they stand side by side, as one
_WORK = 20  # characters read in vain for each character there is: then the rest is given up
_LOSS = 1500  # characters that the work on one broken piece counts for
_TRIES = 100  # objects within a broken row that are held against the first row
_TAIL = 20  # characters
_BEFORE, _QUOTED = 12, 40  # characters shown of what is broken
# A chatbot puts what it writes between ``` and ```.
_SEPARATORS = re.compile(r"(?:[\s\ufeff,;]+|```\w*|(?:#|//)[^\n{]*(?=\n|\Z)){1,1000}")
_LEAD = re.compile(r"(?:export\s+default|(?:(?:var|let|const)\s+)?[A-Za-z_$][\w$.]*(?:\.part\d+)?\s*[=(])\s*(?=[\[{])")
_LINE_START = re.compile(r"\n([ \t\ufeff]*)(?:[}\])]+[ \t]*,?[ \t]*)?(?=\{)")
_FIRST_KEY = re.compile(r"\{\s*[\"']?([^\"'\n:{}]{1,200})[\"']?\s*:")
_TURNS = r"messages|conversations?|turns|dialogu?e?|history|contents|instances"
_HOLDER = re.compile(
    r'\{(?:\s*"[^"\n]*"\s*:\s*(?:"(?:[^"\\\n]|\\.)*"|[\w.+-]+)\s*,)*\s*"(?!(?:' + _TURNS + r')")([^"\n]*)"\s*:\s*(?=\[\s*\{)'
)
_HOLDER_KEY = re.compile(r'"([^"\n]*)"\s*:\s*(?:(?=[\[{])|"(?:[^"\\\n]|\\.)*"|[\w.+-]+)')
_FIELD = re.compile(r'["\'][^"\'\n]*["\']\s*:')
_CLOSES = {"]": "[", "}": "{", ")": "["}
_SAID_BY = ("role", "from", "speaker")
_FIELD_FIRST = re.compile(r"\{\s*[\"'][^\"'\n]{1,100}[\"']\s*:")
_LIST_OF = re.compile(r"\[\s*\{\s*[\"']([^\"'\n]{1,200})[\"']")
_NAMED = re.compile(r'(?P<name>"[^"\n]*"\s*:\s*)\{\s*["\'](?P<first>[^"\'\n]{1,200})["\']')  # {"1": {...}, "2": {...}}
_BEFORE_ROW = re.compile(r"[^\n{}\"'\[]{1,80}(?=\{\s*[\"'][^\"'\n]{1,100}[\"']\s*:)")  # a number, the time, “data:”
_ROLE_FIRST = re.compile(r"\[\s*\{\s*[\"'](?:role|from)[\"']")


def _cost(error: Broken, at: int) -> int:
    """What was read in vain, in characters; brackets within brackets cost most."""
    return 100_000 if "deeply" in error.why else _LOSS + 5 * (error.at - at)


@dataclass(slots=True)
class Piece:
    """Characters `start` to `end` of a text: a row, or, with a `reason`, something left out. `line`: where it starts, from 1."""

    start: int
    end: int
    line: int
    value: Any = None
    reason: str = ""
    holder: str = ""  # the name under which its list stands


class Layout:
    """One pass over a text. `mends` counts the rows in which something was put right, by kind."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.pieces: list[Piece] = []
        self.structure = 0  # characters
        self.mends: Counter[str] = Counter()
        self.in_lists = False
        self._lenient = Lenient(text)
        self._open: list[str] = []
        self._holder = ""
        self._line, self._counted = 1, 0
        self._work = _WORK * len(text) + 1_000_000
        self._fields: tuple[str, ...] = ()  # of the first row
        self._span = (0, -1)  # of the line last looked at
        self._lines: tuple[int, int, int] = (-1, -1, -1)  # looked from, with what indent, found

    def run(self) -> None:
        """Fill `pieces` and the counts."""
        at = self._hold(0, lead.end() if (lead := _LEAD.match(self.text, self._gap(0))) else 0)
        while at < len(self.text):
            end = self._gap(at)
            if end > at:
                at = self._hold(at, end)
            elif self._work < 0:
                at = self._lose(at, len(self.text), "too much in it is not understood")
            else:
                at = self._one(at)

    # ---- what a position holds -------------------------------------------------------------------------------------------------

    def _gap(self, at: int) -> int:
        """Where blanks, commas and comments between rows end; a comment that holds a row is none of them."""
        while True:
            begun = found.end() if (found := _SEPARATORS.match(self.text, at)) else at
            if self.text[begun : begun + 1] in ("#", "/") and self._row_in_comment(begun):
                return begun
            end = self._lenient.comment(begun)
            if end == at:
                return at
            at = end

    def _row_in_comment(self, at: int) -> int:
        """Where a comment ends that holds a row: behind it where it has lines of its own, else before the row; 0 where it holds none."""
        end = self._lenient.comment(at)
        held = _FIELD_FIRST.search(self.text, at, end)
        if not held:
            return 0
        alone = not self.text[self._line_start(at) : at].strip() and "\n" in self.text
        return end if alone else held.start()

    def _one(self, at: int) -> int:
        """Past what stands at a position."""
        sign = self.text[at]
        if sign in "#/" and (held := self._row_in_comment(at)):
            return self._lose(at, held, "it stands in a comment")
        if end := self._around_rows(at, sign):
            return self._hold(at, end)
        return self._row(at) if sign in "{[\"“'" else self._scalar(at)

    def _around_rows(self, at: int, sign: str) -> int:
        """Where a bracket or a name ends that holds rows; 0 where none stands there."""
        if sign in "]})" and (self._open or self._is_end(at)):
            if self._open and _CLOSES[sign] == self._open[-1]:
                self._open.pop()
            return at + 1
        if not self._open and (words := _BEFORE_ROW.match(self.text, at)) and not self.text[self._line_start(at) : at].strip():
            self.mends["words before it"] += 1
            return words.end()
        if sign == '"' and self._fields and (named := _NAMED.match(self.text, at)) and named["first"] == self._fields[0]:
            return named.end("name")
        if sign == '"' and self._open[-1:] == ["{"] and (found := _HOLDER_KEY.match(self.text, at)):
            self._holder = found[1]
            return found.end()
        if sign == "[" and not self._is_row(at):
            self.in_lists = True
            self._open.append("[")
            return at + 1
        return 0

    def _is_row(self, at: int) -> bool:
        """Whether a list is a row itself: within another list, or on a line of its own as a conversation or as cells."""
        if self._open[-1:] == ["["]:
            first = _LIST_OF.match(self.text, at)
            return not (first and self._fields and first[1] == self._fields[0])
        end = self._line_end(at)
        closed = self.text[max(at, end - 9) : end].rstrip(" \t,;").endswith("]")
        return not self._open and closed and (bool(_ROLE_FIRST.match(self.text, at, end)) or self.text[at + 1] not in "{[] ")

    def _row(self, at: int) -> int:
        lenient = self._lenient
        lenient.mends.clear()
        try:
            value, end = lenient.value(at)
        except Doubled as error:
            return self._lose(at, error.at, error.why)
        except Broken as error:
            self._work -= _cost(error, at)
            return self._descend(at) or self._lose(at, self._next_row(at), error.why, error.at)
        mends = list(lenient.mends)
        after = self._gap(end)
        if not self._may_follow(end, after):
            return self._lose(at, min(self._line_end(after), self._next_row(at)), "something stands behind it", after)
        self.mends.update(mends)
        if isinstance(value, dict) and not self._fields:
            self._fields = tuple(value)
        return self._add(Piece(at, end, self._line_of(at), value=value, holder=self._holder))

    def _may_follow(self, end: int, after: int) -> bool:
        """Whether what stands at `after` may follow a row that ends at `end`: else that row was cut off or is not what it seems."""
        between, sign = self.text[end:after], self.text[after : after + 1]
        if not sign or (sign in "]})" and self._open) or self._is_end(after):
            return True
        if self._open[-1:] == ["["]:
            return ("," in between or "\n" in between or sign in "{[") and not _FIELD.match(self.text, after)
        return "\n" in between or sign in "{["

    def _is_end(self, at: int) -> bool:
        """Whether nothing but closing brackets stands from here on."""
        return len(self.text) - at < _TAIL and not self.text[at:].strip("]}) \n\t,;")

    def _descend(self, at: int) -> int:
        """Into the object around all rows, where that is what is broken; 0 where it is not."""
        if self.pieces or self._open:
            return 0
        if found := _HOLDER.match(self.text, at):
            self._holder = found[1]
            self._open.append("{")
            return self._hold(at, found.end())
        self._fields = self._commonest(at)
        begun = self._gap(at + 1)
        if self._fields and (named := _NAMED.match(self.text, begun)) and named["first"] == self._fields[0]:
            self._open.append("{")
            return self._hold(at, begun)
        return 0

    def _scalar(self, at: int) -> int:
        """Past the rest of a line that is no row; a number or a word is one value."""
        end = self._line_end(at)
        self._work -= _LOSS
        try:
            value, stop = self._lenient.value(at)
        except Broken as error:
            return self._lose(at, min(end, self._next_row(at)), error.why)
        if self._gap(stop) < end and not self._may_follow(stop, self._gap(stop)):
            return self._lose(at, min(end, self._next_row(at)), "something stands behind it", stop)
        return self._add(Piece(at, stop, self._line_of(at), value=value, holder=self._holder))

    # ---- where it goes on ------------------------------------------------------------------------------------------------------

    def _next_row(self, start: int) -> int:
        """Where the next row begins after a broken one: a line that begins as it does, or an object with the fields of the others."""
        self._fields = self._fields or self._commonest(start)
        limit = self._next_line(start)
        line = self._line_end(start)
        if not self._open and start == self._line_start(start) and self.text[max(start, line - 9) : line].rstrip().endswith("}"):
            limit = min(limit, line)  # one row per line
        key = self._fields[0] if self._fields else ""
        if not key:
            return limit
        alike = re.compile(rf"\{{\s*[\"']?{re.escape(key)}[\"']?\s*:").finditer(self.text, start + 1, limit)
        for found in islice(alike, _TRIES):
            if self._work < 0 or self._is_alike(found.start()):
                return found.start()
        return limit

    def _commonest(self, start: int) -> tuple[str, ...]:
        """The fields of what takes up most of the text behind a position: of the rows, not of what is in them."""
        taken: Counter[tuple[str, ...]] = Counter()
        at = self.text.find("{", start + 1)
        for _ in range(_TRIES):
            if at < 0:
                break
            try:
                value, end = self._lenient.value(at)
            except Broken as error:
                self._work -= _cost(error, at)
                end = at + 1
            else:
                taken[tuple(value)] += end - at
            at = self.text.find("{", end)
        return max(taken, key=lambda fields: taken[fields], default=())

    def _is_alike(self, at: int) -> bool:
        """Whether a whole object with the fields of the other rows stands there."""
        try:
            value, end = self._lenient.value(at)
        except Broken as error:
            self._work -= _cost(error, at)
            return False
        self._work -= end - at
        return set(self._fields) <= set(value)

    def _next_line(self, start: int) -> int:
        """Where, on a later line that is not indented deeper, an object begins."""
        indent = len(re.match(r"[ \t\ufeff]*", self.text[self._line_start(start) : start])[0])  # type: ignore[index]
        since, depth, found_at = self._lines
        if depth == indent and since <= start < found_at:
            return found_at
        end = len(self.text)
        for found in _LINE_START.finditer(self.text, start):
            if len(found[1]) < indent or (len(found[1]) == indent and self._begins_row(found.end())):
                end = found.end()
                break
        self._lines = (start, indent, end)
        return end

    def _begins_row(self, at: int) -> bool:
        """Without indents an object within a row looks like the next row, but for its fields."""
        key = _FIRST_KEY.match(self.text, at)
        if not self._fields or not key or key[1] in self._fields:
            return True
        return key[1] not in _SAID_BY and self.text[at : self._line_end(at)].rstrip(" ,]").endswith("}")

    def _line_end(self, at: int) -> int:
        return self._around(at)[1]

    def _line_start(self, at: int) -> int:
        return self._around(at)[0]

    def _around(self, at: int) -> tuple[int, int]:
        """Where the line of a position begins and ends; the last one is kept, because a whole file may be one line."""
        if not self._span[0] <= at <= self._span[1]:
            end = self.text.find("\n", at)
            self._span = (self.text.rfind("\n", 0, at) + 1, len(self.text) if end < 0 else end)
        return self._span

    def _line_of(self, at: int) -> int:
        self._line += self.text.count("\n", self._counted, at)
        self._counted = at
        return self._line

    # ---- the account -----------------------------------------------------------------------------------------------------------

    def _hold(self, start: int, end: int) -> int:
        self.structure += end - start
        return end

    def _add(self, piece: Piece) -> int:
        self.pieces.append(piece)
        return piece.end

    def _lose(self, start: int, end: int, why: str, at: int = -1) -> int:
        """Leave a piece out, with its line and a few of its words."""
        end = max(end, start + 1)
        self._work -= _LOSS
        line = self._line_of(start)
        if len(self.pieces) >= MOST_NAMED and (last := self.pieces[-1]).reason and not self.text[last.end : start].strip():
            self.structure -= start - last.end
            last.end, last.reason = end, f"From line {last.line} on nothing can be read as JSON."
            return end
        at = at if start <= at < end else start
        broken = line + self.text.count("\n", start, at)
        if end == len(self.text) and ("breaks off" in why or "never closed" in why):
            reason = f"The file breaks off at line {broken}{self._quote(start)}."
        else:
            reason = f"Line {broken} is not valid JSON: {why}{self._quote(max(start, at - _BEFORE))}."
        return self._add(Piece(start, end, line, reason=reason, holder=self._holder))

    def _quote(self, at: int) -> str:
        said = " ".join(self.text[at : at + _QUOTED].split())
        return f" (“{said}…”)" if said else ""
