"""Owns how far set-up is, and what is said when it stops. Invariant: counts and sizes are what was seen, never a guess at a clock.

Only the time left is an estimate: the part done so far, in shares of a measured set-up, against the time it took.
"""

from __future__ import annotations

import json
import re
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

SIGNS = Path(__file__).with_name("signs.json")  # what an installer prints, and what it means: the first that is found names the cause

AGAIN = "start again"


class SetupProblem(Exception):
    """Set-up cannot go on; `str(error)` is one sentence with the next step."""


def explain(output: str, log: Path, again: str = AGAIN) -> str:
    """One sentence for a failed installation, from what the installer said. `log` holds the rest; `again`: how it is tried anew."""
    for sign, sentence in json.loads(SIGNS.read_text(encoding="utf-8")):
        if re.search(sign, output):
            return sentence.format(python=f"{sys.version_info[0]}.{sys.version_info[1]}", again=again)
    wrong = re.findall(r"(?m)^ERROR: (.+)$", output)
    said = f" ({wrong[-1][:160]})" if wrong else ""
    return f"The installation stopped{said}: {again}, and if it stops at the same place the details are in {log}."


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
    link: str = ""  # what opens the app, once it is ready
    began: float = field(default_factory=time.monotonic)

    def begin(self, title: str, detail: str = "") -> None:
        """A new piece of work, not counted yet."""
        self.title, self.detail, self.done, self.total = title, detail, 0, 0

    def left(self) -> str:
        """The time until set-up is done as a person would say it, empty while too little is known."""
        taken = time.monotonic() - self.began
        if self.phase != "setup" or self.fraction < 0.05 or taken < 5:
            return ""
        minutes = round(taken * (1 - self.fraction) / self.fraction / 60)
        return f"about {minutes} minute{'s' if minutes > 1 else ''} left" if minutes else "less than a minute left"

    def snapshot(self) -> dict[str, Any]:
        """What the page asks for."""
        return {**vars(self), "fraction": round(self.fraction, 4), "left": self.left()}

    def line(self) -> str:
        """All of it in one line for a terminal."""
        parts = [f"{self.title}: {self.detail}" if self.detail else self.title]
        parts += [f"{self.done} of {self.total}"] if self.total > 1 else []
        parts += [f"{self.fraction:.0%} of the set-up"] if self.fraction else []
        return " · ".join(filter(None, [*parts, self.left()]))


class Terminal:
    """Shows a Progress on standard error: one line that is rewritten, or a line with each new title where it cannot be."""

    def __init__(self, progress: Progress) -> None:
        self.progress = progress
        self.shown = ""

    def show(self) -> None:
        """Write what changed since the last time."""
        if sys.stderr.isatty():
            self.shown = self.progress.line()[:110]
            sys.stderr.write(f"\r\x1b[K{self.shown}")
            sys.stderr.flush()
        elif self.shown != self.progress.title:
            self.say(self.progress.line())
            self.shown = self.progress.title

    def say(self, words: str) -> None:
        """A line of its own."""
        sys.stderr.write(("\r\x1b[K" if self.shown and sys.stderr.isatty() else "") + words + "\n")
        sys.stderr.flush()
        self.shown = ""
