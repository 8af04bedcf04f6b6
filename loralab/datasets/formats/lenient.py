"""Owns reading one JSON value that is written a little wrong: commas too many, comments, raw line breaks, Python's spelling.

Invariant: nothing is invented and nothing within a value is lost. What is not wholly understood is Broken, and where it broke is told.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from typing import Any

MAX_DEPTH = 100  # brackets within brackets
_NEAR = (1 << 10, 1 << 16)  # characters within which the fast way is tried
_SPACE = re.compile(r"[\s\ufeff]*")  # a byte-order mark stands in the middle where files were put together
_NAME = re.compile(r"[A-Za-z_$][\w$-]*")
_NUMBER = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)(?![\w.])")
_LITERALS: dict[str, Any] = {
    "true": True,
    "false": False,
    "null": None,
    "True": True,
    "False": False,
    "None": None,
    "undefined": None,
    "NaN": math.nan,
    "nan": math.nan,
    "Infinity": math.inf,
    "inf": math.inf,
}
_QUOTES = {'"': '"', "'": "'", "“": "”"}
_PLAIN = {closing: re.compile(rf"[^{closing}\\]*") for closing in _QUOTES.values()}
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "/": "/", "\\": "\\", '"': '"', "'": "'", "\n": ""}
_CODES = {"x": 2, "u": 4, "U": 8}  # digits after the letter
_HALF = re.compile("[\ud800-\udfff]")
_LISTS = {"[": "]", "(": ")"}


class Broken(ValueError):
    """What stands at `at` is not understood; `why` goes on from “not valid JSON:”."""

    def __init__(self, at: int, why: str) -> None:
        super().__init__(why)
        self.at, self.why = at, why


class Doubled(Broken):
    """A whole object, ending at `at`, that names a field twice: which of the two is meant, nobody can say."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError
    return made


_STRICT = json.JSONDecoder(object_pairs_hook=_once)


def strict(text: str) -> Any:
    """The value of a text that is valid JSON and names no field twice. Raises ValueError or RecursionError."""
    return _STRICT.decode(text)


def is_deep(value: Any) -> bool:
    """Whether brackets stand within brackets more often than other code can follow."""
    level = [value] if isinstance(value, dict | list) else []
    for _ in range(MAX_DEPTH):
        below = (inner for outer in level for inner in (outer.values() if isinstance(outer, dict) else outer))
        level = [inner for inner in below if isinstance(inner, dict | list)]
        if not level:
            return False
    return True


