"""Owns what is counted of answers given to others: the sharing server writes it down, the page for Prometheus reads it.

Names and buckets are those of OpenTelemetry's conventions for generative AI (status: development). Invariant: how much is kept is bounded,
however many ask and whatever they ask for.
"""

from __future__ import annotations

from bisect import bisect_left
from contextlib import suppress
from pathlib import Path

from pydantic import Field, ValidationError

from loralab.core.records import Record

DURATION = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)  # seconds
FIRST = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
EACH = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
TOKENS = (1.0, 4.0, 16.0, 64.0, 256.0, 1024.0, 4096.0, 16384.0, 65536.0)
OTHER = "other"  # models beyond the first MOST
MOST = 20
BEAT = 30.0  # seconds between two writings where nothing happens
NOTE = "served.json"


class Spread(Record):
    """A histogram: how many values fell up to each bound, the last beyond all of them; not summed up."""

    counts: tuple[int, ...] = ()
    total: float = 0.0

    def with_(self, value: float, bounds: tuple[float, ...]) -> Spread:
        """With one value more."""
        counts = list(self.counts or (0,) * (len(bounds) + 1))
        counts[bisect_left(bounds, value)] += 1
        return Spread(counts=tuple(counts), total=self.total + value)


class Asked(Record):
    """Questions of one kind to one model that ended in one way. `error`: a status, empty where it was answered. Seconds and tokens."""

    model: str
    operation: str
    error: str = ""
    duration: Spread = Spread()
    first: Spread = Spread()
    each: Spread = Spread()
    read: Spread = Spread()
    written: Spread = Spread()


class Served(Record):
    """All of it, and how many are answered and wait at this moment."""

    time: float = 0.0
    writing: int = 0
    waiting: int = 0
    asked: tuple[Asked, ...] = Field(default=(), max_length=1000)


def read(home: Path) -> Served:
    """What was written down; nothing where there is nothing that can be read."""
    with suppress(OSError, ValidationError):
        return Served.model_validate_json((home / "sharing" / NOTE).read_bytes())
    return Served()
