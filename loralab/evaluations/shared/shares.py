"""Owns the statistics of “how many of them?”: intervals of a share, and whether answers depend on their questions. No torch."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

SURE = 1.96  # normal quantile of a 95 % interval
ORDERS = 2000  # random orders of the examples that a match is held against
ORDER, BETA = 6, 2  # of chrF: longest run of letters, weight of recall
MOST_LETTERS = 300  # of texts that are compared each with each
Matrix = npt.NDArray[np.float64]


def between(right: float, n: int, quantile: float = SURE) -> tuple[float, float]:
    """Interval of a share of which `right` of `n` were seen (Wilson 1927): never outside 0..1, honest about few."""
    if not n:
        return 0.0, 1.0
    share, square = right / n, quantile**2
    middle = (share + square / (2 * n)) / (1 + square / n)
    half = quantile * math.sqrt(share * (1 - share) / n + square / (4 * n * n)) / (1 + square / n)
    return max(0.0, middle - half), min(1.0, middle + half)


def by_chance(match: Matrix, seed: int = 0) -> tuple[float, float]:
    """How well answers match on average when they are dealt to other examples, and the chance of a match as good as the real one.

    `match[i, j]`: how well answer i would do for example j. One-sided permutation test (Fisher 1935).
    """
    n = len(match)
    if n < 2:
        return float(match.mean()) if n else 0.0, 1.0
    random = np.random.default_rng(seed)
    orders = np.stack([random.permutation(n) for _ in range(ORDERS)])
    dealt = match[np.arange(n)[None, :], orders].mean(1)
    real = float(np.diagonal(match).mean())
    return float(dealt.mean()), (1 + int((dealt >= real - 1e-12).sum())) / (1 + ORDERS)


def closeness(texts: Sequence[str], references: Sequence[str]) -> tuple[Matrix, Matrix]:
    """What each text [rows] has in common with each reference [columns], of their beginnings: the share of the text that stands in the
    reference, and chrF (Popović 2015), to which it also counts how much of the reference is there.
    """
    precision, recall = np.zeros((2, len(texts), len(references)))
    for order in range(1, ORDER + 1):
        both = [_grams(text, order) for text in (*texts, *references)]
        places = {gram: place for place, gram in enumerate(dict.fromkeys(gram for grams in both for gram in grams))}
        counts = np.zeros((len(both), len(places)), np.float32)
        for row, grams in zip(counts, both, strict=True):
            row[[places[gram] for gram in grams]] = list(grams.values())
        mine, theirs = counts[: len(texts)], counts[len(texts) :]
        shared = np.stack([np.minimum(row, theirs).sum(1) for row in mine]) if len(mine) else np.zeros((0, len(theirs)))
        precision += shared / np.maximum(mine.sum(1), 1)[:, None] / ORDER
        recall += shared / np.maximum(theirs.sum(1), 1)[None, :] / ORDER
    return precision, (1 + BETA**2) * precision * recall / np.maximum(BETA**2 * precision + recall, 1e-12)


def _grams(text: str, order: int) -> Counter[str]:
    letters = "".join(text.split())[:MOST_LETTERS]
    return Counter(letters[i : i + order] for i in range(len(letters) - order + 1))


def same(said: Sequence[str], wanted: Sequence[str]) -> Matrix:
    """Which answers would be exactly right for which examples."""
    return (np.asarray(said, dtype=object)[:, None] == np.asarray(wanted, dtype=object)[None, :]).astype(np.float64)
