"""Owns lists and objects that were written down as text: JSON, Python's own form, and how numpy and pandas print them.

Invariant: nothing is run, and text that is not wholly a list or an object stays text.
"""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Callable
from typing import Any

_MAX = 2_000_000  # characters of one cell
_DEEPEST = 60  # brackets open at once: more is no conversation, and parsers give up in their own ways
# Strings are passed over; what stands between them is changed: numpy leaves out commas and adds its own words.
_PIECES = re.compile(
    r"""(?P<escaped>\\.)|(?P<text>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")|(?P<call>\b(?:np\.)?(?:array|Series|list|tuple)\()"""
    r"""|(?P<made>\b[A-Za-z_][\w.]{0,60}\([^()\[\]{}]*\)|<[A-Za-z_][^<>\n]*>)"""
    r"""|(?P<kind>(?:,\s{0,80})?dtype=[\w.'<>]+\s*)|(?P<gap>[}\]]\s+(?=[{\[]))|(?P<word>\b(?:nan|null|true|false|NaN)\b)""",
    re.DOTALL,
)
_BEGINS = re.compile(r"""\s*(?:\[\s*)*\{\s*['"]|\s*\[\s*['"\[]|\s*array\(\[""")
_WORDS = {"nan": "None", "NaN": "None", "null": "None", "true": "True", "false": "False"}


def looks_structured(text: str) -> bool:
    """Whether a text begins and ends as a list or an object does; cheap."""
    bare = text.strip()
    return len(bare) > 1 and (bare[0], bare[-1]) in (("[", "]"), ("{", "}"), ("a", ")")) and (bare[0] != "a" or bare.startswith("array("))


def begins_structured(text: str) -> bool:
    """Whether a text begins as a list or an object with names in quotation marks does, though it may not be whole."""
    return _BEGINS.match(text) is not None


def parsed(value: Any) -> Any:
    """The list or object that a text stands for; any other value as it is. A list or object given twice as text is read twice."""
    for _ in range(2):
        if not isinstance(value, str) or not looks_structured(value):
            return value
        found = _read(value.strip())
        if not isinstance(found, str | list | dict | tuple):
            return value
        value = found
    return value


def _read(text: str) -> Any:
    if len(text) > _MAX or _depth(text) > _DEEPEST:
        return None
    for read in (json.loads, _python, lambda said: _python(_repaired(said))):
        found = _tried(read, text)
        if found is not None:
            return found
    return None


def _python(text: str) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of backslashes that Python thinks odd
        return ast.literal_eval(text)


def _tried(read: Callable[[str], Any], text: str) -> Any:
    try:
        return read(text)
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        return None


def _repaired(text: str) -> str:
    """With the commas that numpy leaves out, and without its own words."""

    def change(match: re.Match[str]) -> str:
        kind, said = match.lastgroup, match.group()
        if kind in ("text", "escaped"):
            return said
        if kind == "gap":
            return f"{said.rstrip()}, "
        if kind == "made":  # a date, an id: what another program made of it
            return repr(said)
        return {"call": "(", "kind": ""}.get(kind or "", _WORDS.get(said, said))

    return _PIECES.sub(change, text)


def _depth(text: str) -> int:
    deepest = depth = 0
    for char in text:
        if char in "[{(":
            depth += 1
            deepest = max(deepest, depth)
        elif char in "]})":
            depth -= 1
    return deepest
