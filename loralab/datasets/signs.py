"""Owns how much of a text is structure and not language: brackets, quotes, names of fields, ids.

Invariant: numbers, dates and the marks of sentences are language; a share is of what is read as one unit (letters here, tokens there).
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from contextlib import suppress

LOOKED_AT = 400  # examples
_KEY = r"[\"'][^\"'\n]{1,40}[\"']\s*[:=]|\b\w{1,40}="
_SIGNS = r"[{}\[\]<>\"`|=_\\/#*@$^&~+()]|(?<=[\"'\]}\d])[:,]"
_ID = r"(?<![\w-])(?=[\w-]*\d)(?=[\w-]*[A-Za-z_])[\w-]{6,}(?![\w-])|\b\d{10,}\b"
_STRUCTURE = re.compile(f"{_KEY}|{_ID}|{_SIGNS}")


def marked(text: str) -> bytearray:
    """For each character 1 where it is structure, 2 where it is a blank, else 0."""
    found = bytearray(2 if char.isspace() else 0 for char in text)
    for match in _STRUCTURE.finditer(text):
        found[match.start() : match.end()] = b"\1" * (match.end() - match.start())
    return found


def share(texts: Sequence[str]) -> float:
    """Share of the letters of these texts, blanks aside, that are structure; 0 where there are none."""
    marks = [marked(text) for text in texts]
    language, structure = (sum(one.count(kind) for one in marks) for kind in (0, 1))
    return structure / (language + structure) if structure else 0.0


def is_structured(text: str) -> bool:
    """Whether a text is an object or a list, written down as JSON."""
    with suppress(ValueError, RecursionError):
        return isinstance(json.loads(text), dict | list)
    return False
