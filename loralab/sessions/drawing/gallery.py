"""Owns what a run draws, and where the drawings lie: PNG files in its artifacts, named by what is in them.

Invariant: the noise of a drawing follows from the run's seed and the picture's row, so that drawings before, during and after differ by
what was learned alone.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from loralab.core.paths import write_atomic
from loralab.core.records import Example, Sample
from loralab.runtimes.vision.painter import How, Painter, Pixels
from loralab.sessions.drawing.easel import Easel
from loralab.tasks.draw import DrawPlan

FOLDER = "drawn"  # in a run's artifacts
AT_ONCE = 8


class Drawings:
    """Draws for captions of pictures, with the adapter or without."""

    def __init__(self, model: Any, painter: Painter, easel: Easel, plan: DrawPlan, artifacts: Path) -> None:
        self.model, self.painter, self.easel, self.plan, self.artifacts = model, painter, easel, plan, artifacts

    def of(self, examples: Sequence[Example], *, trained: bool, stop: Callable[[], bool]) -> list[Pixels]:
        """A drawing [side, side, 3] for each picture's caption; stopped, of the first ones."""
        self.model.eval()
        found: list[Pixels] = []
        at_once = 1 if self.painter.step else AT_ONCE  # a large one is as slow alone
        for start in range(0, len(examples), at_once):
            part = examples[start : start + at_once]
            words = [self.easel.caption(one, trigger=trained) for one in part]
            seeds = [self.plan.seed * 100_003 + one.row for one in part]
            if trained:
                drawn = self._draw(words, seeds, stop)
            else:
                with self.model.disable_adapter():
                    drawn = self._draw(words, seeds, stop)
            found += list(drawn)
            if len(drawn) < len(part):
                break
        return found

    def _draw(self, words: Sequence[str], seeds: Sequence[int], stop: Callable[[], bool]) -> Pixels:
        how = How(self.plan.drawing_steps, self.plan.guidance, (self.easel.side, self.easel.side))
        return self.painter.draw(words, seeds, how, stop)

    def again(self, examples: Sequence[Example], stop: Callable[[], bool]) -> tuple[Sample, ...]:
        """The captions of these pictures, drawn as it draws now; the first always, the others as far as time is left."""
        found = self.of(examples[:1], trained=True, stop=lambda: False)
        for one in examples[1:]:
            found += [] if stop() else self.of([one], trained=True, stop=stop)
        both = zip(examples, found, strict=False)
        return tuple(
            Sample(prompt=self.easel.caption(one), reference=one.media[0], before="", after=self.keep(drawn)) for one, drawn in both
        )

    def keep(self, pixels: Pixels) -> str:
        """Write a drawing; its name below the run's artifacts."""
        written = io.BytesIO()
        Image.fromarray(pixels).save(written, "PNG")
        name = f"{FOLDER}/{hashlib.sha256(pixels.tobytes()).hexdigest()[:16]}.png"
        if not (self.artifacts / name).is_file():
            write_atomic(self.artifacts / name, written.getvalue())
        return name
