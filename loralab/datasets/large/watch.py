"""Owns how a long reading is followed and stopped. Invariant: what was read before a stop is kept, and the next reading goes on there."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from loralab.core.errors import UserError
from loralab.core.records import Record
from loralab.core.words import about, count


class ReadingProgress(Record):
    """How far the reading of a large file is."""

    rows: int
    fraction: float
    seconds_left: float | None = None  # None while that cannot be said

    @property
    def words(self) -> str:
        """“Read 320,000 rows, 32 %; about 40 seconds to go.”"""
        left = f"; {about(self.seconds_left)} to go" if self.seconds_left is not None else ""
        return f"Read {count(self.rows, 'row')}, {self.fraction:.0%}{left}."


def _nobody(_progress: ReadingProgress) -> None:
    return None


def _never() -> bool:
    return False


@dataclass
class Watch:
    """Who follows a reading: `note` hears how far it is, and where `stop` says so it ends with what it has."""

    note: Callable[[ReadingProgress], object] = _nobody
    stop: Callable[[], bool] = _never
    _begun: tuple[float, float] | None = field(default=None, init=False)  # time, fraction

    def look(self, rows: int, fraction: float) -> None:
        """Tell how far it is. Raises ReadingStopped where somebody asked to stop."""
        now = time.monotonic()
        if self._begun is None:
            self._begun = (now, fraction)
        took, gained = now - self._begun[0], fraction - self._begun[1]
        left = took / gained * (1 - fraction) if took > 1 and gained > 0 else None
        self.note(ReadingProgress(rows=rows, fraction=fraction, seconds_left=left))
        if self.stop():
            raise ReadingStopped(rows)


class ReadingStopped(UserError):
    """Somebody asked to stop."""

    def __init__(self, rows: int) -> None:
        what = f"Reading was stopped after {count(rows, 'row')}."
        super().__init__(what, "Choose the file again, and it goes on from there.", code="reading_stopped")
