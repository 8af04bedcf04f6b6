"""Entry point of the child that draws: `python -m loralab.serve.draws_job SECONDS`. It ends with its parent, or after SECONDS of quiet.
One model is held at a time: the one that was asked last.
"""

from __future__ import annotations

import os
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

from loralab.core.child_process import serve


class Drawing:
    """What can be asked: a picture of some words, before and after. The libraries are loaded by the first question."""

    version = "1"

    def __init__(self, quiet_seconds: float) -> None:
        self._quiet = quiet_seconds
        self._hand: tuple[tuple[object, ...], Any, Any] | None = None
        self._drawn = b""
        self._clock = self._leave_later()

    def draw(self, base: str, adapter: str, words: str, seed: int, strength: float) -> dict[str, Any]:
        """Draw words from the noise of a seed: as the base does, and with the adapter so loud. Pixels are kept for the next question."""
        self._clock.cancel()
        try:
            from loralab.runtimes.vision import drawing  # noqa: PLC0415  (that it cannot be imported is an answer, too)
            from loralab.runtimes.vision.painter import How  # noqa: PLC0415

            painter, card = self._opened(drawing, base, adapter)
            how = How(card.steps, card.guidance, (card.side, card.side))
            with drawing.louder(painter.net, 0.0):
                before = painter.draw([drawing.without_trigger(words, card.trigger)], [seed], how)
            caption = card.caption(words) if strength else drawing.without_trigger(words, card.trigger)
            with drawing.louder(painter.net, strength):
                after = painter.draw([caption], [seed], how)
            self._drawn = before.tobytes() + after.tobytes()
            return {"side": card.side, "caption": caption, "medical": card.medical}
        finally:
            self._clock = self._leave_later()

    def drawn(self) -> bytes:
        """Both pictures of the last answer, one behind the other, each [side, side, 3]."""
        return self._drawn

    def _opened(self, drawing: Any, base: str, adapter: str) -> tuple[Any, Any]:
        """The painter of an adapter's folder; loaded anew where its files are others than the last time."""
        key = (base, adapter, *(file.stat().st_mtime for file in sorted(Path(adapter).iterdir())))
        if self._hand is None or self._hand[0] != key:
            self._hand = None  # its memory is free before the next is loaded
            self._hand = (key, *drawing.load_drawer(Path(base), Path(adapter)))
        return self._hand[1], self._hand[2]

    def _leave_later(self) -> threading.Timer:
        clock = threading.Timer(self._quiet, os._exit, (0,))
        clock.daemon = True
        clock.start()
        return clock


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    serve(lambda: Drawing(float(sys.argv[1])))
