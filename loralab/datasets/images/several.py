"""Owns tables that give a picture several labels at once: columns of 0 and 1, or one cell with several words.

A model here says one of several classes of a picture, so one label is learned at a time: whether it is there or not. Which one, a person is
asked.

Invariant: two labels together are never made a class of their own.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

_APART = re.compile(r"\s*[;|]\s*|\s*,\s*")
_FLAGS = {"0", "1", "0.0", "1.0", "true", "false", "yes", "no"}
_YES = {"1", "1.0", "true", "yes"}
_NONE = {"no finding", "none", "nothing", "normal", "healthy", "negative"}  # words that say that no label is there
MOST_LABELS = 60
OFTEN = 0.02  # share of the rows with several labels from which on that is no slip
FEWEST = 5  # rows with a label, and without it, below which it cannot be learned


@dataclass(frozen=True)
class Several:
    """Labels of which a picture may have more than one, in `columns` of their own or, where there are none, in the cells of `column`."""

    labels: tuple[str, ...]  # those that can be learned, the most even first
    column: str = ""
    columns: tuple[str, ...] = ()


def in_cells(column: str, texts: Sequence[str]) -> Several | None:
    """Whether cells hold several labels: “a;b”, “a|b” or “a, b”, whose parts also stand alone or with others."""
    split = [words(text) for text in texts if text]
    many = sum(len(found) > 1 for found in split)
    counted = Counter(word for found in split for word in found)
    if many < max(2, OFTEN * len(split)) or not 2 <= len(counted) <= MOST_LABELS or len(counted) * 3 > sum(counted.values()):
        return None
    combined = Counter(word for found in {frozenset(found) for found in split} for word in found)
    if 2 * sum(n > 1 for n in combined.values()) < len(combined):
        return None  # “Lung, left” is one label with a comma in it
    labels = _even(counted, len(split))
    return Several(labels, column) if labels else None


def in_columns(columns: Sequence[str], cells: Mapping[str, Sequence[str]]) -> Several | None:
    """Whether several columns say of each picture whether something is there, and some rows say so of more than one."""
    flags = [column for column in columns if {text.casefold() for text in cells[column]} - {""} <= _FLAGS and _counted(cells[column])]
    if len(flags) < 2:
        return None
    rows = list(zip(*(cells[column] for column in flags), strict=True))
    if sum(sum(is_yes(text) for text in row) > 1 for row in rows) < max(2, OFTEN * len(rows)):
        return None
    labels = _even(Counter({column: _counted(cells[column]) for column in flags}), len(rows))
    return Several(labels, columns=tuple(flags)) if labels else None


def words(text: str) -> tuple[str, ...]:
    """The labels of a cell, each once."""
    return tuple(dict.fromkeys(" ".join(word.split()) for word in _APART.split(text.strip("[](){} ")) if word.strip("'\" ")))


def is_yes(text: str) -> bool:
    """Whether a cell says that something is there."""
    return text.casefold() in _YES


def _counted(texts: Sequence[str]) -> int:
    return sum(is_yes(text) for text in texts)


def _even(counted: Counter[str], rows: int) -> tuple[str, ...]:
    """Labels that enough rows have and have not, the most evenly divided first."""
    able = [label for label, n in counted.items() if min(n, rows - n) >= FEWEST and label.casefold() not in _NONE]
    return tuple(sorted(able, key=lambda label: (abs(2 * counted[label] - rows), label)))
