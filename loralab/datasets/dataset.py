"""Owns the way from a path to Examples and their split. App and worker call the same functions, so both see the same rows.

Invariant: rows kept + rows left out = rows read, and no example has a copy of itself, or of its question, on the other side of the split.
"""

from __future__ import annotations

import random
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np

from loralab.core.errors import UserError
from loralab.core.records import Example, LeftOut, Record
from loralab.datasets.examples import convert, spread_instances
from loralab.datasets.readers import Table, read_path
from loralab.datasets.shapes import Recognised, check_roles, recognise, shape_of

MIN_HELDOUT = 8

T = TypeVar("T")


class Loaded(Record):
    """What reading a file of examples found besides the examples."""

    name: str
    path: str
    shape: str
    roles: dict[str, str]
    columns: tuple[str, ...]
    certain: bool
    encoding: str
    n_read: int
    left_out: tuple[LeftOut, ...] = ()


def load_examples(path: Path, roles: dict[str, str] | None = None) -> tuple[tuple[Example, ...], Loaded]:
    """Read and convert every row of a file, folder or zip. `roles` (role -> column) override recognition in tables that have these columns.

    Raises UserError when nothing can be learned from the file, or when the roles fit none of it.
    """
    wanted = {role: column for role, column in (roles or {}).items() if column}
    if wanted:
        check_roles(wanted)
    tables = [spread_instances(table) for table in read_path(Path(path))]
    left_out = [lost for table in tables for lost in table.left_out]
    tables = [table for table in tables if table.rows]
    if not tables:
        raise UserError(f"{Path(path).name} holds no rows to learn from.", "Choose a file with examples in it.", code="no_examples")
    if wanted and not any(_fits(table, wanted) for table in tables):
        known = {column for table in tables for column in table.columns}
        missing = next((column for column in wanted.values() if column not in known), next(iter(wanted.values())))
        has = ", ".join(f"“{column}”" for column in tables[0].columns[:12])
        raise UserError(f"The file has no column “{missing}”; it has {has}.", "Choose the columns again.", code="no_such_column")
    understood = [_understand(table, wanted) for table in tables]
    examples: list[Example] = []
    for table, found in zip(tables, understood, strict=True):
        for unit in convert(table, found.roles):
            if isinstance(unit, Example):
                examples.append(unit)
            else:
                left_out.append(unit)
    main = max(range(len(tables)), key=lambda place: len(tables[place].rows))
    loaded = Loaded(
        name=Path(path).name,
        path=str(path),
        shape=understood[main].shape,
        roles=understood[main].roles,
        columns=tables[main].columns,
        certain=all(found.certain for found in understood),
        encoding=tables[main].encoding,
        n_read=len(examples) + len(left_out),
        left_out=tuple(left_out),
    )
    if not examples:
        what = f"No row of {loaded.name} can be learned from. {left_out[0].reason}"
        raise UserError(what, "Choose other columns or another file.", code="no_examples")
    return tuple(examples), loaded


def _fits(table: Table, roles: dict[str, str]) -> bool:
    return set(roles.values()) <= set(table.columns)


def _understand(table: Table, roles: dict[str, str]) -> Recognised:
    if not roles or not _fits(table, roles):
        return recognise(table)
    return Recognised(shape_of(roles, [row.values for row in table.rows[:50]]), roles, True)


# ---- split -----------------------------------------------------------------------------------------------------------------


def normalised(text: str) -> str:
    """Text without what does not make it different: case, accents' spelling, punctuation, blanks."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"[\W_]+", " ", folded).strip() or " ".join(folded.split())


def fingerprint(example: Example) -> str:
    """Equal for examples that say the same."""
    if example.media:
        return "\n".join([*example.media, example.text, example.label or "", repr(example.target)])
    if not example.messages:
        return normalised(example.text)
    return "\n".join(f"{message.role}: {normalised(message.content)}" for message in example.messages)


def _question(example: Example) -> str:
    """What the model is asked: everything before the last answer, or what it is shown."""
    if example.media:
        return "\n".join(example.media)
    if not example.messages:
        return normalised(example.text)
    return "\n".join(f"{message.role}: {normalised(message.content)}" for message in example.messages[:-1])


def count_duplicates(examples: Iterable[Example]) -> int:
    """Examples that say the same as one before them."""
    prints = [fingerprint(example) for example in examples]
    return len(prints) - len(set(prints))


def spread(count: int, most: int) -> list[int]:
    """At most `most` of the positions 0..count-1, evenly spread, always the same ones."""
    return sorted({int(i) for i in np.linspace(0, count - 1, min(count, most))}) if count else []


def stratified(examples: Sequence[Example], most: int) -> list[int]:
    """Positions of at most `most` examples, in file order: evenly spread, each class or repeated answer with about its share."""
    answers = [e.label if e.label is not None else e.messages[-1].content.strip() if e.messages else "" for e in examples]
    repeated = Counter(answers)
    order = sorted(range(len(examples)), key=lambda place: answers[place] if repeated[answers[place]] > 1 else "")
    return sorted(order[place] for place in spread(len(order), most))


def split(examples: Sequence[Example], share: float = 0.1, seed: int = 0) -> tuple[tuple[Example, ...], tuple[Example, ...]]:
    """(train, held-out), each in file order: `share` held out, at least 8 rows, never more than half.

    Examples with the same question stay together, so that no held-out question was trained on; where one question is more than a
    twentieth of all rows (the same instruction everywhere) only equal examples stay together. The same seed gives the same split.
    """
    groups = _groups(examples)
    target = min(len(examples) // 2, max(MIN_HELDOUT, round(share * len(examples))))
    random.Random(seed).shuffle(groups)
    held: set[int] = set()
    for group in groups:
        if len(held) + len(group) <= target:
            held.update(group)
    train = tuple(example for place, example in enumerate(examples) if place not in held)
    return train, tuple(examples[place] for place in sorted(held))


def _groups(examples: Sequence[Example]) -> list[list[int]]:
    """Positions of examples that must not be parted, in order of their first appearance."""
    by_question: dict[str, list[int]] = {}
    for place, example in enumerate(examples):
        by_question.setdefault(_question(example), []).append(place)
    groups: list[list[int]] = []
    for places in by_question.values():
        if len(places) <= max(2, len(examples) // 20):
            groups.append(places)
            continue
        by_all: dict[str, list[int]] = {}
        for place in places:
            by_all.setdefault(fingerprint(examples[place]), []).append(place)
        groups.extend(by_all.values())
    return groups
