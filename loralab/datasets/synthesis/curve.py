"""Owns the learning curve: the files of pilots on shares of the rows, and what more rows would bring about by them.

Invariant: the same held-out rows stand first in each file; a smaller share lies within a larger one; what is far is called a guess.
"""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path

from loralab.core.errors import UserError
from loralab.core.records import Record
from loralab.core.words import count
from loralab.datasets.synthesis.files import Made
from loralab.datasets.synthesis.rows import TEST, write_rows
from loralab.datasets.synthesis.split import with_split

SHARES = (0.25, 0.5, 1.0)
FEWEST = 32  # rows to learn from: a quarter of fewer teaches nothing
_SLOPES = (0.1, 2.0)  # of loss over rows in a power law, as they are seen (Hestness et al. 2017)
_USUAL_SLOPE = 0.35
_FELT = 0.005  # of the loss: less is nothing a person would notice


class MoreRows(Record):
    """What pilots say: rows and loss of each, and what so many more would bring about, as a share of the loss."""

    points: tuple[tuple[int, float], ...]
    more: int
    gain: float | None = None  # None: the pilots do not tell

    @property
    def words(self) -> str:
        """In a sentence or two."""
        if len(self.points) < 2:
            return "Too few of the pilots finished to say anything."
        rows, asked = self.points[-1][0], f"{self.more:,} more {'row' if self.more == 1 else 'rows'}"
        if self.gain is None:
            return f"From {self.points[0][0]:,} to {count(rows, 'row')} it did not get better, so more rows of this kind would hardly help."
        beyond = " That is more than twice of what there is, so it is a guess." if self.more > rows else ""
        if self.gain < _FELT:
            return f"{asked} like these would bring about hardly anything.{beyond}"
        return (
            f"{asked} like these would make it about {100 * self.gain:.0f} % surer of the right words of answers it has not seen.{beyond}"
        )


def shares(made: Made, folder: Path) -> list[tuple[Path, int]]:
    """A file for each share, and how many rows it has to learn from. Raises UserError where there are too few."""
    rows = made.rows
    rows = rows if any(row.split == TEST for row in rows) else with_split(rows)
    held, learned = ([row for row in rows if (row.split == TEST) == side] for side in (True, False))
    if len(learned) < FEWEST or len(held) < FEWEST // 4:
        what = f"{made.path.name} has {count(len(learned), 'row')} to learn from: too few for pilots."
        raise UserError(what, f"From {FEWEST} on, parts of them tell something.", code="too_few")
    random.Random(0).shuffle(learned)
    target = folder / "trials" / f"{made.path.stem}-{rows[0].id}-{len(rows)}-curve"
    found: list[tuple[Path, int]] = []
    for share in SHARES:
        part = learned[: round(share * len(learned))]
        write_rows(target / f"{len(part)}.jsonl", [*held, *part])
        found.append((target / f"{len(part)}.jsonl", len(part)))
    return found


def more_rows(points: Sequence[tuple[int, float]], more: int) -> MoreRows:
    """What more rows would bring about, by loss = a + b * rows^-c through the last points."""
    known = tuple(sorted({rows: loss for rows, loss in points if math.isfinite(loss)}.items()))
    if len(known) < 2:
        return MoreRows(points=known, more=more)
    (before, worse), (rows, loss) = known[-2:]
    fell, slope = worse - loss, _USUAL_SLOPE
    if fell <= 0:
        return MoreRows(points=known, more=more)
    if len(known) > 2 and (first := known[-3][1] - worse) > 0:
        slope = min(max(math.log(first / fell) / math.log(rows / before), _SLOPES[0]), _SLOPES[1])
    reach = fell / ((rows / before) ** slope - 1)  # b * rows^-c
    return MoreRows(points=known, more=more, gain=reach * (1 - (1 + more / rows) ** -slope) / loss)
