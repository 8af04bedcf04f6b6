"""Owns how sure a measure over pictures is: whole pictures are resampled, or whole patients where they are known. No torch.

Invariants: before and after are measured on the same resamples; the same seed gives the same interval; where every resample says the same,
the interval is that of a share of as many, never a point.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loralab.evaluations.shared import paired, shares
from loralab.evaluations.shared.paired import Difference
from loralab.evaluations.shared.shares import Matrix

RESAMPLES = 1000
CELLS = 1 << 21  # numbers of weights computed with at once
TINY = 1e-12
SMALL = 0.005  # differences of a share that matter to nobody
ENDS = (2.5, 97.5)  # per cent of the resamples outside which an end of the interval lies
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Statistic = Callable[
    [Matrix], Matrix
]  # how often each picture counts [resamples, pictures] -> the measure [resamples]; nan where it has none


@dataclass(frozen=True)
class Draws:
    """How often each picture is drawn [RESAMPLES, pictures], and which unit (patient, source or the picture itself) it belongs to."""

    counts: npt.NDArray[np.uint16]
    unit: Ints

    @property
    def n(self) -> int:
        """Pictures."""
        return len(self.unit)

    @property
    def units(self) -> int:
        """What is drawn: patients or sources where they are known, else pictures."""
        return int(self.unit.max()) + 1 if len(self.unit) else 0


@dataclass(frozen=True)
class Compared:
    """Before against after with the interval of the difference, and (`between`) the 95 % interval of after alone."""

    found: Difference
    between: tuple[float, float]


def draws(groups: Sequence[str], seed: int = 0) -> Draws:
    """Resamples of as many pictures as there are `groups`; pictures of one group are drawn together, those with an empty one alone."""
    numbers: dict[tuple[str, int], int] = {}
    unit = [numbers.setdefault((group, -1) if group else ("", place), len(numbers)) for place, group in enumerate(groups)]
    random, units = np.random.default_rng(seed), len(numbers)
    drawn = [np.bincount(random.integers(0, units, units), minlength=units) for _ in range(RESAMPLES)] if units else [[]] * RESAMPLES
    places = np.array(unit, np.int64)
    return Draws(np.array(drawn, np.uint16)[:, places], places)


def plain(of: Statistic, n: int) -> float:
    """The measure itself: every picture counts once."""
    return float(of(np.ones((1, n)))[0]) if n else math.nan


def resampled(of: Statistic, drawn: Draws) -> Matrix:
    """The measure on every resample [RESAMPLES]."""
    step = max(1, CELLS // max(1, drawn.n))
    return np.concatenate([of(drawn.counts[i : i + step].astype(np.float64)) for i in range(0, RESAMPLES, step)])


def mean(values: npt.ArrayLike, of: npt.ArrayLike = 1.0) -> Statistic:
    """Sum of `values` over the sum of `of`, both one per picture: a mean, or a share of things of which pictures have several."""
    top = np.asarray(values, np.float64)
    bottom = np.broadcast_to(np.asarray(of, np.float64), top.shape)
    return lambda weights: divided(weights @ top, weights @ bottom)


def divided(top: Matrix, bottom: Matrix) -> Matrix:
    """Quotients; nan where nothing can be divided by."""
    return np.divide(top, bottom, out=np.full(np.broadcast_shapes(top.shape, bottom.shape), np.nan), where=bottom > 0)


def compare(before: Statistic, after: Statistic, drawn: Draws, gains: npt.ArrayLike | None = None) -> Compared:
    """A measure between 0 and 1 before and after on the same resamples.

    `gains` [pictures]: after - before of each picture where the measure is a mean of such; the chance is then that of the paired test of
    signs swapped by unit (Fisher 1935), else that of the resamples (Efron & Tibshirani 1993). Percentile intervals, widened for few units.
    """
    was, now = plain(before, drawn.n), plain(after, drawn.n)
    if drawn.units < 2:
        return Compared(Difference(was, now, now - was, -math.inf, math.inf, drawn.units), (0.0, 1.0))
    sides = np.stack([resampled(before, drawn), resampled(after, drawn)])
    sides = sides[:, np.isfinite(sides).all(0)]
    if sides.shape[1] < RESAMPLES / 2 or not math.isfinite(was + now):
        return Compared(Difference(was, now, now - was, -math.inf, math.inf, drawn.units), (0.0, 1.0))
    apart = sides[1] - sides[0]
    low, high = _ends(apart, now - was, drawn.units)
    error = float(apart.std()) * math.sqrt(drawn.units / (drawn.units - 1))
    chance = _swapped(np.asarray(gains, np.float64), drawn) if gains is not None else _beyond(apart)
    found = Difference(was, now, now - was, max(-1.0, low), min(1.0, high), drawn.units, error, chance)
    return Compared(found, _bounded(sides[1], now, drawn.units))


def interval(of: Statistic, drawn: Draws) -> tuple[float, float]:
    """The 95 % interval of a measure between 0 and 1; all of that where too little says anything."""
    now = plain(of, drawn.n)
    if drawn.units < 2 or not math.isfinite(now):
        return 0.0, 1.0
    values = resampled(of, drawn)
    values = values[np.isfinite(values)]
    return _bounded(values, now, drawn.units) if len(values) >= RESAMPLES / 2 else (0.0, 1.0)


def share(right: npt.ArrayLike, of: npt.ArrayLike, drawn: Draws) -> tuple[float, float]:
    """The 95 % interval of how many are right of how many (both per picture): Wilson's, with as many as tell something of their own.

    What lies in one picture, or is of one patient, is alike: a design effect above 1 makes the number smaller (Kish 1965), down to that of
    the units; it is that where nothing varies, because nothing then shows how much alike they are (Korn & Graubard 1998).
    """
    good = np.asarray(right, np.float64)
    whole = np.broadcast_to(np.asarray(of, np.float64), good.shape)
    n = float(whole.sum())
    if n == 0:
        return 0.0, 1.0
    units = len(np.unique(drawn.unit[whole > 0]))
    now = float(good.sum()) / n
    tell = round(n)
    if units < n:
        values = resampled(mean(good, whole), drawn)
        spread = float(np.nanvar(values)) if np.isfinite(values).any() else 0.0
        tell = min(tell, max(units, round(now * (1 - now) / spread))) if spread > 0 and 0 < now < 1 else units
    return _wilson(now, tell)


def verdict(found: Difference, *, lower_is_better: bool = False) -> str:
    """One of: better | worse | no difference seen | cannot tell yet. A difference needs its interval and its chance to bear it out."""
    word = paired.verdict(found, lower_is_better=lower_is_better, small=SMALL)
    return "cannot tell yet" if word in ("better", "worse") and found.p >= paired.SURE else word


def _bounded(values: Matrix, now: float, units: int) -> tuple[float, float]:
    if float(np.ptp(values)) < TINY:
        return _wilson(now, units)
    low, high = _ends(values, now, units)
    return max(0.0, low), min(1.0, high)


def _wilson(now: float, n: int) -> tuple[float, float]:
    """The interval of a share of `n`, without what rounding leaves of nothing and all."""
    low, high = shares.between(now * n, n)
    return (low if low > TINY else 0.0), (high if high < 1 - TINY else 1.0)


def _ends(values: Matrix, middle: float, units: int) -> tuple[float, float]:
    """Percentiles, pulled away from the middle as far as few units need (Hesterberg 2015, The American Statistician 69:4)."""
    low, high = np.percentile(values, ENDS)
    wider = math.sqrt(units / (units - 1)) * _t_over_z(units - 1)
    return middle + (float(low) - middle) * wider, middle + (float(high) - middle) * wider


def _t_over_z(degrees: int) -> float:
    """Ratio of Student's t to the normal quantile at 97.5 %, by the Cornish-Fisher expansion (Abramowitz & Stegun 26.7.5)."""
    z = shares.SURE
    return 1 + (z**2 + 1) / (4 * degrees) + (5 * z**4 + 16 * z**2 + 3) / (96 * degrees**2)


def _beyond(apart: Matrix) -> float:
    """Two-sided chance of no difference, from how many resamples lie on the other side of it."""
    return min(1.0, 2 * (1 + min(int((apart <= 0).sum()), int((apart >= 0).sum()))) / (1 + len(apart)))


def _swapped(gains: Matrix, drawn: Draws) -> float:
    """Two-sided chance of a sum as far from 0 if before and after could be swapped in every unit."""
    sums = np.bincount(drawn.unit, gains, drawn.units)
    sums = sums[sums != 0]
    if not len(sums):
        return 1.0
    random, seen, swaps = np.random.default_rng(1), abs(float(sums.sum())), max(500, CELLS // len(sums))
    signs = random.choice(np.array([-1.0, 1.0]), size=(min(4 * RESAMPLES, swaps), len(sums)))
    return (1 + int((np.abs(signs @ sums) >= seen - 1e-12 * max(1.0, seen)).sum())) / (1 + len(signs))
