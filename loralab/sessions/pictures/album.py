"""Owns pictures while they are learned from: read when they are asked for, kept as long as there is room, and shown as a view says."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from loralab.core.records import Example
from loralab.datasets.images.door import Pictures, mask_of
from loralab.datasets.images.opened import picture
from loralab.datasets.images.views import Seen, Size, View, draw, seen

KEPT = 1 << 29  # bytes of opened pictures that are kept
LARGER = 2  # times the input's longer side: a picture is kept no larger than that


@dataclass(frozen=True)
class Opened:
    """A picture as it is kept: `factor` times as large as its file, with its mask or the boxes of its things, in its own pixels."""

    image: Image.Image
    factor: float
    mask: npt.NDArray[np.uint8] | None
    boxes: npt.NDArray[np.float32]  # [k, 4]
    labels: npt.NDArray[np.int64]  # [k], places among the classes

    @property
    def bytes(self) -> int:
        return self.image.width * self.image.height * (3 if self.mask is None else 4)


class Album:
    """The pictures of a run. `size`: width and height of the model's input."""

    def __init__(self, pictures: Pictures, size: Size, augmentation: str, seed: int) -> None:
        self.pictures, self.size, self.augmentation, self.seed = pictures, size, augmentation, seed
        self._kept: dict[int, Opened] = {}
        self._bytes = 0

    def seen(self, example: Example, epoch: int | None = None) -> tuple[Seen, npt.NDArray[np.int64]]:
        """A picture as the model reads it, and the classes of its boxes; with an `epoch` as it is varied then, the same every time."""
        opened = self.opened(example)
        view = View() if epoch is None else draw(self.augmentation, np.random.default_rng([self.seed, epoch, example.row]), self.size)
        found = seen(opened.image, self.size, view, opened.mask, opened.boxes)
        return found, opened.labels[found.kept]

    def opened(self, example: Example) -> Opened:
        """A picture with what is known of it. Raises Unreadable."""
        known = self._kept.get(example.row)
        if known is None:
            known = self._open(example)
            if self._bytes + known.bytes <= KEPT:
                self._kept[example.row] = known
                self._bytes += known.bytes
        return known

    def truth(self, example: Example) -> npt.NDArray[np.uint8]:
        """The mask of a picture in its file's own size."""
        opened = self._kept.get(example.row)
        return opened.mask if opened is not None and opened.mask is not None and opened.factor == 1 else mask_of(self.pictures, example)

    def _open(self, example: Example) -> Opened:
        image = picture(self.pictures.root / example.media[0])
        mask = mask_of(self.pictures, example) if self.pictures.task == "segment" else None
        regions = [region for region in (example.target.regions if example.target else ()) if region.box]
        boxes = np.array([region.box for region in regions], np.float32).reshape(-1, 4)
        labels = np.array([self.pictures.labels.index(region.label) for region in regions], np.int64)
        factor = min(1.0, LARGER * max(self.size) / max(image.size))
        if factor < 1:
            size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
            image = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2.0)
            mask = None if mask is None else np.array(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
        return Opened(image, factor, mask, boxes * factor, labels)


def pixels(found: Sequence[Seen]) -> npt.NDArray[np.uint8]:
    """Several pictures as one array [n, height, width, 3]."""
    return np.stack([one.pixels for one in found])
