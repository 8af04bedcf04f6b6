"""Owns how far pictures are apart, by their pixels and by what a network that sees makes of them. No torch."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]
Matrix = npt.NDArray[np.float64]


def apart(one: Pixels, other: Pixels) -> Matrix:
    """Root mean square difference, 0..1, of each of pictures [n, ...] to each of others [m, ...], as [n, m]."""
    a, b = (np.asarray(side, np.float64).reshape(len(side), -1) / 255 for side in (one, other))
    if not len(a) or not len(b):
        return np.zeros((len(a), len(b)))
    squared = (a**2).sum(1)[:, None] + (b**2).sum(1)[None] - 2 * a @ b.T
    return np.sqrt(np.maximum(0.0, squared) / a.shape[1])


def distances(one: Matrix, other: Matrix) -> Matrix:
    """Euclidean distance of each of vectors [n, d] to each of others [m, d], as [n, m]."""
    squared = (one**2).sum(1)[:, None] + (other**2).sum(1)[None] - 2 * one @ other.T
    return np.sqrt(np.maximum(0.0, squared))