class Lenient:
    """Reads values of one text. `mends`: what was put right, by kind, since it was last emptied."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.mends: Counter[str] = Counter()
        self._no_comment_end = len(text)  # from here on no “*/” comes any more
        self._doubled = ""

    def value(self, at: int) -> tuple[Any, int]:
        """The value at a position, and where it ends. Raises Broken."""
        value, end = self._valid(at)
        if end < 0:
            self._doubled = ""
            value, end = self._value(at, 0)
            if self._doubled:
                raise Doubled(end, f"“{self._doubled}” stands in it twice") from None
        if is_deep(value):
            raise Broken(end, "its brackets are nested too deeply")
        return value, end

    def _valid(self, at: int) -> tuple[Any, int]:
        """The value at a position where it is valid JSON and not very long, else -1 for its end."""
        if self.text[at : at + 1] not in ("{", "[", '"'):
            return None, -1
        for size in _NEAR:  # of a slice, because an error counts all lines before it
            near = self.text[at : at + size]
            try:
                value, end = _STRICT.raw_decode(near)
            except json.JSONDecodeError as error:
                if error.pos < size - 20 and not error.msg.startswith("Unterminated"):
                    break
            except (ValueError, RecursionError):
                break
            else:
                if end < size:
                    return value, at + end
        return None, -1

    def gap(self, at: int) -> int:
        """Where blanks and comments from a position on end."""
        while True:
            end = found.end() if (found := _SPACE.match(self.text, at)) else at
            at = self.comment(end)
            if at == end:
                return at

    def comment(self, at: int) -> int:
        """The end of a comment; the position itself where none begins."""
        if self.text.startswith(("#", "//"), at):
            end = self.text.find("\n", at)
            self.mends["comments"] += 1
            return len(self.text) if end < 0 else end
        if self.text.startswith("/*", at) and at < self._no_comment_end:
            end = self.text.find("*/", at + 2)
            if end >= 0:
                self.mends["comments"] += 1
                return end + 2
            self._no_comment_end = at
        return at

    def _value(self, at: int, depth: int) -> tuple[Any, int]:
        if depth > MAX_DEPTH:
            raise Broken(at, "its brackets are nested too deeply")
        first = self.text[at : at + 1]
        if first == "{":
            return self._object(at, depth)
        if first in _LISTS:
            return self._list(at, depth)
        if first in _QUOTES:
            return self.string(at)
        if number := _NUMBER.match(self.text, at):
            return self._number(number)
        if (name := _NAME.match(self.text, at)) and name[0] in _LITERALS:
            return _LITERALS[name[0]], name.end()
        raise self._lost(at)

    def _lost(self, at: int) -> Broken:
        if at >= len(self.text):
            return Broken(at, "it breaks off")
        bare = self.text[at].isalpha()
        return Broken(at, "a word stands without quotation marks" if bare else "a value, a comma or a bracket is missing")

    def _number(self, found: re.Match[str]) -> tuple[Any, int]:
        said = found[0]
        try:
            return (int(said, 16) if "x" in said.lower() else int(said) if said.lstrip("+-").isdigit() else float(said)), found.end()
        except ValueError:
            raise Broken(found.start(), "a number is too long") from None

    def string(self, at: int) -> tuple[str, int]:
        """A text between quotation marks of any kind; a line break within is a line break."""
        text, start = self.text, at
        closing = _QUOTES[text[at]]
        if closing != '"':
            self.mends["quotation marks of another kind"] += 1
        plain, parts, at = _PLAIN[closing], [], at + 1
        while True:
            begun, at = at, found.end() if (found := plain.match(text, at)) else at
            parts.append(text[begun:at])
            if at >= len(text):
                raise Broken(start, "a quotation mark is never closed")
            if text[at] == closing:
                break
            said, at = self._escape(at + 1)
            parts.append(said)
        made = "".join(parts)
        if "\n" in text[start:at]:
            self.mends["line breaks within a text"] += 1
        return made.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace") if _HALF.search(made) else made, at + 1

    def _escape(self, at: int) -> tuple[str, int]:
        """What a backslash before `at` and what follows mean: a backslash that says nothing is one."""
        letter = self.text[at : at + 1]
        if letter in _ESCAPES and letter:
            return _ESCAPES[letter], at + 1
        digits = self.text[at + 1 : at + 1 + _CODES.get(letter, 0)]
        if digits and len(digits) == _CODES[letter] and all(digit in "0123456789abcdefABCDEF" for digit in digits):
            number = int(digits, 16)
            if number < 0x110000:
                return chr(number), at + 1 + len(digits)
        self.mends["single backslashes"] += 1
        return "\\", at

    def _object(self, at: int, depth: int) -> tuple[dict[str, Any], int]:
        made: dict[str, Any] = {}
        at = self.gap(at + 1)
        while self.text[at : at + 1] != "}":
            key, at = self._key(at)
            at = self.gap(at)
            if self.text[at : at + 1] != ":":
                raise Broken(at, "a colon is missing") if at < len(self.text) else self._lost(at)
            value, at = self._value(self.gap(at + 1), depth + 1)
            if key in made:
                self._doubled = key
            made[key] = value
            at = self._next(at, "}", _QUOTES)
        return made, at + 1

    def _key(self, at: int) -> tuple[str, int]:
        if self.text[at : at + 1] in _QUOTES and at < len(self.text):
            return self.string(at)
        if found := _NAME.match(self.text, at) or _NUMBER.match(self.text, at):
            self.mends["names without quotation marks"] += 1
            return found[0], found.end()
        raise self._lost(at)

    def _list(self, at: int, depth: int) -> tuple[list[Any], int]:
        made: list[Any] = []
        closing = _LISTS[self.text[at]]
        at = self.gap(at + 1)
        while self.text[at : at + 1] != closing:
            value, at = self._value(at, depth + 1)
            made.append(value)
            at = self._next(at, closing, "{")
        return made, at + 1

    def _next(self, at: int, closing: str, openers: str | dict[str, str]) -> int:
        """After a value within brackets: past a comma, or at the bracket; a comma forgotten at a line's end is put in."""
        here = self.gap(at)
        sign = self.text[here : here + 1]
        if sign == ",":
            after = self.gap(here + 1)
            begun = after
            while self.text[after : after + 1] == ",":
                after = self.gap(after + 1)
            following = self.text[after : after + 1]
            if after > begun and following != closing and following not in openers:
                raise self._lost(begun)  # a cell may be missing between two commas
            if after > begun or following == closing:
                self.mends["commas too many"] += 1
            return after
        if sign == closing:
            return here
        if sign and sign in openers and "\n" in self.text[at:here]:
            self.mends["forgotten commas"] += 1
            return here
        raise self._lost(here)
