"""Owns the reading of a large file while somebody waits for it: how far it is, and a way to stop it.

Invariant: the reading is a thread of the app, so leaving the page does not end it; what was read before a stop is kept.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from loralab.core.errors import LabError
from loralab.lab import Watch

LOOKS_S = 0.6  # between two pictures of the progress


@dataclass
class LongReading:
    """What is being read now, if anything."""

    stopping: threading.Event = field(default_factory=threading.Event)
    words: str = ""

    def follow(self, work: Callable[[Watch], object]) -> Iterator[str]:
        """Do it, giving control back with how far it is until it is done. Raises what it raised."""
        self.stopping.clear()
        self.words = ""
        problems: list[LabError] = []

        def note(words: str) -> None:
            self.words = words

        def run() -> None:
            try:
                work(Watch(lambda at: note(at.words), self.stopping.is_set))
            except LabError as error:
                problems.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        while thread.is_alive():
            thread.join(LOOKS_S)
            yield self.words
        if problems:
            raise problems[0]


@dataclass
class LongReadings:
    """Of each window its own: who stops waiting for one stops no other."""

    going: dict[str, LongReading] = field(default_factory=dict[str, LongReading])

    def follow(self, window: str | None, work: Callable[[Watch], object]) -> Iterator[str]:
        """As `LongReading.follow`, for the window with this name."""
        mine = self.going[window or ""] = LongReading()
        try:
            yield from mine.follow(work)
        finally:
            if self.going.get(window or "") is mine:
                del self.going[window or ""]

    def stop(self, window: str | None) -> None:
        """End what this window waits for, with the part that is being read."""
        if mine := self.going.get(window or ""):
            mine.stopping.set()
