"""Owns the app's end of drawing with a run's model: a child process that draws, and what it drew. No torch here.

Invariants: the child is started on demand, ends with this process or after a while of quiet, and is killed when it does not answer in
time; nothing that is typed or drawn is kept or sent; whatever goes wrong is a LabError in words.
"""

from __future__ import annotations

import io
import threading
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from loralab.core.child_process import Child
from loralab.core.errors import LabError, RunFailed, UserError
from loralab.core.records import Record
from loralab.datasets.images.shown import uri, webp

START_SECONDS, ANSWER_SECONDS = 180.0, 180.0  # torch from a slow disk; two pictures on a busy machine
LARGE_SECONDS = 3600.0  # the same of a base from diffusers on a processor
IDLE_SECONDS = 120.0  # after which the child lets go of its memory
SHOWN = 256  # pixels: what is drawn smaller is shown enlarged to this
LOUDEST = 1.5  # times what was learned
MOST_WORDS = 500  # characters
TODO = "Try it again; where it happens again, restart LoRALab."


class Drawn(Record):
    """What was drawn of some words, from the same noise: by the base, and with the adapter. Pictures are PNG."""

    caption: str  # what the adapter was told, its trigger word included
    seed: int
    strength: float
    before: bytes
    after: bytes
    medical: bool = False

    @property
    def shown(self) -> tuple[str, str]:
        """Both as they stand in a page, large enough to be seen."""
        return _enlarged(self.before), _enlarged(self.after)


class Hand:
    """The child process. Making one costs nothing; one question is answered at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._child: Child | None = None

    def draw(self, base: Path, adapter: Path, words: str, seed: int, strength: float) -> Drawn:
        """Draw words. Raises UserError for what cannot be drawn, LabError where the model cannot be asked."""
        said = " ".join(words.split())
        if not said or len(said) > MOST_WORDS:
            todo = f"Type what it should draw, in no more than {MOST_WORDS} letters."
            raise UserError("There is nothing to draw." if not said else "That is too long.", todo, code="no_words")
        if not 0 <= strength <= LOUDEST or seed < 0:
            raise UserError("That cannot be drawn.", f"Choose a strength from 0 to {LOUDEST:g} and a seed from 0 on.", code="bad_drawing")
        with self._lock:
            answer, raw = self._ask(base, adapter, said, seed, strength)
        before, after = np.frombuffer(raw, np.uint8).reshape(2, answer["side"], answer["side"], 3)
        about: dict[str, Any] = {"caption": answer["caption"], "medical": answer["medical"], "seed": seed, "strength": strength}
        return Drawn(before=_png(before), after=_png(after), **about)

    def close(self) -> None:
        """Let the child go; the next question starts another."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None

    def _ask(self, base: Path, adapter: Path, words: str, seed: int, strength: float) -> tuple[dict[str, Any], bytes]:
        child = self._child
        try:
            if child is None or not child.alive:
                self._end()
                self._child = child = _started()
                weakref.finalize(self, child.close)
            child.seconds = LARGE_SECONDS if (base / "model_index.json").is_file() else ANSWER_SECONDS
            answer = child.ask("draw", base=str(base), adapter=str(adapter), words=words, seed=seed, strength=strength)[0]
            return answer, child.ask("drawn")[1]
        except LabError as error:
            if error.problem.code == "hand_refused":
                what = error.problem.what.splitlines()[0][:300]
                raise RunFailed("The model could not draw this.", what, code="not_drawn") from error
            self._end()
            raise RunFailed("The model's process ended while it drew.", TODO, code="hand_gone") from error


def _started() -> Child:
    child = Child(
        "loralab.serve.draws_job", str(IDLE_SECONDS), name="The model", code="hand", todo=TODO, environment={"HF_HUB_OFFLINE": "1"}
    )
    child.seconds = START_SECONDS
    return child


def _png(pixels: Any) -> bytes:
    written = io.BytesIO()
    Image.fromarray(pixels).save(written, "PNG")
    return written.getvalue()


def _enlarged(png: bytes) -> str:
    image = Image.open(io.BytesIO(png))
    times = max(1, SHOWN // image.width)
    return uri(webp(image.resize((times * image.width, times * image.height), Image.Resampling.BICUBIC)))
