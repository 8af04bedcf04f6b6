"""Owns how far set-up is, for the terminal and for the page. Invariant: counts and sizes are what was seen, never a guess at a clock.

Only the time left is an estimate: the part done so far, in shares of a measured set-up, against the time it took.
"""

from __future__ import annotations

import sys
import threading
import time
from dataclasses import dataclass, field
from typing import Any, TextIO

_CALM_S = 2.0  # between two lines where the terminal cannot rewrite one


@dataclass
class Progress:
    """The state of one start. One thread writes it, any may read it."""

    phase: str = "setup"  # setup | starting | ready | failed
    title: str = "Looking at this computer"
    detail: str = ""
    done: int = 0
    total: int = 0
    fraction: float = 0.0
    problem: str = ""
    notes: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)
    cancelled: threading.Event = field(default_factory=threading.Event)

    def begin(self, title: str, detail: str = "") -> None:
        """A new piece of work, not counted yet."""
        self.title, self.detail, self.done, self.total = title, detail, 0, 0

    def seconds_left(self) -> float | None:
        """Seconds until set-up is done, None while too little is known."""
        taken = time.monotonic() - self.began
        if self.phase != "setup" or self.fraction < 0.05 or taken < 5:
            return None
        return taken * (1 - self.fraction) / self.fraction

    def snapshot(self) -> dict[str, Any]:
        """What the page asks for."""
        left = self.seconds_left()
        return {
            "phase": self.phase,
            "title": self.title,
            "detail": self.detail,
            "done": self.done,
            "total": self.total,
            "fraction": round(min(self.fraction, 1.0), 4),
            "left": time_words(left) if left is not None else "",
            "problem": self.problem,
            "notes": list(self.notes),
        }

    def line(self) -> str:
        """All of it in one line for a terminal."""
        parts = [f"{self.title}: {self.detail}" if self.detail else self.title]
        if self.total > 1:
            parts.append(f"{self.done} of {self.total}")
        if self.fraction > 0:
            parts.append(f"{self.fraction:.0%} of the set-up")
        left = self.seconds_left()
        if left is not None:
            parts.append(time_words(left))
        return " · ".join(parts)


def time_words(seconds: float) -> str:
    """A remaining time as a person would say it."""
    if seconds < 50:
        return "less than a minute left"
    minutes = round(seconds / 60)
    return f"about {minutes} minute{'s' if minutes > 1 else ''} left"


class Terminal:
    """Shows a Progress on standard error: one line that is rewritten, or a line now and then where it cannot be."""

    def __init__(self, progress: Progress, stream: TextIO | None = None) -> None:
        self.progress = progress
        self.stream = stream or sys.stderr
        self.rewrites = self.stream.isatty()
        self._shown = ""
        self._title = ""
        self._at = 0.0
        self._noted = 0

    def show(self) -> None:
        """Write what changed since the last time."""
        self._show_notes()
        line = self.progress.line()
        if line == self._shown:
            return
        now = time.monotonic()
        if self.rewrites:
            self.stream.write("\r\x1b[K" + line[:110])
        elif self.progress.title != self._title or now - self._at >= _CALM_S:
            self.stream.write(line + "\n")
        else:
            return
        self.stream.flush()
        self._shown, self._title, self._at = line, self.progress.title, now

    def say(self, words: str) -> None:
        """A line of its own."""
        self.stream.write(("\r\x1b[K" if self.rewrites and self._shown else "") + words + "\n")
        self.stream.flush()
        self._shown = ""

    def _show_notes(self) -> None:
        for note in self.progress.notes[self._noted :]:
            self.say(note)
        self._noted = len(self.progress.notes)
