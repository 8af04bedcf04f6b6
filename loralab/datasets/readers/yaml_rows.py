"""Owns YAML that holds rows: a list of entries with the same fields, of conversations, or of intents with their examples.

Other YAML is settings, and a person is asked. Invariant: a file that grows without end while it is read (names for parts that hold each
other) is refused.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import replace
from typing import Any

import yaml

from loralab.core.errors import UserError
from loralab.core.words import listed
from loralab.datasets.formats.encoding import decode
from loralab.datasets.readers import Reader, Table, json_rows, plain

FEWEST, MOST_ALIKE = 3, 0.8  # entries; of them so many have the two commonest fields
_MOST_BYTES, _MOST_PARTS = 32 << 20, 2_000_000
_LINE = re.compile(r"^\s*-\s+(.*\S)", re.MULTILINE)
_MARKED = re.compile(r"\[([^\]]+)\](?:\([^)]*\)|\{[^}]*\})")  # a word and what it is: [Berlin](city)
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read(raw: bytes, name: str) -> list[Table]:
    """Rows numbered by their place in the list; what stands beside the list is told. Text where it holds no rows."""
    decoded = decode(raw, name)
    try:
        whole = yaml.load(decoded.text, _LOADER) if len(raw) <= _MOST_BYTES else None  # noqa: S506 - the loader that only makes plain values
    except (yaml.YAMLError, RecursionError, ValueError):
        whole = None
    if whole is None:
        return plain.read(raw, name)
    if _is_endless(whole):
        raise UserError(f"{name} unfolds into far more than it holds.", "Save it as a table or as JSON, and choose that.", code="not_text")
    found, beside = _list(whole)
    rows = _rows(found)
    if not rows:
        return plain.read(raw, name)
    made = json_rows.read(json.dumps(rows, default=str).encode(), name)
    about = f"not read: {listed([f'“{key}”' for key in beside])}" if beside else ""
    return [replace(table, coverage=None, encoding=decoded.encoding, about=about) for table in made]


def _is_endless(whole: Any) -> bool:
    """Whether walking it takes more steps than a file of its size can have parts."""
    waiting, parts = [whole], 0
    while waiting and parts <= _MOST_PARTS:
        one = waiting.pop()
        inner = [*one.keys(), *one.values()] if isinstance(one, dict) else list(one) if isinstance(one, (list, tuple, set)) else ()
        parts += 1
        waiting.extend(inner)
    return parts > _MOST_PARTS


def _list(whole: Any) -> tuple[list[Any], list[str]]:
    """The file's list, itself or the longest under one of its names, and the other names."""
    if isinstance(whole, list):
        return whole, []
    named = {str(key): value for key, value in whole.items() if isinstance(value, list)} if isinstance(whole, dict) else {}
    longest = max(named, key=lambda key: len(named[key]), default="")
    return named.get(longest, []), [str(key) for key in whole if str(key) != longest] if named else []


def _rows(found: list[Any]) -> list[dict[str, Any]]:
    """The entries as rows with named fields; empty where they are not alike."""
    entries = [entry for entry in found if isinstance(entry, dict)]
    if found and all(isinstance(entry, list) and len(entry) > 1 and all(isinstance(said, str) for said in entry) for entry in found):
        return [{"conversation": entry} for entry in found]
    if intents := [entry for entry in entries if "intent" in entry and "examples" in entry]:
        others: list[dict[str, Any]] = [{} for entry in found if entry not in intents]  # synonyms and patterns: named as left out
        return [{"text": text, "intent": str(entry["intent"])} for entry in intents for text in _examples(entry["examples"])] + others
    common = [field for field, number in Counter(str(key) for entry in entries for key in entry).most_common(2) if number >= FEWEST]
    alike = sum(all(field in entry for field in common) for entry in entries)
    return found if len(common) == 2 and alike >= MOST_ALIKE * len(found) else []


def _examples(told: Any) -> list[str]:
    """Examples of an intent, written as a list or as lines that begin with a dash."""
    listed_ones = [str(one["text"] if isinstance(one, dict) and "text" in one else one) for one in told] if isinstance(told, list) else []
    texts = listed_ones or _LINE.findall(str(told))
    return [_MARKED.sub(r"\1", text).strip() for text in texts]


READER = Reader(suffixes=(".yaml", ".yml"), read=read)
