"""Owns a piece of work that is no run: a thread of the app that says how many bytes are done of how many, and can be ended.

Invariant: each window has its own, so that who stops one stops no other; what was ended says so in one sentence.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from loralab.core.errors import LabError, UserError
from ui.markup import draw
from ui.words import duration, size

LOOKS_S = 0.4  # between two pictures of the progress
Note = Callable[[int, int], None]


@dataclass
class Doing:
    """What is being done in one window."""

    stopping: threading.Event = field(default_factory=threading.Event)
    done: int = 0
    total: int = 0
    begun: float = field(default_factory=time.monotonic)

    def note(self, done: int, total: int) -> None:
        """Bytes. Raises UserError where a person stopped it."""
        self.done, self.total = done, total
        if self.stopping.is_set():
            raise UserError("Stopped as you asked; nothing was changed.", "", code="stopped")

    def line(self, words: str) -> str:
        """How far it is, with the time left where that can be said."""
        spent, share = time.monotonic() - self.begun, self.done / self.total if self.total else None
        left = f", {duration(spent * (1 / share - 1))} left" if share and share < 1 and spent > 1 else ""
        return draw("runs", "work", words, f"{size(self.done)} of {size(self.total)}{left}" if self.total else "", share)


@dataclass
class Doings:
    """Of each window its own."""

    going: dict[str, Doing] = field(default_factory=dict[str, Doing])

    def follow(self, window: str | None, words: str, work: Callable[[Note], object]) -> Iterator[str]:
        """Do it in a thread, giving control back with a progress line until it is done. Raises what it raised."""
        mine = self.going[window or ""] = Doing()
        problems: list[Exception] = []

        def run() -> None:
            try:
                work(mine.note)
            except (LabError, OSError) as error:
                problems.append(error)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        try:
            while thread.is_alive():
                thread.join(LOOKS_S)
                yield mine.line(words)
        finally:
            if self.going.get(window or "") is mine:
                del self.going[window or ""]
        if problems:
            raise problems[0]

    def stop(self, window: str | None) -> None:
        """End what this window waits for."""
        if mine := self.going.get(window or ""):
            mine.stopping.set()
