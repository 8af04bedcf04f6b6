"""Owns which pictures belong together: near copies, found by a perceptual hash and confirmed on a small copy; and groups by name.

The hash: for each of 8 x 8 places whether it is darker than its right neighbour (dHash, N. Krawetz 2013), 64 bits.

Invariants: a pair that is returned is the same file, or agrees in its hash within BITS and in its small grey copy within CLOSE; time and
memory are bounded, also where thousands of pictures are frames of one film.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loralab.datasets.images.facts import THUMB, Fact
from loralab.datasets.images.names import stem

BITS = 8  # of 64 that may differ
CLOSE = 0.98  # correlation of two small grey copies from which they show the same; other X-rays of the same kind reach 0.97
FLAT = 2.0  # grey values of spread below which a picture is one tone: only a true copy is one then
MOST_BRUTE = 20_000  # pictures of which every pair is compared
_BLOCK = 512

Numbers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Copies:
    """Pictures that show nearly the same. `pairs`: (earlier, later), one for each picture that has such a one before it; `same`: a number
    for each picture, equal for those that such pairs lead from one to the other.
    """

    pairs: tuple[tuple[int, int], ...]
    same: Numbers


def near_copies(facts: Sequence[Fact]) -> Copies:
    """Near copies among pictures: all of them up to MOST_BRUTE, beyond those that are neighbours by hash."""
    n = len(facts)
    parent = np.arange(n)
    first = np.full(n, n)
    for one, other in _alike(facts) if n > 1 else ():
        join(parent, one, other)
        np.minimum.at(first, other, one)
    later = np.flatnonzero(first < n)
    return Copies(tuple(zip(first[later].tolist(), later.tolist(), strict=True)), _tops(parent))


def join(parent: Numbers, one: Numbers, other: Numbers) -> None:
    """Make one group of each pair's two groups; `parent` points to an earlier member of a group, or to itself."""
    while True:
        tops = _tops(parent)
        low, high = np.minimum(tops[one], tops[other]), np.maximum(tops[one], tops[other])
        apart = low != high
        if not apart.any():
            return
        np.minimum.at(parent, high[apart], low[apart])


def _tops(parent: Numbers) -> Numbers:
    """The first member of each one's group."""
    while not np.array_equal(above := parent[parent], parent):
        parent = above
    return parent


def _alike(facts: Sequence[Fact]) -> Iterator[tuple[Numbers, Numbers]]:
    """Blocks of pairs (earlier, later) that show nearly the same."""
    hashes = np.array([fact.hash for fact in facts], dtype=np.uint64)
    small = np.stack([_normal(fact) for fact in facts])
    files = {mark: place for place, mark in reversed(list(enumerate((fact.crc, fact.bytes) for fact in facts)))}
    first = np.array([files[fact.crc, fact.bytes] for fact in facts])
    again = np.flatnonzero(first < np.arange(len(facts)))
    yield first[again], again
    if len(facts) > MOST_BRUTE:
        yield from _neighbours(hashes, small)
        return
    for start in range(0, len(facts), _BLOCK):
        block = slice(start, start + _BLOCK)
        near = small[block] @ small[start:].T >= CLOSE
        near &= np.bitwise_count(hashes[block, None] ^ hashes[None, start:]) <= BITS
        one, other = np.nonzero(np.triu(near, 1))
        if len(one):
            yield one + start, other + start


def _normal(fact: Fact) -> npt.NDArray[np.float32]:
    """A small grey copy [THUMB * THUMB] with mean 0 and length 1; zeros of a picture of one tone."""
    values = fact.small().ravel() if fact.thumb else np.zeros(THUMB * THUMB, np.float32)
    spread = values - values.mean()
    length = float(np.linalg.norm(spread))
    return spread / length if length > FLAT * THUMB else np.zeros_like(spread)


def _neighbours(hashes: npt.NDArray[np.uint64], small: npt.NDArray[np.float32]) -> Iterator[tuple[Numbers, Numbers]]:
    """Pairs of neighbours in the order of each sixteen bits first: of two hashes that differ little one of the four parts is the same."""
    for turn in (0, 16, 32, 48):
        keyed = (hashes << np.uint64(turn)) | (hashes >> np.uint64(64 - turn)) if turn else hashes
        order = np.argsort(keyed, kind="stable")
        for step in (1, 2, 3):
            for start in range(0, len(order) - step, _BLOCK):
                one, other = order[start : start + _BLOCK], order[start + step : start + step + _BLOCK]
                one = one[: len(other)]
                near = np.bitwise_count(hashes[one] ^ hashes[other]) <= BITS
                near &= (small[one] * small[other]).sum(axis=1) >= CLOSE
                if near.any():
                    yield np.minimum(one, other)[near], np.maximum(one, other)[near]


# ---- groups by name --------------------------------------------------------------------------------------------------------

_AUGMENTED = re.compile(r"^(.+?)\.rf\.[0-9a-f]{8,}$")  # copies that Roboflow makes of a picture
_BETWEEN = re.compile(r"[-_. ()]+")
FEWEST_GROUPS = 5
LARGEST = 0.1  # of all pictures that one group may be


def groups_by_name(names: Sequence[str]) -> list[str]:
    """Whom or what each picture is of as its name says (person12_3.png: person12); all empty where that is not plausible.

    Plausible: the beginning of the name holds a digit, something follows, at least FEWEST_GROUPS such beginnings stand on several pictures,
    a fifth of the pictures or more, and none stands on more than a tenth of them.
    """
    beginnings = [_beginnings(name) for name in names]
    sizes = Counter(start for starts in beginnings for start in starts)
    most = max(2, int(LARGEST * len(names)))
    chosen = [next((start for start in starts if sizes[start] <= most), "") for starts in beginnings]
    several = {start: n for start, n in Counter(filter(None, chosen)).items() if n > 1}
    if len(several) < FEWEST_GROUPS or 5 * sum(several.values()) < len(names):
        return [""] * len(names)
    return [start if start in several else "" for start in chosen]


def _beginnings(name: str) -> list[str]:
    """Beginnings of a name that may say whom it is of, the shortest first."""
    whole = stem(name)
    if made := _AUGMENTED.match(whole):
        return [made.group(1)]
    ends = [found.start() for found in _BETWEEN.finditer(whole) if found.start() > 0 and found.end() < len(whole)]
    return [whole[:end] for end in ends if any(letter.isdigit() for letter in whole[:end])]


def together(same: Numbers, groups: Sequence[str]) -> Numbers:
    """A number for each picture, the same for those that must not be parted: near copies, and those of the same named group."""
    parent = same.copy()
    first: dict[str, int] = {}
    for at, group in enumerate(groups):
        first.setdefault(group, at)
    named = [(first[group], at) for at, group in enumerate(groups) if group]
    join(parent, np.array([one for one, _ in named], dtype=np.int64), np.array([other for _, other in named], dtype=np.int64))
    return _tops(parent)
