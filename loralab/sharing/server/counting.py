"""Owns counting what is answered, by model, kind and how it ended: questions, seconds, tokens, and what waits.

Invariants: no word of a question or an answer is kept, and nobody who asked; how much is kept is bounded; counting never costs an answer.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from loralab.core import served
from loralab.core.errors import LabError
from loralab.core.paths import write_atomic
from loralab.core.served import Asked, Served
from loralab.serve.asking import Ending
from loralab.sharing.server.limits import Turns

LEFT = "499"  # whoever asked went away


class Counts:
    """What was answered so far, going on from what an earlier server wrote down."""

    def __init__(self, home: Path, turns: Turns) -> None:
        self.home, self.turns = home, turns
        self._asked = {(one.model, one.operation, one.error): one for one in served.read(home).asked}
        self._kept = Served()

    def begin(self, model: str, operation: str) -> Question:
        """A question came in."""
        return Question(self, model, operation)

    def add(self, question: Question) -> None:
        """It has ended."""
        models = {model for model, _, _ in self._asked}
        model = question.model if question.model in models or len(models) < served.MOST else served.OTHER
        key = (model, question.operation, question.error)
        now = self._asked.get(key) or Asked(model=model, operation=question.operation, error=question.error)
        changed: dict[str, Any] = {"duration": now.duration.with_(question.seconds, served.DURATION)}
        if question.first is not None:
            changed["first"] = now.first.with_(question.first, served.FIRST)
            if question.written > 1:
                each = max(0.0, question.seconds - question.first) / (question.written - 1)
                changed["each"] = now.each.with_(each, served.EACH)
        if not question.error:
            changed["read"] = now.read.with_(question.read, served.TOKENS)
            changed |= {"written": now.written.with_(question.written, served.TOKENS)} if question.writes else {}
        self._asked[key] = now.model_copy(update=changed)

    @property
    def told(self) -> Served:
        """All of it as it is now."""
        return Served(time=time.time(), writing=self.turns.working, waiting=self.turns.waiting, asked=tuple(self._asked.values()))

    def keep(self) -> None:
        """Write it down, where something changed or nothing was said for a while. Raises OSError."""
        now = self.told
        if now.model_copy(update={"time": self._kept.time}) == self._kept and now.time - self._kept.time < served.BEAT:
            return
        write_atomic(self.home / "sharing" / served.NOTE, now.model_dump_json())
        self._kept = now


class Question:
    """One of them, while it is answered. Seconds from when it came in, its waiting included."""

    def __init__(self, counts: Counts, model: str, operation: str) -> None:
        self.model, self.operation, self.error = model, operation, LEFT
        self.read = self.written = 0
        self.writes = False
        self.first: float | None = None
        self.seconds = 0.0
        self._counts, self._begun = counts, time.monotonic()

    async def watched(self, pieces: AsyncGenerator[Any, None]) -> AsyncGenerator[Any, None]:
        """The pieces of an answer, as they pass."""
        self.writes = True
        try:
            async for piece in pieces:
                if isinstance(piece, Ending):
                    self.answered(piece.prompt_tokens, piece.tokens)
                elif self.first is None:
                    self.first = time.monotonic() - self._begun
                yield piece
        except LabError:
            self.refused(503)
            raise
        finally:
            await pieces.aclose()

    def answered(self, read: int, written: int = 0) -> None:
        """It was, in full."""
        self.read, self.written, self.error = read, written, ""

    def refused(self, status: int) -> None:
        """It was not."""
        self.error = str(status)

    def end(self) -> None:
        """Nothing more comes of it."""
        self.seconds = time.monotonic() - self._begun
        self._counts.add(self)
