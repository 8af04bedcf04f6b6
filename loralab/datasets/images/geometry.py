"""Owns where a picture lies in what a model reads, and the way back: boxes and maps that the model gives, on the picture.

Coordinates are continuous: a pixel covers one unit, the left edge of a picture is 0 and its right edge its width.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
from PIL import Image

Size = tuple[int, int]  # width, height
Array = npt.NDArray[np.float64]
Matrix = tuple[float, float, float, float, float, float]


@dataclass(frozen=True)
class Placement:
    """Where a picture lies in what the model reads: x' = a x + b y + c, y' = d x + e y + f, from the picture's pixels to the input's."""

    picture: Size
    input: Size
    matrix: Matrix

    @cached_property
    def back(self) -> Matrix:
        """The same map the other way round."""
        a, b, c, d, e, f = self.matrix
        det = a * e - b * d
        return e / det, -b / det, (b * f - c * e) / det, -d / det, a / det, (c * d - a * f) / det

    def to_input(self, boxes: npt.ArrayLike) -> Array:
        """Boxes [k, 4] of the picture as they lie in the input, not clipped; a turned box is the upright one around its corners."""
        return moved(boxes, self.matrix)

    def to_picture(self, boxes: npt.ArrayLike) -> Array:
        """Boxes [k, 4] of the input in the picture's own pixels, clipped to it."""
        return clipped(moved(boxes, self.back), self.picture)

    def map_to_picture(self, values: npt.NDArray[np.generic], fill: float = 0.0) -> npt.NDArray[np.generic]:
        """
        A map over the input, [h, w] or [channels, h, w], in the picture's own size (height, width), of the same type.

        It may be coarser than the input, as the outputs of a model are. Whole numbers are classes and take the nearest; others are
        interpolated, and averaged where the picture is smaller. `fill` is where the picture lies outside of the input.
        """
        if values.ndim == 3:
            return np.stack([self.map_to_picture(channel, fill) for channel in values])
        height, width = values.shape
        across, down = width / self.input[0], height / self.input[1]
        a, b, c, d, e, f = self.matrix
        matrix = (a * across, b * across, c * across, d * down, e * down, f * down)
        if np.issubdtype(values.dtype, np.floating):
            return _interpolated(values.astype(np.float32), matrix, self.picture, fill).astype(values.dtype)
        whole = Image.fromarray(values.astype(np.int32))
        laid = whole.transform(self.picture, Image.Transform.AFFINE, matrix, Image.Resampling.NEAREST, fillcolor=int(fill))
        return np.asarray(laid).astype(values.dtype)


def compose(first: Matrix, then: Matrix) -> Matrix:
    """One affine map after another."""
    a, b, c, d, e, f = first
    p, q, r, s, t, u = then
    return p * a + q * d, p * b + q * e, p * c + q * f + r, s * a + t * d, s * b + t * e, s * c + t * f + u


def moved(boxes: npt.ArrayLike, matrix: Matrix) -> Array:
    """Boxes [k, 4] under an affine map: the upright ones around their moved corners."""
    given = np.asarray(boxes, np.float64).reshape(-1, 4)
    x, y = given[:, [0, 2, 0, 2]], given[:, [1, 1, 3, 3]]
    a, b, c, d, e, f = matrix
    across, down = a * x + b * y + c, d * x + e * y + f
    return np.stack([across.min(1), down.min(1), across.max(1), down.max(1)], axis=1)


def clipped(boxes: Array, size: Size) -> Array:
    """What lies of boxes [k, 4] within 0, 0, width, height."""
    return np.clip(boxes, 0.0, [size[0], size[1], size[0], size[1]])


def within(box: tuple[float, float, float, float], size: Size) -> tuple[float, float, float, float]:
    """One box clipped, where only rounding can have put it outside."""
    return max(0.0, box[0]), max(0.0, box[1]), min(float(size[0]), box[2]), min(float(size[1]), box[3])


def _interpolated(values: npt.NDArray[np.float32], matrix: Matrix, size: Size, fill: float) -> npt.NDArray[np.float32]:
    """
    A map [h, w] over a picture of `size`, whose pixels `matrix` takes to the map's.

    Where it is turned by quarters or mirrored the map is turned first, so that each pixel is the average of what lies on it; under a
    slanted turn it is the value at the pixel's middle.
    """
    a, b, c, d, e, f = matrix
    if not a and not e:
        values, (a, b, c, d, e, f) = values.T, (d, e, f, a, b, c)
    if b or d:
        layer = Image.fromarray(np.ascontiguousarray(values))
        return np.asarray(layer.transform(size, Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR, fillcolor=fill))
    height, width = values.shape
    if a < 0:
        values, a, c = values[:, ::-1], -a, width - c
    if e < 0:
        values, e, f = values[::-1], -e, height - f
    out = np.full((size[1], size[0]), fill, np.float32)
    left, right = _inside(size[0], a, c, width)
    top, bottom = _inside(size[1], e, f, height)
    if right > left and bottom > top:
        box = within((a * left + c, e * top + f, a * right + c, e * bottom + f), (width, height))
        shown = Image.fromarray(np.ascontiguousarray(values)).resize((right - left, bottom - top), Image.Resampling.BILINEAR, box=box)
        out[top:bottom, left:right] = np.asarray(shown)
    return out


def _inside(length: int, scale: float, offset: float, there: int) -> tuple[int, int]:
    """The first pixel, and the one after the last, of `length` that lie whole within 0 .. there; a hundredth beside it is rounding."""
    return max(0, math.ceil(-offset / scale - 0.01)), min(length, math.floor((there - offset) / scale + 0.01))
