"""Owns the question whether drawings are copies of learned pictures.

How much alike two pictures are is told on the person's own scale: 0 is as far apart as two of theirs usually are, 1 is the same. A drawing
is a copy where it is closer to a learned picture than (nearly) any picture kept aside is, and close at all: pictures that are alike by
nature (faces on a coin) make no drawing a copy.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loralab.evaluations.images.likeness import Matrix, Pixels, apart

CLOSE, SAME = 0.80, 0.97  # alike from which on a drawing may be a copy; and always is one
AS_USUAL = 95  # per cent of the pictures kept aside that are less alike than a copy has to be


@dataclass(frozen=True)
class Nearest:
    """Of each drawing the place of the learned picture that it is most like, how much alike (0..1), and whether that makes it a copy."""

    places: npt.NDArray[np.int64]
    alike: Matrix
    copies: npt.NDArray[np.bool_]
    from_on: float  # alike, a drawing is called a copy


def nearest(drawn: Pixels, learned: Pixels, heldout: Pixels) -> Nearest:
    """What is nearest to each drawing [n, side, side, 3] among the learned pictures; nothing is a copy where there are none."""
    if not len(drawn) or not len(learned):
        return Nearest(np.zeros(len(drawn), np.int64), np.zeros(len(drawn)), np.zeros(len(drawn), bool), 1.0)
    own = apart(learned, learned)[np.triu_indices(len(learned), 1)]
    usual = max(float(np.median(own)) if len(own) else 0.0, 1e-6)
    alike = np.clip(1 - apart(drawn, learned) / usual, 0, 1)
    natural = np.clip(1 - apart(heldout, learned).min(1) / usual, 0, 1) if len(heldout) else np.zeros(1)
    from_on = float(min(SAME, max(CLOSE, np.percentile(natural, AS_USUAL) + 0.02)))
    places = alike.argmax(1)
    most = alike[np.arange(len(drawn)), places]
    return Nearest(places, most, most >= from_on, from_on)
