"""Owns the statistics of “is it better?”: paired, seeded, honest about few examples. No torch."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

RESAMPLES = 4000
KEPT = 300  # up to so many examples the draws are kept for the next measure (20 MB); drawing them is most of the work
FEWEST = 8  # fewer examples than this prove nothing either way
SMALL_SHARE = 0.02  # an interval within 2 % of the base's value, both ways, is “no difference” and not “too few examples”


POWER = 2.8  # 1.96 + 0.84: an effect this many standard errors large is seen in four of five such tests (80 % power at 5 %)
SURE = 0.05


@dataclass(frozen=True)
class Difference:
    """Mean of before and after, their difference (after - before) with its 95 % interval and standard error, and the chance `p` of a
    difference as large if the adapter had changed nothing.
    """

    before: float
    after: float
    difference: float
    low: float
    high: float
    n: int
    error: float = math.inf
    p: float = 1.0

    @property
    def smallest(self) -> float:
        """The smallest difference that this many examples would probably have shown."""
        return POWER * self.error

    @property
    def more_rows(self) -> int:
        """How many more examples would probably show a difference of the size seen; 0 when they already do or nothing was seen."""
        if self.difference == 0 or not math.isfinite(self.error) or not math.isfinite(self.difference):
            return 0
        return max(0, math.ceil(self.n * (self.smallest / self.difference) ** 2) - self.n)


def paired_difference(base: Sequence[float], adapter: Sequence[float], weights: Sequence[float], seed: int = 0) -> Difference:
    """Weighted means of paired sums and the bootstrap interval of their difference, resampling whole examples.

    `base` and `adapter` [n] are sums over an example, `weights` [n] how many terms each sum has. The percentile interval is widened
    by t/z * sqrt(n / (n - 1)), without which it is too narrow for few examples (Hesterberg 2015, The American Statistician 69:4).
    """
    before, after, counts = (np.asarray(values, dtype=np.float64) for values in (base, adapter, weights))
    n, total = len(counts), max(float(counts.sum()), 1e-12)
    difference = float((after - before).sum()) / total
    if n < 2:
        return Difference(float(before.sum()) / total, float(after.sum()) / total, difference, -math.inf, math.inf, n)
    drawn, signs = _draws(n, seed) if n <= KEPT else _draws.__wrapped__(n, seed)
    resampled = drawn @ (after - before) / (drawn @ counts)
    low, high = np.percentile(resampled, [2.5, 97.5])
    inflated = math.sqrt(n / (n - 1))
    wider = _t_over_z(n - 1) * inflated
    return Difference(
        float(before.sum()) / total,
        float(after.sum()) / total,
        difference,
        difference + (float(low) - difference) * wider,
        difference + (float(high) - difference) * wider,
        n,
        float(np.std(resampled)) * inflated,
        _sign_flips(after - before, signs),
    )


def holm(chances: Sequence[float]) -> list[float]:
    """Chances corrected for looking at several measures at once (Holm 1979): each stays below 5 % only if it would after all others."""
    corrected, floor = [1.0] * len(chances), 0.0
    for rank, i in enumerate(sorted(range(len(chances)), key=lambda i: chances[i])):
        floor = max(floor, min(1.0, chances[i] * (len(chances) - rank)))
        corrected[i] = floor
    return corrected


@lru_cache(maxsize=2)
def _draws(n: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """How often each example is drawn and which are swapped, both [RESAMPLES, n]: the same for every measure over as many examples."""
    random = np.random.default_rng(seed)
    drawn = random.multinomial(n, np.full(n, 1 / n), size=RESAMPLES).astype(np.float64)
    return drawn, random.choice(np.array([-1.0, 1.0]), size=(RESAMPLES, n))


def _sign_flips(differences: np.ndarray, signs: np.ndarray) -> float:
    """Two-sided chance of a sum as far from 0 if base and adapter could be swapped in every example (Fisher's paired test, sampled)."""
    if not np.isfinite(differences).all():
        return 1.0
    seen = abs(float(differences.sum()))
    at_least = int((np.abs(signs @ differences) >= seen - 1e-12 * max(1.0, seen)).sum())
    return (1 + at_least) / (1 + RESAMPLES)


def verdict(found: Difference, *, lower_is_better: bool, small: float = 0.0) -> str:
    """One of: better | worse | no difference seen | cannot tell yet. `small`: differences up to this matter to nobody."""
    if found.n < FEWEST or not math.isfinite(found.difference):
        return "cannot tell yet"
    if found.low > 0 or found.high < 0:
        return "better" if (found.difference < 0) == lower_is_better else "worse"
    within = max(abs(found.low), abs(found.high)) <= max(small, SMALL_SHARE * abs(found.before), 1e-12)
    return "no difference seen" if within else "cannot tell yet"


def _t_over_z(degrees: int) -> float:
    """Ratio of Student's t to the normal quantile at 97.5 %, by the Cornish-Fisher expansion (Abramowitz & Stegun 26.7.5)."""
    z = 1.959963984540054
    t = z + (z**3 + z) / (4 * degrees) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * degrees**2)
    return t / z
