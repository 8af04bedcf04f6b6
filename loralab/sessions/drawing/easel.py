"""Owns what a run that learns to draw reads: pictures as its base works on them, their captions, and the noise that is laid over them.

Invariants: noise, time and whether the words are hidden follow from seed, epoch and row alone; those looked at again are always the same;
a picture keeps its shape where the base knows more than one, and loses no more than a rim.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image
from torch import Tensor

from loralab.core.records import Example
from loralab.datasets.images.door import Pictures
from loralab.datasets.images.opened import picture
from loralab.runtimes.vision.drawing import without_trigger
from loralab.runtimes.vision.painter import Painter, Pixels
from loralab.runtimes.vision.sampling import with_trigger

LOOKS = 4  # times at which a picture kept aside is looked at, evenly spread
KEPT = 1 << 30  # bytes of canvases that are kept
AGAIN = 1 << 20  # in the place of an epoch: what is looked at again
THUMB = 64  # pixels of a side that pictures are compared at, at most
WIDEST = 3.0  # times as wide as high, or as high as wide, that a canvas may be

Array = npt.NDArray[np.float32]
Size = tuple[int, int]


class Easel:
    """The pictures of a run, about as large as a square of `side` pixels."""

    def __init__(self, pictures: Pictures, painter: Painter, side: int, trigger: str, seed: int) -> None:
        self.pictures, self.painter, self.side, self.trigger, self.seed = pictures, painter, side, trigger, seed
        self.thumb_side = min(side, THUMB)
        self._sizes = buckets(side, painter.step)
        self._kept: dict[int, Tensor] = {}

    def caption(self, example: Example, *, trigger: bool = True) -> str:
        """What is said of a picture, with the trigger word or as a model is told that never learned it."""
        return with_trigger(example.text, self.trigger) if trigger else without_trigger(example.text, self.trigger)

    def size(self, example: Example) -> Size:
        """Width and height that a picture is learned in: the bucket closest to its own shape."""
        fact = self.pictures.facts[example.row - 1]
        shape = np.log(fact.width / fact.height)
        return min(self._sizes, key=lambda size: abs(np.log(size[0] / size[1]) - shape))

    def pixels(self, example: Example) -> Pixels:
        """A picture [height, width, 3] in its size. Raises Unreadable."""
        image = picture(self.pictures.root / example.media[0])
        return covered(image, self.size(example)) if self.painter.step else squared(image, self.side)

    def thumb(self, example: Example) -> Pixels:
        """A picture [thumb_side, thumb_side, 3], whole, as it is compared with drawings."""
        return squared(picture(self.pictures.root / example.media[0]), self.thumb_side)

    def canvas(self, example: Example) -> Tensor:
        """A picture [c, h, w] as the base works on it."""
        known = self._kept.get(example.row)
        if known is None:
            known = self.painter.canvas(self.pixels(example))
            if len(self._kept) * known.nbytes < KEPT:
                self._kept[example.row] = known
        return known

    def prepare(self, examples: Sequence[Example], note: Callable[[float], object]) -> None:
        """Have every canvas ready; `note` is told about twenty times how far it is, 0..1."""
        for at, example in enumerate(examples):
            if at % max(1, len(examples) // 20) == 0:
                note(at / len(examples))
            self.canvas(example)

    def shown(self, examples: Sequence[Example], epoch: int | None, blank: float) -> dict[str, Tensor]:
        """Canvases [n, c, h, w] of one size, noise [n, k, c, h, w], times [n, k] and whether words are hidden [n].

        While learning k is 1; else k is LOOKS.
        """
        clean = torch.stack([self.canvas(one) for one in examples])
        shape = tuple(clean.shape[1:])
        noise, times, hidden = zip(*(self._drawn(one.row, epoch, blank, shape) for one in examples), strict=True)
        return {
            "pictures": clean,
            "noise": torch.from_numpy(np.stack(noise)),
            "times": torch.from_numpy(np.stack(times)),
            "hidden": torch.tensor(hidden),
        }

    def _drawn(self, row: int, epoch: int | None, blank: float, shape: tuple[int, ...]) -> tuple[Array, Array, bool]:
        """Times are even, or a logistic of a normal (Esser et al. 2024, arXiv 2403.03206), as the base was made."""
        random = np.random.default_rng([self.seed, AGAIN if epoch is None else epoch, row])
        if epoch is None:
            times = ((np.arange(LOOKS) + 0.5) / LOOKS).astype(np.float32)
            return random.standard_normal((LOOKS, *shape), dtype=np.float32), times, False
        one = random.random(1) if self.painter.even else 1 / (1 + np.exp(-random.standard_normal(1)))
        return random.standard_normal((1, *shape), dtype=np.float32), one.astype(np.float32), bool(random.random() < blank)


def buckets(side: int, step: int) -> tuple[Size, ...]:
    """Widths and heights in multiples of `step`, with no more pixels than a square of `side`, none too long; 0: that square alone."""
    if not step:
        return ((side, side),)
    found = {(side, side)}
    for width in range(step, round(side * WIDEST) + 1, step):
        height = side * side // width // step * step
        if height and max(width / height, height / width) <= WIDEST:
            found |= {(width, height), (height, width)}
    return tuple(sorted(found))


def covered(image: Image.Image, size: Size) -> Pixels:
    """The middle of a picture [height, width, 3], as small as still covers all of `size`."""
    factor = max(size[0] / image.width, size[1] / image.height)
    whole = (max(size[0], round(image.width * factor)), max(size[1], round(image.height * factor)))
    left, top = (whole[0] - size[0]) // 2, (whole[1] - size[1]) // 2
    large = image.convert("RGB").resize(whole, Image.Resampling.LANCZOS)
    return np.asarray(large.crop((left, top, left + size[0], top + size[1])))


def squared(image: Image.Image, side: int) -> Pixels:
    """A picture [side, side, 3] as large as fits, in the middle of a ground with the middle colour of its corners."""
    corners = np.array([image.getpixel((x, y)) for x in (0, image.width - 1) for y in (0, image.height - 1)])
    factor = side / max(image.size)
    size = (max(1, round(image.width * factor)), max(1, round(image.height * factor)))
    small = image.resize(size, Image.Resampling.BOX if factor < 1 else Image.Resampling.BICUBIC)
    ground = Image.new("RGB", (side, side), tuple(int(value) for value in np.median(corners, 0)))
    ground.paste(small, ((side - size[0]) // 2, (side - size[1]) // 2))
    return np.asarray(ground)


def thumbs(drawn: Sequence[Pixels], side: int) -> Pixels:
    """Drawings as thumbnails [n, side, side, 3]."""
    made = [one if one.shape[0] == side else squared(Image.fromarray(one), side) for one in drawn]
    return np.stack(made) if made else np.zeros((0, side, side, 3), np.uint8)
