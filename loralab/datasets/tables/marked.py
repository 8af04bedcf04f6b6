"""Owns which rows a file itself marks to test with, and what is done about it.

A mark is a cell of a column named split, set and so on, or the name of a file beside one that is named train. Invariant: a mark is only
followed where every filled cell of its column is one, and what was done about marks is always told.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

from loralab.core.records import Example
from loralab.core.words import count, plural
from loralab.datasets.formats.cells import cell_text
from loralab.datasets.large.store import StoredExamples
from loralab.datasets.readers import Row, Table
from loralab.datasets.tables.columns import key

FEWEST = 8  # held-out examples that tell anything, and as many at least to learn from

_COLUMNS = frozenset(
    ("split", "splits", "set", "subset", "partition", "fold", "phase", "usage", "datasplit", "datasetsplit", "traintest", "traintestsplit")
)
_TEST = frozenset(
    (
        *("test", "tests", "testing", "tst", "testset", "validation", "validate", "valid", "val", "dev", "eval", "evaluation"),
        *("heldout", "holdout", "privatetest", "publictest", "validationset", "devset", "valset", "evalset"),
    )
)
_TRAIN = frozenset(("train", "training", "trn", "trainset", "trainingset", "learn"))
_YES = frozenset(("true", "1", "yes"))
_FLAGS = {"istest": True, "isval": True, "isvalid": True, "isvalidation": True, "isheldout": True, "heldout": True, "istrain": False}
_SHARD = re.compile(r"[-_.]?\d+(?:[-_]?of[-_]?\d+)?$")  # test-00000-of-00001, test_2


@dataclass(frozen=True)
class Marks:
    """How many examples are marked, and what becomes of it."""

    marked: int
    of: int

    @property
    def followed(self) -> bool:
        """Whether enough is left to learn from."""
        return self.marked > 0 and self.of - self.marked >= FEWEST


def mark_column(columns: Sequence[str], rows: Sequence[Row]) -> str:
    """The column that says which rows are to test with; "" where there is none."""
    for column in columns:
        short = key(column)
        if short in _FLAGS or short in _COLUMNS:
            words = {key(text) for row in rows if (text := cell_text(row.values.get(column)))}
            known = _YES | {"false", "0", "no"} if short in _FLAGS else _TEST | _TRAIN
            if words and words <= known and (short in _FLAGS or words & _TEST):
                return column
    return ""


def held_rows(table: Table, named: bool) -> Callable[[int], bool]:
    """Whether the row of this number is marked. `named`: the files are named by what they are for."""
    if named and _is_named(table.source, _TEST):
        return lambda _number: True
    column = mark_column(table.columns, table.rows)
    if not column:
        return lambda _number: False
    numbers = {row.number for row in table.rows if _marks(column, cell_text(row.values.get(column)))}
    return numbers.__contains__


def are_named(sources: Iterable[str]) -> bool:
    """Whether files are named by what they are for: one to train with is among them."""
    return any(_is_named(source, _TRAIN) for source in sources)


def _marks(column: str, text: str) -> bool:
    wanted = _FLAGS.get(key(column))
    if wanted is None:
        return key(text) in _TEST
    return bool(text) and (key(text) in _YES) == wanted


def _is_named(source: str, words: frozenset[str]) -> bool:
    """A file or a folder on its way is called so, alone or after the name of the data set: test.jsonl, dev/a.txt, pets-test.csv."""
    *folders, name = PurePosixPath(source.replace("\\", "/")).parts or ("",)
    stem = _SHARD.sub("", name.split(".")[0] if name.count(".") else name).casefold()
    ends = re.split(r"[-_ ]+", stem)
    return key(stem) in words or key(ends[-1]) in words or key(ends[0]) in words or any(key(folder) in words for folder in folders)


def words(examples: Sequence[Example], heldout: Sequence[Example]) -> str:
    """What was done about marks, in a sentence or two; "" where there are none."""
    marked = int(examples.marked.sum()) if isinstance(examples, StoredExamples) else sum(example.held_out for example in examples)
    marks = Marks(marked, len(examples))
    if not marks.marked:
        return ""
    said = f"The file marks {marks.marked:,} of {count(marks.of, 'example')} to test with"
    if not marks.followed:
        left = marks.of - marks.marked
        return f"{said}, which leaves {left:,} to learn from: too few, so the marks are not followed and some are kept aside at random."
    more = len(heldout) - marks.marked
    verb = plural(marks.marked, "it is", "they are")
    if not more:
        note = " That is more than there are to learn from." if 2 * marks.marked > marks.of else ""
        return f"{said}: {verb} kept aside and never learned from.{note}"
    why = "so that there are enough to test on" if marks.marked < FEWEST else "which ask the same"
    return f"{said}: {verb} kept aside, with {more:,} more {why}."
