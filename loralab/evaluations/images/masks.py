"""Owns the measures of marking areas: masks [height, width] of whole numbers, 0 the background, 1.. the kinds.

Invariants: what neither the person nor the model marks agrees wholly; a pixel whose right number is no kind (255 as a rule) counts nowhere;
a picture counts once, however large it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loralab.evaluations.images.intervals import Bools
from loralab.evaluations.shared.shares import Matrix

NEAR, NEAREST = 0.0075, 2  # how far an edge may be off: of the diagonal (Csurka et al. 2013), and in pixels at least
GRID, COARSE = 64, 256  # rows and columns that masks are laid over each other in, and that are looked at of answers without a look
Mask = npt.NDArray[np.integer]


@dataclass(frozen=True)
class Marked:
    """How well each kind is marked in each picture, all [pictures, kinds] without the background.

    `present`: somebody, the person or the model, marked it there.
    """

    dice: Matrix
    iou: Matrix
    boundary: Matrix
    present: Bools

    def of_pictures(self, values: Matrix) -> Matrix:
        """One of the measures per picture [pictures]: the mean over the kinds present there; 1 where there is none on either side."""
        counts = self.present.sum(1)
        return np.where(counts > 0, np.where(self.present, values, 0.0).sum(1) / np.maximum(counts, 1), 1.0)


def marked(truths: Sequence[Mask], founds: Sequence[Mask], kinds: int, *, edges: bool = True) -> Marked:
    """Every measure of every picture; without `edges` the boundary stays 0. Raises ValueError where two masks differ in size."""
    each = [_picture(truth, found, kinds, edges=edges) for truth, found in zip(truths, founds, strict=True)]
    shape = (len(each), kinds)
    dice, iou, boundary = (np.array([one[i] for one in each], np.float64).reshape(shape) for i in range(3))
    return Marked(dice, iou, boundary, np.array([one[3] for one in each], np.bool_).reshape(shape))


def _picture(truth: Mask, found: Mask, kinds: int, *, edges: bool) -> tuple[Matrix, Matrix, Matrix, Bools]:
    """Dice (Dice 1945), IoU (Jaccard 1912), boundary F and presence of each kind [kinds] in one picture."""
    if truth.shape != found.shape:
        raise ValueError(f"A mask of {found.shape} was found for a picture of {truth.shape}.")
    seen = (truth >= 0) & (truth <= kinds)
    pairs = truth[seen].astype(np.int64) * (kinds + 1) + np.clip(found[seen], 0, kinds)
    table = np.bincount(pairs, minlength=(kinds + 1) ** 2).reshape(kinds + 1, kinds + 1)
    both = np.diagonal(table)[1:].astype(np.float64)
    sizes = (table.sum(1) + table.sum(0))[1:].astype(np.float64)
    present = sizes > 0
    dice = np.where(present, 2 * both / np.maximum(sizes, 1), 1.0)
    iou = np.where(present, both / np.maximum(sizes - both, 1), 1.0)
    near = np.where(present, 0.0, 1.0)
    for kind in range(kinds) if edges else ():
        if present[kind]:
            near[kind] = boundary_f(seen & (truth == kind + 1), seen & (found == kind + 1))
    return dice, iou, near, present


def tolerance(height: int, width: int) -> int:
    """How many pixels an edge may be off in a picture of this size."""
    return max(NEAREST, round(NEAR * math.hypot(height, width)))


def boundary_f(truth: Bools, found: Bools) -> float:
    """F-measure of the edges: shares of each side's that lie near the other's (Martin et al. 2004; Csurka et al. 2013)."""
    ours, theirs = edge(found), edge(truth)
    if not ours.any() and not theirs.any():
        return float(bool((truth == found).all()))
    if not ours.any() or not theirs.any():
        return 0.0
    reach = tolerance(*truth.shape)
    precision, recall = _near(ours, theirs, reach), _near(theirs, ours, reach)
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def edge(mask: Bools) -> Bools:
    """Pixels of a mask that touch one outside it. Where the picture ends is no edge."""
    framed = np.pad(mask, 1, mode="edge")
    inside = framed[:-2, 1:-1] & framed[2:, 1:-1] & framed[1:-1, :-2] & framed[1:-1, 2:]
    return mask & ~inside


def _near(points: Bools, others: Bools, reach: int) -> float:
    """Share of the points that have another one within a circle of `reach` pixels.

    Sums along rows say for any stretch of a row whether there is one, so that the circle is looked through row by row.
    """
    height, width = others.shape
    sums = np.zeros((height, width + 1), np.int32)
    np.cumsum(others, axis=1, out=sums[:, 1:])
    y, x = np.nonzero(points)
    hit = np.zeros(len(y), np.bool_)
    for down in range(-reach, reach + 1):
        across = math.isqrt(reach * reach - down * down)
        rows = y + down
        there = (rows >= 0) & (rows < height)
        row = np.clip(rows, 0, height - 1)
        left, right = np.maximum(x - across, 0), np.minimum(x + across + 1, width)
        hit |= there & (sums[row, right] > sums[row, left])
    return float(hit.mean())


# ---- answers that need no look at the picture ------------------------------------------------------------------------------
def usual(truths: Sequence[Mask], kinds: int) -> Mask:
    """What most of these masks have at each place [GRID, GRID], whatever size they are."""
    votes = np.zeros((kinds + 1, GRID, GRID), np.int64)
    for truth in truths:
        small = fitted(truth, GRID, GRID)
        for kind in range(kinds + 1):
            votes[kind] += small == kind
    return votes.argmax(0)


def fitted(mask: Mask, height: int, width: int) -> Mask:
    """A mask in another size, by its nearest pixels."""
    rows = np.arange(height) * mask.shape[0] // height
    columns = np.arange(width) * mask.shape[1] // width
    return mask[rows[:, None], columns[None, :]]


def coarse(mask: Mask) -> Mask:
    """A large mask with at most COARSE rows and columns: enough to know what an answer without a look is worth."""
    height, width = mask.shape
    return mask if max(mask.shape) <= COARSE else fitted(mask, min(height, COARSE), min(width, COARSE))


def habits(truths: Sequence[Mask], watched: Sequence[Mask], kinds: int) -> dict[str, list[Mask]]:
    """Answers by name that need no look at the picture: nothing, everything one kind, what is usually at each place."""
    found: dict[str, list[Mask]] = {"nothing": [np.zeros(t.shape, np.int64) for t in truths]}
    for kind in range(1, kinds + 1):
        found[f"everything {kind}"] = [np.full(t.shape, kind, np.int64) for t in truths]
    if watched:
        place = usual(watched, kinds)
        found["the usual places"] = [fitted(place, *t.shape) for t in truths]
    return found
