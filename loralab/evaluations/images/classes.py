"""Owns the measures of sorting pictures into kinds: from probabilities [pictures, kinds] and the right kinds [pictures].

Measures are functions of how often each picture counts (see `intervals`), so that an interval costs no second look at the pictures.
Invariant: what is chosen (a temperature, a threshold, a point) is chosen on the pictures watched while learning, never on the judged ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from loralab.evaluations.images.intervals import Bools, Ints, Statistic, divided, mean
from loralab.evaluations.shared.paired import FEWEST
from loralab.evaluations.shared.shares import Matrix

BINS = 15  # of confidence, for the calibration error
COLDEST, HOTTEST = 0.05, 20.0  # temperatures that are tried
STEPS = 60  # of the golden section: each leaves 62 %
TARGET = 0.95  # share right that is asked of what it does not call unknown
SMALLEST = 1e-12  # probability below which a logarithm says no more


def habit(counts: Sequence[int], n: int) -> Matrix:
    """What whoever knows only how common each kind is would say to `n` pictures: the same shares to each [n, kinds]."""
    numbers = np.asarray(counts, np.float64)
    shares = numbers / numbers.sum() if numbers.sum() else np.full(len(numbers), 1 / max(1, len(numbers)))
    return np.tile(shares, (n, 1))


# ---- measures --------------------------------------------------------------------------------------------------------------
def right(truth: Ints, chances: Matrix) -> Bools:
    """Whether the likeliest kind is the right one."""
    return chances.argmax(1) == truth


def accuracy(truth: Ints, chances: Matrix) -> Statistic:
    """Share of pictures whose likeliest kind is the right one."""
    return mean(right(truth, chances))


def balanced_accuracy(truth: Ints, chances: Matrix) -> Statistic:
    """Mean over the kinds that occur of the share found of each."""
    good, kinds = right(truth, chances), np.unique(truth)
    each = [recall(good, truth == kind) for kind in kinds]
    return lambda weights: _mean_known(np.stack([one(weights) for one in each]))


def recall(found: Bools, wanted: Bools) -> Statistic:
    """Share of the `wanted` pictures that are `found`: sensitivity; specificity with both turned round."""
    return mean(found & wanted, wanted)


def macro_f1(truth: Ints, chances: Matrix) -> Statistic:
    """Mean over the kinds that occur of 2 TP / (2 TP + FP + FN)."""
    said, kinds = chances.argmax(1), np.unique(truth)
    wanted = (truth[:, None] == kinds).astype(np.float64)
    given = (said[:, None] == kinds).astype(np.float64)

    def of(weights: Matrix) -> Matrix:
        want = weights @ wanted
        each = divided(2 * (weights @ (wanted * given)), want + weights @ given)
        return _mean_known(np.where(want > 0, each, np.nan).T)

    return of


def auc(wanted: Bools, score: Matrix) -> Statistic:
    """Chance that a wanted picture has a higher score than another one, ties counting half (Hanley & McNeil 1982)."""
    order = np.argsort(score, kind="stable")
    ranked, hit = score[order], wanted[order].astype(np.float64)
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]]) if len(ranked) else np.zeros(0, np.int64)

    def of(weights: Matrix) -> Matrix:
        sorted_weights = weights[:, order]
        ours = np.add.reduceat(sorted_weights * hit, starts, axis=1)
        others = np.add.reduceat(sorted_weights * (1 - hit), starts, axis=1)
        below = np.cumsum(others, axis=1) - others
        return divided((ours * (below + others / 2)).sum(1), ours.sum(1) * others.sum(1))

    return of


def macro_auc(truth: Ints, chances: Matrix) -> Statistic:
    """The AUC of two kinds; of more, the mean over the kinds that occur of each against all others."""
    if chances.shape[1] == 2:
        return auc(truth == 1, chances[:, 1])
    each = [auc(truth == kind, chances[:, kind]) for kind in np.unique(truth)]
    return lambda weights: _mean_known(np.stack([one(weights) for one in each]))


def ece(truth: Ints, chances: Matrix) -> Statistic:
    """Expected calibration error: how far confidence is from the share right, over equal bins of it (Naeini et al. 2015)."""
    sure, good = chances.max(1), right(truth, chances)
    place = np.clip(np.ceil(sure * BINS).astype(np.int64) - 1, 0, BINS - 1)
    gaps = np.eye(BINS)[place] * (sure - good)[:, None]
    return lambda weights: divided(np.abs(weights @ gaps).sum(1), weights.sum(1))


def brier(truth: Ints, chances: Matrix) -> Statistic:
    """Mean squared distance of the probabilities from the truth, summed over kinds: 0..2 (Brier 1950)."""
    return mean(((chances - np.eye(chances.shape[1])[truth]) ** 2).sum(1))


def confusion(truth: Ints, said: Ints, labels: Sequence[str]) -> dict[str, dict[str, int]]:
    """How often a picture of each kind was called which; kinds that were never right have no row, nor are there zeros."""
    table: dict[str, dict[str, int]] = {}
    for want, given in zip(truth, said, strict=True):
        row, name = table.setdefault(labels[int(want)], {}), labels[int(given)]
        row[name] = row.get(name, 0) + 1
    return table


def _mean_known(each: Matrix) -> Matrix:
    """Mean over the first axis of what is a number; nan where nothing is."""
    known = np.isfinite(each)
    return divided(np.where(known, each, 0.0).sum(0), known.sum(0).astype(np.float64))


# ---- chosen on the watched pictures ----------------------------------------------------------------------------------------
def temperature(truth: Ints, chances: Matrix) -> float:
    """The temperature that makes the right kinds likeliest (Guo et al. 2017, arXiv 1706.04599); 1 where there is too little to fit on.

    Golden section on its logarithm. The right kind counts a little less than whole, so that a few pictures which are all right do not make
    it infinitely sure (Platt 1999).
    """
    n, kinds = chances.shape
    if n < FEWEST or kinds < 2:
        return 1.0
    logs = np.log(np.maximum(chances, SMALLEST))
    spared = 1 / (n + kinds)
    targets = np.eye(kinds)[truth] * (1 - spared) + spared / kinds

    def surprise(log_heat: float) -> float:
        scaled = logs / math.exp(log_heat)
        scaled = scaled - scaled.max(1, keepdims=True)
        return float((np.log(np.exp(scaled).sum(1)) - (targets * scaled).sum(1)).mean())

    low, high, golden = math.log(COLDEST), math.log(HOTTEST), (math.sqrt(5) - 1) / 2
    for _ in range(STEPS):
        first, second = high - golden * (high - low), low + golden * (high - low)
        low, high = (low, second) if surprise(first) < surprise(second) else (first, high)
    return math.exp((low + high) / 2)


def tempered(chances: Matrix, heat: float) -> Matrix:
    """Probabilities at a temperature: their order stays, how sure they are changes."""
    scaled = np.log(np.maximum(chances, SMALLEST)) / heat
    grown = np.exp(scaled - scaled.max(1, keepdims=True))
    return grown / grown.sum(1, keepdims=True)


def doubt(sure: Matrix, good: Bools, target: float = TARGET) -> float:
    """Confidence below which it had better say “I do not know”: the lowest from which on at least `target` are right.

    0 where all together reach it or there are too few pictures to choose on. It never leaves less than half of the pictures: where none of
    these confidences reaches the target, it is the one with the largest share right.
    """
    n = len(sure)
    if n < FEWEST or good.mean() >= target:
        return 0.0
    order = np.argsort(-sure, kind="stable")
    ranked, shares = sure[order], np.cumsum(good[order]) / np.arange(1, n + 1)
    ends = np.flatnonzero(np.r_[ranked[1:] != ranked[:-1], True])  # pictures as sure as each other stay together
    ends = ends[ends >= max(FEWEST, n / 2) - 1]
    reached = ends[shares[ends] >= target]
    last = int(reached[-1]) if len(reached) else int(ends[len(ends) - 1 - int(np.argmax(shares[ends][::-1]))])
    return float(ranked[last] + ranked[last + 1]) / 2 if last + 1 < n else 0.0


def point(wanted: Bools, score: Matrix) -> float:
    """The score from which on a picture is called wanted: sensitivity + specificity are largest (Youden 1950); ties: the nearest to a half.

    A half where the pictures are too few of either kind to choose on.
    """
    if min(int(wanted.sum()), int((~wanted).sum())) < FEWEST:
        return 0.5
    values = np.unique(score)
    cuts = np.r_[values[:1], (values[1:] + values[:-1]) / 2]
    called = score[None, :] >= cuts[:, None]
    gain = called[:, wanted].mean(1) - called[:, ~wanted].mean(1)
    best = cuts[gain >= gain.max() - SMALLEST]
    return float(best[np.argmin(np.abs(best - 0.5))])
