"""Owns stage D of the fit: what past runs on this computer taught about predictions, and how it changes the next one.

Invariants: only what was foretold before any correction is held against what was measured, so corrections never feed on themselves; one
odd run cannot move an estimate, nor its margin, by more than CAP; a quantile is only spoken of when there are runs enough to have seen it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from statistics import median
from typing import Any

from pydantic import Field

from loralab.core.records import SQUEEZED, Record
from loralab.tasks.text import TextPlan

CAP = 0.15  # most that past runs move an estimate
ENOUGH = 3  # runs before they move it at all
LAST = 60  # runs remembered for one setting; machines and programs change
TELLING = 10  # updates: a shorter run says little about its speed
USUALLY = 0.8  # share of runs that “usually” means
WILD = 0.5  # beyond this an error is no number to plan with
STAGES = {"closed form": "foretold", "trace": "traced"}  # stage -> how its columns begin


class Experience(Record):
    """Measured over foretold of past runs, newest first, each under what it depends on."""

    memory: dict[str, tuple[float, ...]] = Field(default_factory=dict)  # “stage | key”: what a step takes
    process: dict[str, tuple[float, ...]] = Field(default_factory=dict)  # device: what the program itself takes
    seconds: dict[str, tuple[float, ...]] = Field(default_factory=dict)  # “device | pace”
    beside: dict[str, tuple[float, ...]] = Field(default_factory=dict)  # model -> seconds of start and judgement, beside the training
    disk: tuple[float, ...] = ()
    speeds: dict[str, tuple[float, ...]] = Field(default_factory=dict)  # “model mode” -> tokens per second


NOTHING = Experience()  # of a computer on which nothing ran


def mode(plan: TextPlan) -> str:
    """A plan's way with memory in a few words: runs of one mode are off by about the same."""
    words = [plan.precision, plan.recompute]
    words += ["offload"] if plan.offload else []
    words += ["8-bit"] if plan.small_notes else []
    words += [f"in {plan.compute}"] if plan.precision in SQUEEZED and plan.compute != "bf16" else []  # runs from before were in bf16
    words += ["eager"] if plan.attention == "eager" else []
    words += [plan.adapter] if plan.adapter != "lora" else []
    words += [plan.engine] if plan.engine != "loralab" else []
    return " ".join(words)


def key(device: str, architecture: str, plan: TextPlan) -> str:
    """Under what a prediction of memory is remembered."""
    return f"{device} | {architecture} | {mode(plan)}"


# ---- from what runs measured to what is known ----------------------------------------------------------------------------------


def gather(rows: Iterable[dict[str, Any]]) -> Experience:
    """Experience from what finished runs measured, newest first, as History.measured gives it."""
    found: dict[str, dict[str, list[float]]] = {name: {} for name in ("memory", "process", "seconds", "beside", "disk", "speeds")}

    def remember(kind: str, name: str, measured: float | None, foretold: float | None) -> None:
        if name and measured and foretold:
            kept = found[kind].setdefault(name, [])
            if len(kept) < LAST:
                kept.append(measured / foretold)

    for row in rows:
        for stage, begins in STAGES.items():
            remember("memory", f"{stage} | {row['setting']}" if row["setting"] else "", row["step_memory"], row[f"{begins}_step"])
        remember("process", row["device"], row["process_memory"], row["foretold_process"])
        remember("seconds", f"{row['device']} | {row['pace']}" if row["pace"] else "", row["measured_seconds"], row["foretold_seconds"])
        remember("beside", row["model"], row["beside_seconds"], 1.0)
        remember("disk", "disk", row["measured_disk"], row["foretold_disk"])
        if row["mode"] and row["steps"] >= TELLING:
            remember("speeds", f"{row['model']} {row['mode']}", row["tokens_per_second"], 1.0)
    return Experience.model_validate(found | {"disk": found["disk"].get("disk", ())})


# ---- from what is known to the next estimate -------------------------------------------------------------------------------------


def correction(ratios: Sequence[float]) -> float:
    """Factor on the next estimate: the middle of what was measured over what was foreseen, at most CAP away from one."""
    if len(ratios) < ENOUGH:
        return 1.0
    return min(1 + CAP, max(1 - CAP, median(ratios)))


def margin(ratios: Sequence[float], default: float) -> float:
    """Factor from the shown (middle) estimate to the one that decides whether to start: 95 % of runs stayed below it.

    With n runs, the k-th smallest bounds the next one with chance k / (n + 1): 95 % take 19 runs, 90 % take 9; before, `default`.
    Never more than CAP above `default`: the largest of few runs may be one odd run.
    """
    share = 0.95 if len(ratios) >= 19 else 0.9 if len(ratios) >= 9 else 0.0
    if not share:
        return default
    at = math.ceil(share * (len(ratios) + 1) - 1e-9)
    return min(default * (1 + CAP), max(1.0, sorted(ratios)[at - 1] / correction(ratios)))


def middle(values: Sequence[float], default: float) -> float:
    """The median, where there are values enough."""
    return median(values[:LAST]) if len(values) >= ENOUGH else default


def usual_error(ratios: Sequence[float]) -> float | None:
    """By how much corrected predictions are usually off, as a share; None before there are runs enough."""
    if len(ratios) < ENOUGH:
        return None
    off = sorted(abs(ratio / correction(ratios) - 1) for ratio in ratios)
    return off[min(len(off), math.ceil(USUALLY * len(off))) - 1]


def error_words(off: float | None) -> str:
    """An error in words, in steps of five per cent; empty where it is not known."""
    if off is None:
        return ""
    return "a rough guess" if off > WILD else f"usually within {max(5, math.ceil(round(20 * off, 6)) * 5)} %"
