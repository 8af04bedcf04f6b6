"""Owns how much may be asked: requests a minute by link and by address, answers at once, and how many wait.

Invariant: what is kept of askers is bounded, however many there are.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

MOST_ASKERS = 4096


@dataclass(frozen=True)
class Limits:
    """Numbers of the server. A bucket refills by `per_minute` and holds `burst`."""

    link_per_minute: float = 60.0
    link_burst: float = 30.0
    address_per_minute: float = 240.0
    address_burst: float = 120.0
    wrong_per_minute: float = 6.0  # keys that open nothing, by address
    wrong_burst: float = 20.0
    at_once: int = 2  # answers that are written
    waiting: int = 8  # that wait for their turn
    body: int = 4 << 20  # bytes of a question
    picture: int = 16 << 20  # bytes of a picture
    chunk: int = 64 << 20  # bytes of one request of an upload
    upload: int = 4 << 30  # bytes of a whole upload
    tokens: int = 1024  # of one answer


class Buckets:
    """Token buckets by name. Those unused for longest are forgotten first; a forgotten one is full again."""

    def __init__(self, per_minute: float, burst: float, clock: Callable[[], float] = time.monotonic) -> None:
        self.rate, self.burst, self.clock = per_minute / 60, burst, clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, name: str) -> float:
        """Take one; 0 where there was one, else the seconds until there is."""
        now = self.clock()
        left, then = self._left.get(name, (self.burst, now))
        left = min(self.burst, left + (now - then) * self.rate)
        wait = 0.0 if left >= 1 else (1 - left) / self.rate
        self._left[name] = (left - 1 if not wait else left, now)
        self._left.move_to_end(name)
        if len(self._left) > MOST_ASKERS:
            self._left.popitem(last=False)
        return wait

    def spent(self, name: str) -> float:
        """Seconds until there is one, without taking it."""
        left, then = self._left.get(name, (self.burst, self.clock()))
        left = min(self.burst, left + (self.clock() - then) * self.rate)
        return 0.0 if left >= 1 else (1 - left) / self.rate


class Busy(Exception):
    """As many wait already as may."""


class Turns:
    """So many at once, so many wait; whoever comes then is sent away."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self.at_once, self.most_waiting = at_once, waiting
        self.waiting = self.working = 0
        self._free = asyncio.Condition()

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None, None]:
        """Within it is one's turn. Raises Busy at once where too many wait."""
        async with self._free:
            if self.working >= self.at_once:
                if self.waiting >= self.most_waiting:
                    raise Busy
                self.waiting += 1
                try:
                    await self._free.wait_for(lambda: self.working < self.at_once)
                finally:
                    self.waiting -= 1
            self.working += 1
        try:
            yield
        finally:
            self.working -= 1
            await asyncio.shield(self._tell())

    async def _tell(self) -> None:
        async with self._free:
            self._free.notify()


def whole_seconds(wait: float) -> str:
    """For Retry-After."""
    return str(max(1, math.ceil(wait)))
