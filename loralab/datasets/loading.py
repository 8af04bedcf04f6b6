"""Owns the way from a path to Examples, whatever its size. Invariant: app and worker come in by this door, so both see the same rows."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from loralab.core.errors import UserError
from loralab.core.records import Example
from loralab.core.words import count
from loralab.datasets.dataset import Loaded, examples_of
from loralab.datasets.large.reading import is_large, load_large
from loralab.datasets.large.store import StoredExamples
from loralab.datasets.large.watch import Watch
from loralab.datasets.readers import read_path
from loralab.datasets.tables.together import together

MOST_HELD = 200_000  # examples that one run holds and learns from


def load_examples(
    path: Path, roles: dict[str, str] | None = None, parts: Sequence[str] = (), *, watch: Watch | None = None, home: Path | None = None
) -> tuple[Sequence[Example], Loaded]:
    """Read and convert every row of a file, folder or zip. `roles` (role -> column) override recognition in tables that have these columns.

    `parts`: the sheets of a workbook, or the text or tables of a document, that are read; without them the largest of each file. Of a large
    file the examples stay on the disk, in the workspace `home`; `watch` follows that and may stop it (ReadingStopped).
    Raises UserError when nothing can be learned from the file, or when the roles or parts fit none of it.
    """
    path = Path(path)
    if is_large(path):
        return load_large(path, roles, watch or Watch(), home)
    return examples_of(path, together(read_path(path)), roles, parts)


def hold(examples: Sequence[Example]) -> tuple[Example, ...]:
    """All of them in memory. Raises UserError where they are a large file's, and more than one run learns from."""
    if isinstance(examples, StoredExamples) and len(examples) > MOST_HELD:
        raise UserError(too_many(len(examples)), TAKE_SOME, code="too_many_examples")
    return tuple(examples)


TAKE_SOME = "Take an even sample of them: that teaches nearly as much, in a fraction of the time."


def too_many(n: int) -> str:
    """What is said of more examples than one run learns from."""
    return f"These are {count(n, 'example')}: more than the {MOST_HELD:,} that one run can learn from on a computer like this."
