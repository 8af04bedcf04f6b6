"""Owns the step from a cell of any file format to clean text.

Invariant: line breaks and inner blanks survive, and the result encodes as UTF-8.
"""

from __future__ import annotations

import json
import math
import re
from typing import Any

_BLANK_LINES = re.compile(r"\A(?:[ \t]*\n)+")


def cell_text(value: Any) -> str:
    """Text of a cell. Empty, missing and not-a-number give ""; lists of texts are joined by line breaks; nested values become JSON."""
    if isinstance(value, str):
        return _clean(value)
    if isinstance(value, dict | list | tuple):
        return _nested(value)
    if isinstance(value, bytes):
        return _clean(value.decode("utf-8", errors="replace"))
    return _scalar(value)


def _scalar(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))  # a spreadsheet keeps 3 as 3.0
    return _clean(str(value))


def _nested(value: dict[Any, Any] | list[Any] | tuple[Any, ...]) -> str:
    if isinstance(value, dict) and isinstance(value.get("text"), list | str):
        return cell_text(value["text"])  # SQuAD-like answers
    if not value:
        return ""
    if isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
        return _clean("\n".join(value))
    return _clean(json.dumps(value, ensure_ascii=False, default=str))


def _clean(text: str) -> str:
    """Unix line ends, no outer blank lines, the indent of a first line kept where more lines follow (a poem's shape is meaning)."""
    text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\x00", "")
    if not text.isascii():
        text = text.encode("utf-8", errors="replace").decode("utf-8")  # halves of surrogate pairs cannot be tokenised
    text = _BLANK_LINES.sub("", text).rstrip()
    return text if "\n" in text else text.strip()
