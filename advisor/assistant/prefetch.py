"""Owns reading ahead: while a run is on the screen and nothing else works, the language model reads about it in a thread of its own.

Invariants: whoever opens a run never waits; one run at a time, the one opened last; nothing is started while a job runs, and what was
begun stops within one piece of a prompt.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable

from loralab.core.errors import LabError

SETTLE = 0.7  # seconds a run stays open before it is read about: whoever looks through many opens none of them


class Ahead:
    """Reads about the run that is open."""

    def __init__(self, read: Callable[[str, Callable[[], bool]], None], busy: Callable[[], bool]) -> None:
        """`read(run, wanted)` reads about a run for as long as `wanted()` says so; `busy()`: whether a job has this computer."""
        self._read, self._busy = read, busy
        self._lock = threading.Lock()
        self._moved = threading.Event()
        self._wanted, self._done = "", ""
        self._thread: threading.Thread | None = None

    def open(self, run: str, stamp: str = "") -> bool:
        """This run is on the screen now; an empty name: none is. Whether it is being read about or was.

        `stamp`: changes when there is something else to read about it.
        """
        key = f"{run}\n{stamp}" if run and not self._busy() else ""
        with self._lock:
            if key != self._wanted:
                self._wanted = key
                self._moved.set()
            if key and key != self._done and self._thread is None:
                self._thread = threading.Thread(target=self._work, name="reading ahead", daemon=True)
                self._thread.start()
        return bool(key)

    def _work(self) -> None:
        while key := self._next():
            if self._moved.wait(SETTLE):
                continue
            with contextlib.suppress(LabError, OSError):  # it is told when someone asks
                self._read(key.partition("\n")[0], lambda key=key: self._wanted == key and not self._busy())
            with self._lock:
                self._done = key

    def _next(self) -> str:
        """What to read about now; with nothing to do the thread is over."""
        with self._lock:
            self._moved.clear()
            if self._wanted in ("", self._done):
                self._thread = None
                return ""
            return self._wanted

    def rest(self, seconds: float) -> None:
        """Wait until nothing is being read, for tests and for who closes."""
        thread = self._thread
        if thread:
            thread.join(seconds)
