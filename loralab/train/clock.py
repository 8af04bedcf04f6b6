"""Owns the time a run takes. Invariant: seconds in which the computer slept, stood still or the run waited are not training time, and
setting the computer's clock changes nothing.
"""

from __future__ import annotations

import sys
import time
from collections import deque
from statistics import median

ENOUGH = 5  # updates that show how long one takes
STILL_SECONDS, STILL_TIMES = 60.0, 20.0  # an update longer than both (seconds; times the usual) was not computed all the while
SLEPT_SECONDS = 10.0  # worth telling


def asleep() -> float:
    """Seconds the computer has slept since it started; 0 where the system does not say (Windows: its steady clock runs on instead)."""
    if sys.platform == "linux":
        return time.clock_gettime(time.CLOCK_BOOTTIME) - time.clock_gettime(time.CLOCK_MONOTONIC)
    if sys.platform == "darwin":
        return time.clock_gettime(time.CLOCK_MONOTONIC) - time.clock_gettime(time.CLOCK_UPTIME_RAW)
    return 0.0


class Clock:
    """Seconds of a run that only ever go forward, by as much as it worked."""

    def __init__(self) -> None:
        self.skipped = 0.0
        self._asleep = asleep()
        self._usual: deque[float] = deque(maxlen=50)

    def now(self) -> float:
        """Seconds since some moment, what was skipped left out."""
        return time.monotonic() - self.skipped

    def skip(self, seconds: float) -> None:
        """Leave `seconds` that have just passed out of the count."""
        self.skipped += seconds

    def lost(self, seconds: float) -> tuple[float, float]:
        """After an update of `seconds`: (seconds of it that the steady clock counted though nothing was computed, seconds to tell of).

        The first are left out of the count here. Linux and macOS stop their steady clock while they sleep, so there it is 0.
        """
        before, self._asleep = self._asleep, asleep()
        slept = self._asleep - before
        usual = median(self._usual) if len(self._usual) >= ENOUGH else None
        if usual is not None and seconds > STILL_SECONDS and seconds > STILL_TIMES * usual:
            self.skip(seconds - usual)
            return seconds - usual, seconds - usual + slept
        self._usual.append(seconds)
        return 0.0, slept if slept > SLEPT_SECONDS else 0.0
