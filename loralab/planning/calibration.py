"""Owns stage D of the fit: what past runs on this computer taught about predictions, and how it changes the next one.

Invariants: only what was foretold before any correction is held against what was measured, so corrections never feed on themselves; one
odd run cannot move an estimate, nor its margin, by more than CAP; a quantile is only spoken of when there are runs enough to have seen it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from pydantic import Field, ValidationError

from loralab.core.events import RunView
from loralab.core.records import Record
from loralab.tasks.text import TextPlan

CAP = 0.15  # most that past runs move an estimate
ENOUGH = 3  # runs before they move it at all
LAST = 60  # runs remembered for one setting; machines and programs change
TELLING = 10  # updates: a shorter run says little about its speed
USUALLY = 0.8  # share of runs that “usually” means
WILD = 0.5  # beyond this an error is no number to plan with
STAGES = {"closed form": "foretold", "trace": "traced"}  # stage -> how its columns begin
_MOVES_MEMORY = {"token_budget", "recompute", "offload", "precision", "attention", "optimizer", "micro_batch"}


class Experience(Record):
    """Measured over foretold of past runs, newest first, each under what it depends on."""

    memory: dict[str, tuple[float, ...]] = Field(default_factory=dict)  # “stage | key”: what a step takes
    process: dict[str, tuple[float, ...]] = Field(default_factory=dict)  # device: what the program itself takes
    seconds: dict[str, tuple[float, ...]] = Field(default_factory=dict)  # “device | pace”
    beside: dict[str, tuple[float, ...]] = Field(default_factory=dict)  # model -> seconds of start and judgement, beside the training
    disk: tuple[float, ...] = ()
    speeds: dict[str, tuple[float, ...]] = Field(default_factory=dict)  # “model mode” -> tokens per second


NOTHING = Experience()  # of a computer on which nothing ran


class Lesson(Record):
    """One run: what was foretold of it, uncorrected, and what was measured. Bytes and seconds; null where one of the two is not known."""

    setting: str = ""  # `key` of its memory
    device: str = ""
    pace: str = ""  # what its time was foretold from: measured | modelled
    mode: str = ""
    foretold_memory: int | None = None  # the whole, stage A
    traced_memory: int | None = None  # stage B
    probed_memory: int | None = None  # stage C
    peak_memory: int | None = None
    foretold_step: int | None = None  # what a step takes beside the program, the model and the adapter
    traced_step: int | None = None
    step_memory: int | None = None
    foretold_process: int | None = None  # the program without the model
    process_memory: int | None = None
    foretold_seconds: float | None = None
    measured_seconds: float | None = None
    beside_seconds: float | None = None  # loading before the first look, judging after the last
    foretold_disk: int | None = None
    measured_disk: int | None = None


def mode(plan: TextPlan) -> str:
    """A plan's way with memory in a few words: runs of one mode are off by about the same."""
    words = [plan.precision, plan.recompute]
    words += ["offload"] if plan.offload else []
    words += ["8-bit"] if plan.optimizer == "adamw_8bit" else []
    words += ["eager"] if plan.attention == "eager" else []
    words += ["dora"] if plan.use_dora else []
    words += [plan.engine] if plan.engine != "loralab" else []
    return " ".join(words)


def key(device: str, architecture: str, plan: TextPlan) -> str:
    """Under what a prediction of memory is remembered."""
    return f"{device} | {architecture} | {mode(plan)}"


# ---- from a run to a lesson ------------------------------------------------------------------------------------------------


def lesson(plan: dict[str, Any], predicted: Any, view: RunView, disk_bytes: int) -> Lesson:
    """What one run teaches. `predicted` lies in its job as Lab.start wrote it; a file that somebody changed teaches nothing."""
    try:
        found: dict[str, Any] = {"mode": mode(TextPlan.model_validate(plan))}
    except ValidationError:
        return Lesson()
    try:
        if isinstance(predicted, dict):
            found |= _foretold(predicted) | _measured(predicted, view, disk_bytes)
        return Lesson.model_validate(found)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError):  # ValidationError is a ValueError
        return Lesson(mode=found["mode"])


def _foretold(said: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"setting": said["key"], "device": said["device"], "pace": said["pace"], "foretold_process": said["process"]}
    for stage, begins in STAGES.items():
        if stage in said["memory"]:
            found |= {f"{begins}_memory": said["memory"][stage], f"{begins}_step": said["step"][stage]}
    return found | {"foretold_seconds": said["seconds"], "foretold_disk": said["disk"]}


def _measured(said: dict[str, Any], view: RunView, disk_bytes: int) -> dict[str, Any]:
    """What a finished run was, as far as it can be held against its prediction: a plan that changed on the way is another plan."""
    result = view.ending.result if view.ending else {}
    found: dict[str, Any] = {"peak_memory": int(result.get("peak_memory_bytes") or 0) or None}
    probed = [note.data["bytes"] for note in view.notes if note.data.get("stage") == "probe" and "bytes" in note.data]
    found |= {"probed_memory": int(probed[0])} if probed else {}
    if view.state != "finished":
        return found
    found["measured_disk"] = disk_bytes
    if any(change.setting in _MOVES_MEMORY for change in view.adjustments):
        return found
    loaded, weights = int(result.get("loaded_memory_bytes") or 0), int(said["weights"])
    if loaded and found["peak_memory"]:
        found["step_memory"] = max(1, found["peak_memory"] - loaded)
        if said["process"]:
            found["process_memory"] = max(1, loaded - weights)
    if view.step >= TELLING and result.get("seconds"):
        found["measured_seconds"] = float(result["seconds"]) * max(1.0, view.total_steps / view.step)  # it may have ended early
    if result.get("seconds") and not any(note.text.startswith("Went on from update") for note in view.notes):
        found["beside_seconds"] = max(0.0, view.ended - view.started - float(result["seconds"]))
    return found


def folder_bytes(folder: Path) -> int:
    """Bytes of all files under a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def gather(rows: Iterable[dict[str, Any]]) -> Experience:
    """Experience from lessons as rows of the index, newest first; `model` and `tokens_per_second` are in each row, too."""
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


# ---- from lessons to the next estimate -------------------------------------------------------------------------------------


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
