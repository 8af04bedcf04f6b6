"""Entry point of the child that looks at pictures: `python -m loralab.serve.sees_job SECONDS`. It ends with its parent, or after SECONDS
of quiet. One model is held at a time: the one that was asked last.
"""

from __future__ import annotations

import io
import os
import sys
import threading
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from loralab.core.child_process import serve

MOST_SIDE = 1280  # pixels of the longer side of a mask that is handed over: it is only to be shown


class Looking:
    """What can be asked: what a model says of a picture. The libraries are loaded by the first question."""

    version = "1"

    def __init__(self, quiet_seconds: float) -> None:
        self._quiet = quiet_seconds
        self._eye: tuple[tuple[object, ...], Any] | None = None
        self._masks: list[npt.NDArray[np.uint8]] = []
        self._clock = self._leave_later()

    def look(self, base: str, adapter: str, image: str) -> dict[str, Any]:
        """What is said of it after training and before, with what belongs to it; masks are kept for the next question."""
        self._clock.cancel()
        try:
            from loralab.datasets.images.clinic.any_picture import any_picture  # noqa: PLC0415  (that it cannot be imported is an answer, too)

            eye, opened = self._opened(base, adapter), any_picture(Path(image))
            answer: dict[str, Any] = eye.card.model_dump(include={"task", "labels", "unsure_below", "medical"})
            answer |= {"size": [opened.height, opened.width], "knows_before": eye.knows_before}
            self._masks = []
            for which, trained in (("after", True), ("before", False)):
                answer[which], mask = eye.look(opened, trained=trained)
                self._masks += [] if mask is None else [for_show(mask)]
            if self._masks:
                answer["size"] = list(self._masks[0].shape)
            return answer
        finally:
            self._clock = self._leave_later()

    def why(self, base: str, adapter: str, image: str) -> bytes:
        """How much each place of a picture speaks for what is said of it, as a grey PNG no larger than it is shown."""
        self._clock.cancel()
        try:
            from loralab.datasets.images.clinic.any_picture import any_picture  # noqa: PLC0415  (as above)

            eye, opened = self._opened(base, adapter), any_picture(Path(image))
            opened.thumbnail((MOST_SIDE, MOST_SIDE))
            written = io.BytesIO()
            Image.fromarray(eye.why(opened)[1]).save(written, "PNG")
            return written.getvalue()
        finally:
            self._clock = self._leave_later()

    def masks(self) -> bytes:
        """Both masks of the picture that was looked at last, one behind the other, each [height, width] of the answer's size."""
        return b"".join(mask.tobytes() for mask in self._masks)

    def _opened(self, base: str, adapter: str) -> Any:
        """The model of an adapter's folder; loaded anew where its files are others than the last time."""
        from loralab.serve.looking import Eye  # noqa: PLC0415  (torch)

        key = (base, adapter, *(file.stat().st_mtime for file in sorted(Path(adapter).iterdir())))
        if self._eye is None or self._eye[0] != key:
            self._eye = None  # its memory is free before the next is loaded
            self._eye = (key, Eye(Path(base), Path(adapter)))
        return self._eye[1]

    def _leave_later(self) -> threading.Timer:
        clock = threading.Timer(self._quiet, os._exit, (0,))
        clock.daemon = True
        clock.start()
        return clock


def for_show(mask: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """A mask no larger than it is shown."""
    factor = MOST_SIDE / max(mask.shape)
    if factor >= 1:
        return mask
    size = (max(1, round(mask.shape[1] * factor)), max(1, round(mask.shape[0] * factor)))
    return np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    serve(lambda: Looking(float(sys.argv[1])))
