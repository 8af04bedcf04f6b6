"""Owns the questions an export of a model for pictures is asked, one check each, and how near answers have to be.

Invariants: a program and torch have the same numbers, so what is left between them is the order of sums; a check that could not be made is
never counted as passed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from loralab.core.parity import Check
from loralab.core.words import count
from loralab.exports.parity.rounding import Off
from loralab.exports.parity.tally import Tally
from loralab.exports.pictures.reference import Said, Wanted, answer
from loralab.exports.pictures.smaller import LEVELS, rounded

PROBABILITY = 1e-3  # of probabilities: what program and torch may differ by; measured were 3e-6
SIDES = 1e-3  # of a side's own length
NOTHING = 1e-6  # of a probability: an adapter that moves none by more than this does nothing
STEP_TIE = 5e-4  # of a step: how far a stored number may be from the nearest one, by the order in which a product is rounded
CHANCE = 0.02  # of probabilities of a picture's file: pixels may differ by a grey level where a picture is made smaller
MASKED = 0.995  # share of a picture's pixels that are marked alike
OVERLAP = 0.8  # common area of two boxes that are the same
Array = npt.NDArray[np.float32]


def works(wanted: Wanted) -> Check:
    """What the adapter does. It decides nothing: where it adds nothing the best of a run may be its quick look."""
    pairs = zip(wanted.said.outputs[:1], wanted.bare.outputs[:1], strict=True)
    moved = max(float(np.abs(now - before).max()) for now, before in pairs)
    ok = moved > NOTHING
    words = f"what was learned after the quick look moves its probabilities by up to {moved:.2g}"
    words = words if ok else "what was learned after the quick look changes nothing of what it says"
    return Check(name="adapter", ok=ok, words=words, numbers={"adapter_effect": moved}, told_only=True)


def weights(wanted: Wanted, stored: Mapping[str, Any]) -> tuple[Check, dict[str, Array]]:
    """A file's numbers against the trained ones, and those numbers in fp32. `stored`: name -> the numbers, or whole ones with scales."""
    tally, plain = Tally(wanted.needed, frozenset(wanted.weights) - wanted.needed), dict[str, Array]()
    for name, held in stored.items():
        tally.seen.add(name)
        right = wanted.weights.get(name)
        if right is None:
            continue
        values = _plain(held)
        if values.shape != right.shape:
            tally.fault(name, f"it has the shape {values.shape} instead of {right.shape}")
            continue
        plain[name] = values
        tally.add(name, _whole(held, right) if isinstance(held, tuple) else _exact(held, right))
    return tally.check(wanted.strength(plain)), plain


def _plain(held: Any) -> Array:
    if not isinstance(held, tuple):
        return held.astype(np.float32)
    whole, scale = held
    return (whole.astype(np.float32) * scale.reshape(-1, *[1] * (whole.ndim - 1))).astype(np.float32)


def _exact(held: Any, right: Array) -> Off:
    if held.dtype != np.float32:
        return Off(1.0, float("inf"), held.size)
    wrong = int((held != right).sum())
    return Off(wrong / right.size, float("inf") if wrong else 0.0, wrong)


def _whole(held: tuple[Any, Array], right: Array) -> Off:
    """Eight bits: each number the nearest that its scale can express, and no scale wider than its channel calls for."""
    whole, scale = held
    best = rounded(right)[1]
    if scale.shape != best.shape or str(whole.dtype) != "int8":
        return Off(1.0, float("inf"), right.size)
    steps = right.reshape(len(right), -1) / scale[:, None]
    far = np.abs(whole.reshape(len(right), -1) - np.clip(steps, -LEVELS, LEVELS))
    wrong = int((~(far <= 0.5 + STEP_TIE)).sum())
    wide = int((~(np.abs(scale - best) <= 1e-5 * best)).sum())
    return Off(wrong / right.size, 1.0 if wrong else 0.0, wrong) | (Off(0.0, float("inf"), wide) if wide else Off())


