"""Owns the split: what is learned from, what is watched while learning, and what is held out to the end.

Invariants: the three and what is put aside together are all examples; no two of the three share a picture, a near copy, a patient or a
source; where the files say which pictures are for what, that is followed as far as this allows. The same seed gives the same split.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from loralab.core.records import Example
from loralab.datasets.images.names import HELDOUT, LEARN, WATCH

ASIDE = "aside"
MIN_HELDOUT = 8
MIN_WATCHED = 4

Numbers = npt.NDArray[np.int64]
Strata = Counter[str]


@dataclass(frozen=True)
class Parts:
    """Examples in file order. `aside`: those to learn from or to watch of which the files have a copy, or more of the same patient, among
    those to test with; they are neither learned from nor tested with, so that the files' own test stays what it is.
    """

    learn: tuple[Example, ...]
    watch: tuple[Example, ...]
    heldout: tuple[Example, ...]
    aside: tuple[Example, ...] = ()


def divide(examples: Sequence[Example], sides: Sequence[str], groups: Numbers, share: float, seed: int) -> Parts:
    """The split. `sides`: what the files say of each; `groups`: a number for each, the same for what must not be parted.

    With a test side that is held out; with only a side to validate with that one is, and what is watched comes out of the rest. Where the
    files say nothing, `share` of all, at least 8 where half of them are as many, is held out, and as much of the rest, at most a quarter,
    is watched.
    """
    n = len(examples)
    strata = [stratum(example) for example in examples]
    said = _said(sides, groups)
    held, watched, aside = (np.array([side == which for side in said]) for which in (HELDOUT, WATCH, ASIDE))
    wanted = min(n // 2, max(MIN_HELDOUT, round(share * n)))
    if held.sum() < min(MIN_HELDOUT, wanted):
        held |= _drawn(strata, groups, ~held & ~watched & ~aside, wanted - int(held.sum()), seed)
    if watched.sum() < MIN_WATCHED:
        rest = ~held & ~watched & ~aside
        left = int(rest.sum())
        more = min(left // 4, max(MIN_HELDOUT, round(share * left))) - int(watched.sum())
        watched |= _drawn(strata, groups, rest, more, seed + 1)
    learn = ~held & ~watched & ~aside
    return Parts(*(tuple(e for e, here in zip(examples, part, strict=True) if here) for part in (learn, watched, held, aside)))


def stratum(example: Example) -> str:
    """What a picture is counted as, so that every side has some of each: its class, or the things in it."""
    if example.label is not None:
        return example.label
    regions = example.target.regions if example.target else ()
    return " ".join(sorted({region.label for region in regions}))


def _said(sides: Sequence[str], groups: Numbers) -> list[str]:
    """The side of each example as its files say; what belongs to one of a side that matters more is put aside. Empty where nothing is
    said, or where following it would leave too little to learn from.
    """
    known = list(sides)
    if HELDOUT not in known:
        known = [HELDOUT if side == WATCH else side for side in known]
    of_group: dict[int, str] = {}
    for side, group in zip(known, groups.tolist(), strict=True):
        of_group[group] = max(of_group.get(group, ""), side, key=("", LEARN, WATCH, HELDOUT).index)
    whole = [of_group[group] for group in groups.tolist()]
    followed = [ours if side in ("", ours) else ASIDE for side, ours in zip(known, whole, strict=True)]
    meant = sum(side in ("", LEARN) for side in known)
    left = sum(side in ("", LEARN) for side in followed)
    return followed if left >= MIN_HELDOUT and 2 * left >= meant else [""] * len(known)


def _drawn(strata: Sequence[str], groups: Numbers, free: npt.NDArray[np.bool_], wanted: int, seed: int) -> npt.NDArray[np.bool_]:
    """About `wanted` of the free examples, whole groups only, of each stratum its share; small groups are preferred to large ones."""
    chosen = np.zeros(len(groups), dtype=bool)
    if wanted <= 0:
        return chosen
    members: dict[int, list[int]] = {}
    for at in np.flatnonzero(free).tolist():
        members.setdefault(int(groups[at]), []).append(at)
    total = Counter(strata[at] for at in np.flatnonzero(free).tolist())
    need = {name: wanted * n / total.total() for name, n in total.items()}
    order = sorted(members)
    random.Random(seed).shuffle(order)
    order.sort(key=lambda group: len(members[group]) > max(1, wanted // 4))
    held = 0
    for late in (False, True):  # first what each stratum needs, then whatever fills up
        for group in order:
            inside = members[group]
            if chosen[inside[0]] or held + len(inside) > wanted:
                continue
            own = Counter(strata[at] for at in inside)
            useful = sum(min(n, max(0.0, need[name])) for name, n in own.items())
            if late or useful >= 0.5 * len(inside):
                chosen[inside] = True
                held += len(inside)
                for name, n in own.items():
                    need[name] -= n
    for group in sorted(order, key=lambda group: len(members[group])):  # where groups are large: rather a few more than too few
        inside = members[group]
        if held < min(MIN_HELDOUT, wanted) and not chosen[inside[0]] and held + len(inside) <= free.sum() // 2:
            chosen[inside] = True
            held += len(inside)
    return chosen
