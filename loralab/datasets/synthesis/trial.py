"""Owns the two files of the question whether made rows help. Invariant: the same held-out rows stand first in both, so that each has the
same number in both, and nothing differs but the rows in question.
"""

from __future__ import annotations

from pathlib import Path

from loralab.core.errors import UserError
from loralab.core.words import count
from loralab.datasets.synthesis.files import Made
from loralab.datasets.synthesis.rows import TEST, write_rows

FEWEST = 8  # held-out rows, and rows to learn from


def two_files(made: Made, origin: str, folder: Path) -> tuple[Path, Path]:
    """Without and with the rows of an origin. Raises UserError where either would leave too little."""
    rows = made.rows
    held = [row for row in rows if row.split == TEST]
    learned = [row for row in rows if row.split != TEST]
    others = [row for row in learned if row.origin != origin]
    if len(others) == len(learned):
        raise UserError(f"No row of {made.path.name} is {origin}.", "Choose a file that has some.", code="no_rows")
    if min(len(held), len(others)) < FEWEST:
        left = f"{count(len(others), 'row')} to learn from and {len(held)} to test on"
        raise UserError(f"Without them there are {left}: too few to tell.", "Add examples of your own first.", code="too_few")
    target = folder / "trials" / f"{made.path.stem}-{rows[0].id}-{len(rows)}"
    files = target / "without.jsonl", target / "with.jsonl"
    for file, part in zip(files, (others, learned), strict=True):
        write_rows(file, [*held, *part])
    return files
