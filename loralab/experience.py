"""Owns stage D of the fit: what past runs on this computer taught about predictions, and how it changes the next one.

Invariants: one odd run cannot move an estimate by more than CAP; a quantile is only spoken of when there are runs enough to have seen it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import median

from pydantic import Field

from loralab.records import Record
from loralab.tasks.text import TextPlan

CAP = 0.15  # most that past runs move an estimate
ENOUGH = 3  # runs before they move it at all
LAST = 60  # runs remembered for one setting; machines and programs change
USUALLY = 0.8  # share of runs that “usually” means


class Experience(Record):
    """Measured over predicted of past runs, newest first. Memory goes by `key`, seconds by device."""

    memory: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    seconds: dict[str, tuple[float, ...]] = Field(default_factory=dict)
    disk: tuple[float, ...] = ()
    speeds: dict[str, float] = Field(default_factory=dict)  # “model mode” -> tokens per second
    fixed: dict[str, float] = Field(default_factory=dict)  # model -> seconds each micro-batch costs beside its tokens


def mode(plan: TextPlan) -> str:
    """A plan's way with memory in a few words: runs of one mode are off by about the same."""
    words = [plan.precision, plan.recompute]
    words += ["offload"] if plan.offload else []
    words += ["8-bit"] if plan.optimizer == "adamw_8bit" else []
    words += ["eager"] if plan.attention == "eager" else []
    return " ".join(words)


def key(device: str, architecture: str, plan: TextPlan) -> str:
    """Under what a prediction of memory is remembered."""
    return f"{device} | {architecture} | {mode(plan)}"


def correction(ratios: Sequence[float]) -> float:
    """Factor on the next estimate: the middle of what was measured over what was foreseen, at most CAP away from one."""
    if len(ratios) < ENOUGH:
        return 1.0
    return min(1 + CAP, max(1 - CAP, median(ratios)))


def margin(ratios: Sequence[float], default: float) -> float:
    """Factor from the shown (middle) estimate to the one that decides whether to start: 95 % of runs stayed below it.

    With n runs, the k-th smallest bounds the next one with chance k / (n + 1): 95 % take 19 runs, 90 % take 9; before, `default`.
    """
    share = 0.95 if len(ratios) >= 19 else 0.9 if len(ratios) >= 9 else 0.0
    if not share:
        return default
    at = math.ceil(share * (len(ratios) + 1) - 1e-9)
    return max(1.0, sorted(ratios)[at - 1] / correction(ratios))


def usual_error(ratios: Sequence[float]) -> float | None:
    """By how much predictions are usually off, as a share; None before there are runs enough."""
    if len(ratios) < ENOUGH:
        return None
    off = sorted(abs(ratio - 1) for ratio in ratios)
    return off[min(len(off), math.ceil(USUALLY * len(off))) - 1]
