"""Owns finding texts that are nearly the same: one word changed, a sentence added. MinHash over runs of three words (Broder 1997).

Invariants: time and memory are bounded whatever is given; what most texts share (an instruction repeated in every row) is no sign of
likeness; texts too short to tell are never called alike; every pair returned was compared exactly.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import numpy.typing as npt

ALIKE = 0.7  # Jaccard index of the two sets of runs: one word in twenty changed
MOST_WORDS = 1_500_000  # looked at in all; beyond, only the beginning of each text
FEWEST = 6  # runs that are this text's own, or it is too short to tell
COMMON = 0.1  # share of the texts from which on a run of words belongs to their form
BANDS, DEEP = 8, 3  # finds 97 % of the pairs that are just alike enough, 99.8 % at 0.8
MOST_PAIRS = 30_000  # compared exactly

Runs = npt.NDArray[np.uint64]


def near_pairs(texts: Sequence[str]) -> list[tuple[int, int]]:
    """Positions (earlier, later) of texts that are nearly the same; at least one pair for each text that has such a partner before it."""
    runs, owner = _own_runs(*_runs(texts), len(texts))
    if not len(runs):
        return []
    owners, starts = np.unique(owner, return_index=True)
    ends = np.append(starts[1:], len(runs))
    long = ends - starts >= FEWEST
    sketch = _sketch(runs, starts)[:, long]
    owners, starts, ends = owners[long], starts[long], ends[long]
    found: list[tuple[int, int]] = []
    partnered: set[int] = set()
    for first, second in _candidates(sketch):
        if second in partnered:
            continue
        one, other = (set(runs[starts[i] : ends[i]].tolist()) for i in (first, second))
        if len(one & other) >= ALIKE * len(one | other):
            partnered.add(second)
            found.append((int(owners[first]), int(owners[second])))
    return sorted(found)


def _runs(texts: Sequence[str]) -> tuple[Runs, npt.NDArray[np.int64]]:
    """A number for every run of three words, and the text it is from."""
    known: dict[str, int] = {}
    most = max(30, MOST_WORDS // max(1, len(texts)))
    words: list[int] = []
    counts: list[int] = []
    for text in texts:
        found = text.split()[:most]
        counts.append(len(found))
        words.extend([known.setdefault(word, len(known)) for word in found])
    numbers = np.array(words, np.uint64)
    owner = np.repeat(np.arange(len(counts)), counts)
    if len(numbers) < 3:
        return np.empty(0, np.uint64), np.empty(0, np.int64)
    mixed = (numbers[:-2] * np.uint64(0x9E3779B97F4A7C15) + numbers[1:-1]) * np.uint64(0xC2B2AE3D27D4EB4F) + numbers[2:]
    whole = owner[:-2] == owner[2:]
    return mixed[whole], owner[:-2][whole]


def _own_runs(runs: Runs, owner: npt.NDArray[np.int64], n: int) -> tuple[Runs, npt.NDArray[np.int64]]:
    """Without those that stand in so many texts that they belong to their form."""
    if not len(runs):
        return runs, owner
    _, place, count = np.unique(runs, return_inverse=True, return_counts=True)
    own = count[place] <= max(20, COMMON * n)
    return runs[own], owner[own]


def _sketch(runs: Runs, starts: npt.NDArray[np.int64]) -> Runs:
    """The smallest number of each text under each of BANDS x DEEP random orders."""
    random = np.random.default_rng(0)
    factors = random.integers(1, 1 << 63, BANDS * DEEP, np.uint64) | np.uint64(1)
    turned = runs ^ (runs >> np.uint64(29))
    orders = ((turned * factor) ^ ((turned * factor) >> np.uint64(32)) for factor in factors)
    return np.stack([np.minimum.reduceat(order, starts) for order in orders])


def _candidates(sketch: Runs) -> Iterator[tuple[int, int]]:
    """Pairs that agree in a whole band, (earlier, later); each text with the first of its kind and with the one before it."""
    seen: set[tuple[int, int]] = set()
    for band in range(BANDS):
        part = sketch[band * DEEP : (band + 1) * DEEP]
        key = part[0] * np.uint64(31) + part[1] * np.uint64(0x9E3779B97F4A7C15) + part[2]
        order = np.argsort(key, kind="stable")
        ranked = key[order]
        heads = np.flatnonzero(np.append(True, ranked[1:] != ranked[:-1]))
        head_of = heads[np.searchsorted(heads, np.arange(len(order)), "right") - 1]
        for at in np.flatnonzero(head_of != np.arange(len(order))):
            for before in dict.fromkeys((int(head_of[at]), int(at) - 1)):
                pair = (int(order[before]), int(order[at]))
                if pair in seen:
                    continue
                if len(seen) >= MOST_PAIRS:
                    return
                seen.add(pair)
                yield pair
