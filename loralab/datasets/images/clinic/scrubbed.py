"""Owns words without names: of people, of their files and folders.

Invariant: what comes out holds none of the names that went in, whatever their case.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from loralab.core.errors import Problem

_SHORT = 3  # letters below which a word names nobody
_BETWEEN = re.compile(r"[\W_]+")


def names_in(paths: Iterable[str], allowed: Iterable[str]) -> list[str]:
    """Every name of a file or folder, with and without its ending, the longest first; without words that are `allowed`: the classes."""
    free = {word.casefold() for word in allowed}
    found = {word for path in paths for part in PurePosixPath(path).parts for word in (part, PurePosixPath(part).stem)}
    found |= set(paths)
    return sorted((word for word in found if len(word) >= _SHORT and word.casefold() not in free), key=len, reverse=True)


def scrub(text: str, names: Sequence[str]) -> str:
    """Text with “a file” for every name; `names`: the longest first."""
    if not names:
        return text
    return re.sub("|".join(map(re.escape, names)), "a file", text, flags=re.IGNORECASE)


def scrubbed(problem: Problem, names: Sequence[str]) -> Problem:
    """A finding without names."""
    return problem.model_copy(update={"what": scrub(problem.what, names), "todo": scrub(problem.todo, names)})


def names_somebody(label: str, people: Iterable[str]) -> bool:
    """Whether a class is called like a patient: one of its words is a name or a number of one."""
    words = {label.casefold(), *_BETWEEN.split(label.casefold())}
    return any(person.casefold() in words for person in people if len(person) >= _SHORT)
