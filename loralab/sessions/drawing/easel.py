"""Owns what a run that learns to draw reads: pictures in the size that is drawn, their captions, and the noise that is laid over them.

Invariant: noise, time and whether the words are hidden follow from seed, epoch and row alone; those looked at again are always the same.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from loralab.core.records import Example
from loralab.datasets.images.door import Pictures
from loralab.datasets.images.opened import picture
from loralab.runtimes.vision.drawing import without_trigger
from loralab.runtimes.vision.sampling import with_trigger

LOOKS = 4  # times at which a picture kept aside is looked at, evenly spread
KEPT = 1 << 29  # bytes of pictures that are kept
AGAIN = 1 << 20  # in the place of an epoch: what is looked at again

Array = npt.NDArray[np.float32]


class Easel:
    """The pictures of a run, `side` pixels wide and high."""

    def __init__(self, pictures: Pictures, side: int, trigger: str, seed: int) -> None:
        self.pictures, self.side, self.trigger, self.seed = pictures, side, trigger, seed
        self._kept: dict[int, npt.NDArray[np.uint8]] = {}

    def caption(self, example: Example, *, trigger: bool = True) -> str:
        """What is said of a picture, with the trigger word or as a model is told that never learned it."""
        return with_trigger(example.text, self.trigger) if trigger else without_trigger(example.text, self.trigger)

    def pixels(self, example: Example) -> npt.NDArray[np.uint8]:
        """A picture [side, side, 3], whole, on the colour of its corners. Raises Unreadable."""
        known = self._kept.get(example.row)
        if known is None:
            known = squared(picture(self.pictures.root / example.media[0]), self.side)
            if len(self._kept) * known.nbytes < KEPT:
                self._kept[example.row] = known
        return known

    def shown(self, examples: Sequence[Example], epoch: int | None, blank: float) -> dict[str, Tensor]:
        """Pictures [n, 3, side, side] of -1..1, noise [n, k, 3, side, side], times [n, k] and whether words are hidden [n].

        While learning k is 1 and the time is drawn (a logistic of a normal: Esser et al. 2024, arXiv 2403.03206); else k is LOOKS.
        """
        clean = np.stack([self.pixels(one) for one in examples]).transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1
        noise, times, hidden = zip(*(self._drawn(one.row, epoch, blank) for one in examples), strict=True)
        return {
            "pictures": torch.from_numpy(clean),
            "noise": torch.from_numpy(np.stack(noise)),
            "times": torch.from_numpy(np.stack(times)),
            "hidden": torch.tensor(hidden),
        }

    def _drawn(self, row: int, epoch: int | None, blank: float) -> tuple[Array, Array, bool]:
        random, shape = np.random.default_rng([self.seed, AGAIN if epoch is None else epoch, row]), (3, self.side, self.side)
        if epoch is None:
            times = ((np.arange(LOOKS) + 0.5) / LOOKS).astype(np.float32)
            return random.standard_normal((LOOKS, *shape), dtype=np.float32), times, False
        time = (1 / (1 + np.exp(-random.standard_normal(1)))).astype(np.float32)
        return random.standard_normal((1, *shape), dtype=np.float32), time, bool(random.random() < blank)


def squared(image: Image.Image, side: int) -> npt.NDArray[np.uint8]:
    """A picture [side, side, 3] as large as fits, in the middle of a ground with the middle colour of its corners."""
    corners = np.array([image.getpixel((x, y)) for x in (0, image.width - 1) for y in (0, image.height - 1)])
    factor = side / max(image.size)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    small = image.resize(size, Image.Resampling.BOX if factor < 1 else Image.Resampling.BICUBIC)
    ground = Image.new("RGB", (side, side), tuple(int(value) for value in np.median(corners, 0)))
    ground.paste(small, ((side - size[0]) // 2, (side - size[1]) // 2))
    return np.asarray(ground)