def outputs(wanted: Wanted, own: Said, there: Sequence[Array]) -> Check:
    """What the program says of the held-out pictures against what torch says with the same numbers."""
    shapes = [one.shape for one in own.outputs], [one.shape for one in there]
    n = len(wanted.held.pixels)
    if shapes[0] != shapes[1]:
        words = f"its program tells {shapes[1]} where {shapes[0]} belongs"
        return Check(name="outputs", ok=False, words=words, numbers={"pictures_compared": n})
    if wanted.card.own_head and wanted.card.task == "detect":
        return _queries(own, there, n)
    gap = _peaks(own.heat, own.outputs[0], there[0]) if own.heat is not None else np.abs(own.outputs[0] - there[0])
    numbers: dict[str, Any] = {"pictures_compared": n, "max_probability_difference": _most(gap)}
    bound: dict[str, float | None] = {"probability": PROBABILITY}
    ok = numbers["max_probability_difference"] <= PROBABILITY
    words = f"on {count(n, 'picture')} its program's probabilities are off by up to {_most(gap):.2g}"
    if len(there) > 1:
        far = _most(np.abs(own.outputs[1] - there[1]) / own.outputs[1])
        numbers["max_side_difference"], bound["share of a side"] = far, SIDES
        ok = ok and far <= SIDES
        words += f", the sides of its boxes by up to {far:.2g} of their length"
    return Check(name="outputs", ok=bool(ok), words=words, numbers=numbers, bound=bound)


def _queries(own: Said, there: Sequence[Array], n: int) -> Check:
    """Of a network that answers by queries, whose order is not part of the answer: each of ours against the nearest of theirs."""
    worst = [0.0, 0.0]
    for scores, boxes, scores_there, boxes_there in zip(*own.outputs, *there, strict=True):
        gaps = np.abs(scores[:, None] - scores_there[None]).max(-1)
        far = (np.abs(boxes[:, None] - boxes_there[None]) / np.maximum(np.abs(boxes[:, None]), 1.0)).max(-1)
        at = np.nan_to_num(np.maximum(gaps / PROBABILITY, far / SIDES), nan=np.inf).argmin(1)
        rows = np.arange(len(at))
        worst = [max(worst[0], _most(gaps[rows, at])), max(worst[1], _most(far[rows, at]))]
    numbers = {"pictures_compared": n, "max_probability_difference": worst[0], "max_side_difference": worst[1]}
    words = f"on {count(n, 'picture')} its program's scores are off by up to {worst[0]:.2g}, its boxes by up to {worst[1]:.2g} of a side"
    bound: dict[str, float | None] = {"probability": PROBABILITY, "share of a side": SIDES}
    ok = worst[0] <= PROBABILITY and worst[1] <= SIDES
    return Check(name="outputs", ok=ok, words=words, numbers=numbers, bound=bound)


def _most(gap: Any) -> float:
    """The largest; not a number: infinity."""
    return float(np.nan_to_num(gap, nan=np.inf).max())


def _peaks(heat: Array, ours: Array, theirs: Array) -> Array:
    """Where two spots side by side are as likely as each other, either may be the peak: then it counts how far apart those two are."""
    padded = np.pad(heat, ((0, 0), (0, 0), (1, 1), (1, 1)), constant_values=-np.inf)
    height, width = heat.shape[2:]
    around = [padded[:, :, i : i + height, j : j + width] for i in range(3) for j in range(3) if (i, j) != (1, 1)]
    tie = np.abs(heat - np.max(around, axis=0))
    one_only = (ours == 0) != (theirs == 0)
    return np.where(one_only, np.minimum(tie, np.abs(ours - theirs)), np.abs(ours - theirs))


