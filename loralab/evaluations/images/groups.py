"""Owns how well each group of pictures does: those of one source, of one size, of one sex, whatever was known of them.

Invariant: a group is told only where there are enough pictures to say anything, each with the interval of its own; nothing is concluded
from it, for among many groups one is always the worst.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from loralab.evaluations.images import intervals
from loralab.evaluations.images.intervals import Draws
from loralab.evaluations.images.seen import Seen
from loralab.evaluations.shared.paired import FEWEST

MOST_VALUES = 20  # of something that pictures are split by; more are no groups


def groups(seen: Seen, values: npt.ArrayLike, drawn: Draws, *, whole: bool) -> dict[str, list[dict[str, Any]]]:
    """By what pictures have in common: each value with n, its mean of `values` [pictures] and the interval of that (`between`).

    `whole`: each value is right or wrong. Values of fewer than FEWEST pictures are left out, and what leaves less than two.
    """
    quality = np.asarray(values, np.float64)
    facts: Mapping[str, Sequence[str]] = {**seen.facts, "group": seen.groups}
    found: dict[str, list[dict[str, Any]]] = {}
    for name, given in facts.items():
        counts = Counter(value for value in given if value)
        enough = sorted(value for value, n in counts.items() if n >= FEWEST)
        if 2 <= len(enough) <= MOST_VALUES:
            found[name] = [_group(value, np.array([one == value for one in given]), quality, drawn, whole) for value in enough]
    return found


def _group(value: str, here: npt.NDArray[np.bool_], quality: npt.NDArray[np.float64], drawn: Draws, whole: bool) -> dict[str, Any]:
    n, mean = int(here.sum()), float(quality[here].mean())
    inside = quality * here
    between = intervals.share(inside, here, drawn) if whole else intervals.interval(intervals.mean(inside, here), drawn)
    return {"value": value, "n": n, "score": mean, "between": between} | ({"right": int(inside.sum())} if whole else {})
