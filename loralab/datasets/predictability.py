"""Owns whether the questions of a file foretell its answers, told by letters alone: no model is asked.

Where like questions have like answers, an answer stands beside its own question for a reason. How alike two texts are is told by the
stretches of three letters they share, rare ones counting for more; whether likeness of questions and of answers goes together is told by
the Hilbert-Schmidt independence criterion (Gretton et al. 2005), compared with the same answers in other orders. It sees classes and
spelt-out numbers, which share no word with their question; it does not see sums and riddles, where nothing but knowing the answer helps. So
it never says alone that a file is in disorder.

Invariant: at most LOOK pairs, spread over the file, so that the number means the same in every file; the same file gives the same number.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from loralab.core.records import Example

LOOK = 200  # pairs
ORDERS = 100  # other orders of the answers that are tried
STRETCH = 3  # letters
END = 300  # letters at either end of a text that are looked at

Matrix = npt.NDArray[np.float64]


class Foretold(NamedTuple):
    """How many deviations above chance likeness of questions goes with likeness of answers, in so many pairs."""

    above: float = 0.0
    pairs: int = 0  # 0: there was nothing to compare


def foretold(examples: Sequence[Example]) -> Foretold:
    """Measured over at most LOOK of the conversations, evenly spread."""
    talks = [example for example in examples if len(example.messages) > 1]
    chosen = [talks[at * len(talks) // LOOK] for at in range(LOOK)] if len(talks) > LOOK else talks
    if len(chosen) < 3:
        return Foretold()
    asked = _centred(_alike([example.messages[-2].content for example in chosen]))
    said = _centred(_alike([example.messages[-1].content for example in chosen]))
    draw = np.random.default_rng(0)
    others = np.array([(asked * said[np.ix_(order, order)]).sum() for order in (draw.permutation(len(chosen)) for _ in range(ORDERS))])
    spread = float(others.std())
    if not spread > 1e-9 * len(chosen):  # all questions or all answers are the same
        return Foretold()
    return Foretold(float(((asked * said).sum() - others.mean()) / spread), len(chosen))


def _alike(texts: Sequence[str]) -> Matrix:
    """How alike each two texts are, 0 to 1."""
    counts = [_stretches(text) for text in texts]
    spread = Counter(stretch for count in counts for stretch in count)
    place = {stretch: at for at, stretch in enumerate(s for s, n in spread.items() if 1 < n < len(texts))}
    weights = np.zeros((len(texts), max(1, len(place))))
    for row, count in enumerate(counts):
        for stretch, n in count.items():
            if stretch in place:
                weights[row, place[stretch]] = (1 + math.log(n)) * math.log(len(texts) / spread[stretch])
    weights /= np.maximum(np.linalg.norm(weights, axis=1, keepdims=True), 1e-9)
    return weights @ weights.T


def _stretches(text: str) -> Counter[str]:
    plain = " ".join(text.casefold().split())
    ends = plain if len(plain) <= 2 * END else f"{plain[:END]} {plain[-END:]}"
    return Counter(ends[at : at + STRETCH] for at in range(max(1, len(ends) - STRETCH + 1)))


def _centred(alike: Matrix) -> Matrix:
    """With what is common to all taken out, and without each text's likeness to itself."""
    centred = alike - alike.mean(axis=0) - alike.mean(axis=1)[:, None] + alike.mean()
    np.fill_diagonal(centred, 0.0)
    return centred