def program(wanted: Wanted, own: Said, there: Sequence[dict[str, Any]]) -> Check:
    """What the folder's own program says of the files of held-out pictures, from opening them to the answer."""
    ours = [answer(wanted.card, own, i, place) for i, place in enumerate(wanted.held.places)]
    differ = [
        file.name
        for file, one, other in zip(wanted.held.files, ours, there, strict=True)
        if not alike(one, other, wanted.card.threshold, CHANCE)
    ]
    words = f"predict.py says of {len(ours) - len(differ)} of {count(len(ours), 'picture')} what LoRALab says of them"
    numbers: dict[str, Any] = {"answers_asked_of_files": len(ours), "answers_differ": differ}
    return Check(name="program", ok=not differ, words=words, numbers=numbers, bound={"differ at most": 0})


def alike(one: dict[str, Any], other: dict[str, Any], threshold: float, chance: float) -> bool:
    """Whether two answers to a picture are the same but for rounding."""
    if "probabilities" in one:
        left, right = one["probabilities"], other.get("probabilities", {})
        return left.keys() == right.keys() and all(abs(value - right[label]) <= chance for label, value in left.items())
    if "mask" in one:
        return one["mask"].shape == other["mask"].shape and float((one["mask"] == other["mask"]).mean()) >= MASKED
    return _all_in(one["things"], other["things"], threshold, chance) and _all_in(other["things"], one["things"], threshold, chance)


def _all_in(things: list[dict[str, Any]], others: list[dict[str, Any]], threshold: float, chance: float) -> bool:
    """Whether each thing that is not at the very edge of being shown is among the others."""
    return all(any(_same(thing, other, chance) for other in others) for thing in things if thing["score"] > threshold + chance)


def _same(thing: dict[str, Any], other: dict[str, Any], chance: float) -> bool:
    return thing["label"] == other["label"] and abs(thing["score"] - other["score"]) <= chance and overlap(thing, other) >= OVERLAP


def overlap(thing: dict[str, Any], other: dict[str, Any]) -> float:
    """Intersection over union of two boxes."""
    a, b = np.array(thing["box"]), np.array(other["box"])
    common = (np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])).clip(0).prod()
    return float(common / max((a[2:] - a[:2]).prod() + (b[2:] - b[:2]).prod() - common, 1e-9))


def cost(wanted: Wanted, own: Said) -> Check | None:
    """What rounding cost: answers before and after, both in torch. None without a picture to tell it on."""
    if not wanted.held.places:
        return None
    every = range(len(wanted.held.places))
    pairs = [tuple(answer(wanted.card, one, i, wanted.held.places[i]) for one in (wanted.said, own)) for i in every]
    words, numbers = _lost(pairs)
    moved = _most(np.abs(own.outputs[0] - wanted.said.outputs[0])) if own.heat is None else None
    numbers |= {"rounding_moves": moved} if moved is not None else {}
    return Check(name="rounding", ok=True, words=f"rounding its numbers left {words}", numbers=numbers, told_only=True)


def _lost(pairs: Sequence[tuple[dict[str, Any], ...]]) -> tuple[str, dict[str, Any]]:
    first = pairs[0][0]
    if "probabilities" in first:
        same = sum(one["label"] == other["label"] for one, other in pairs)
        return f"{same} of {count(len(pairs), 'answer')} as they were", {"answers_alike": same, "answers_asked": len(pairs)}
    if "mask" in first:
        dice = float(np.mean([_dice(one["mask"], other["mask"]) for one, other in pairs]))
        return f"what is marked {dice:.1%} as it was", {"masks_alike": dice, "answers_asked": len(pairs)}
    things = [(thing, other["things"]) for one, other in pairs for thing in one["things"]]
    kept = sum(any(thing["label"] == near["label"] and overlap(thing, near) >= 0.5 for near in others) for thing, others in things)
    more = sum(len(other["things"]) for _, other in pairs)
    words = f"{kept} of {count(len(things), 'thing')} where they were; it finds {more:,} now"
    return words, {"things_alike": kept, "things_asked": len(things), "things_now": more}


def _dice(one: Array, other: Array) -> float:
    """Of what both mark; two empty masks are the same."""
    area = (one > 0).sum() + (other > 0).sum()
    return float(2 * ((one == other) & (one > 0)).sum() / area) if area else 1.0
