"""Owns what a plan will need: memory, time and disk, before it starts, with the stage that the number comes from and its known error.

Invariants: the shown number is the middle one, the start is decided by a careful one; past runs on this computer correct both; what a
trace or a probe measured replaces the closed form part by part and nothing else changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from loralab.core.records import DatasetProfile, Footprint, Plan, Predicted
from loralab.core.words import about, count, size
from loralab.machine.hardware import Machine
from loralab.models.model_check import ModelCheck
from loralab.planning.calibration import ENOUGH, NOTHING, Experience, correction, error_words, key, margin, middle, usual_error
from loralab.planning.duration import basis, seconds, testing, tokens_per_second, total_steps
from loralab.planning.memory import Load, adapter_weights, host_bytes, load, parts, reserve, scattered
from loralab.tasks.text import TextPlan

__all__ = [
    "FITS",
    "HEADROOM",
    "Load",
    "adapter_weights",
    "beside",
    "device",
    "fits",
    "footprint",
    "load",
    "predicted",
    "seconds",
    "stage_words",
    "tokens_per_second",
    "total_steps",
    "verdict",
]

FITS = 0.97  # of the free memory, by the careful number: beyond it a run is not begun
HEADROOM = 0.92  # what the planner fills: other programs want something, too
MARGINS = {"closed form": 1.08, "trace": 1.06, "probe": 1.03}  # careful over shown, with too few runs; all 24 of benchmarks/fit
ERRORS = {"closed form": 15, "trace": 4, "probe": 3}  # per cent that each stage is usually within
ROUGH = 0.1  # a trace of a model so small that the allocator is left alone: within 10 % in four of four runs
_DISK = 5_000_000  # log, card, tokenizer


def device(machine: Machine) -> str:
    """What is computed on, as predictions are remembered by it."""
    return machine.gpus[0].name if machine.accelerator == "cuda" else machine.accelerator


def footprint(
    plan: TextPlan,
    model: ModelCheck,
    machine: Machine,
    profile: DatasetProfile | None = None,
    measured: dict[str, int] | None = None,
    stage: str = "closed form",
    past: Experience = NOTHING,
) -> Footprint:
    """What a plan will need on this machine, corrected by `past` runs. `measured`: parts in bytes that a trace or probe (`stage`) found."""
    free = machine.training_memory_free
    if model.shape is None:
        return Footprint(memory_bytes=0, free_bytes=free, stage="unknown", words="What it needs is known once the model is here.")
    found = dict(measured) if measured else parts(plan, model, machine, profile)
    found.setdefault("reserve", reserve(machine, sum(found.values())))
    where = device(machine)
    counted = _counted(found, machine)
    said = Predicted(
        key=key(where, model.architecture, plan),
        device=where,
        pace=basis(plan, machine, past),
        memory={stage: counted["memory"]},
        step={stage: counted["step"]},
        weights=counted["weights"],
        process=counted["process"],
        seconds=seconds(plan, model, machine, profile, past),
        disk=run_bytes(plan, model),
    )
    duration, off = _duration(said.seconds, beside(plan, model, machine, profile, past), past, f"{where} | {said.pace}", plan.base_model)
    takes = "" if duration is None else f"; takes {about(duration)}{f' ({off})' if off else ''}"
    step, process = past.memory.get(f"{stage} | {said.key}", ()), past.process.get(where, ())
    found = _corrected(found, counted, correction(step), correction(process))
    needed = sum(found.values())
    careful = _careful(counted, step, process, MARGINS.get(stage, MARGINS["closed form"]))
    fetch = model.entry.download_bytes if model.entry and not model.present else 0
    return Footprint(
        memory_bytes=needed,
        upper_bytes=careful,
        free_bytes=free,
        seconds=duration,
        disk_bytes=fetch + int(run_bytes(plan, model) * correction(past.disk)),
        disk_error=usual_error(past.disk),
        host_bytes=host_bytes(plan, model, machine, profile),
        parts=found,
        stage=stage,
        runs=_runs(step, process),
        error=_usual(counted, step, process, rough=stage == "trace" and scattered(model, machine)),
        predicted=said,
        words=f"needs about {size(needed)}, you have {size(free)} free: {verdict(needed, free, careful)}{takes}",
    )


def predicted(plan: Plan, model: ModelCheck, profile: Callable[[], DatasetProfile], machine: Machine, past: Experience) -> Predicted | None:
    """What the closed form says of a plan, uncorrected; None of a plan that it knows nothing about. Only then are its examples read."""
    return footprint(plan, model, machine, profile(), past=past).predicted if type(plan) is TextPlan else None


def _counted(found: dict[str, int], machine: Machine) -> dict[str, int]:
    """The same parts as past runs can tell them apart: the program, what is loaded before a step, and the step.

    On a card the program's share is no part of what is measured (torch's own count), so nothing is learned about it.
    """
    process = reserve(machine, 0)
    loaded = found["weights"] + found["adapter"] // 2  # the adapter's numbers; its gradients come with the step
    whole = sum(found.values())
    return {
        "memory": whole,
        "weights": loaded,
        "process": 0 if machine.accelerator == "cuda" else process,
        "step": whole - loaded - process,
    }


def _corrected(found: dict[str, int], counted: dict[str, int], step: float, process: float) -> dict[str, int]:
    """Each part times what past runs say about it; the weights are what they are."""
    half = found["adapter"] // 2
    moved = {name: value if name == "weights" else int(value * step) for name, value in found.items()}
    rest = found["reserve"] - counted["process"]
    return moved | {"adapter": half + int((found["adapter"] - half) * step), "reserve": int(counted["process"] * process + rest * step)}


def _careful(counted: dict[str, int], step: Sequence[float], process: Sequence[float], default: float) -> int:
    """What hardly any run like this goes beyond: a quantile of past runs, or the default where they are too few."""
    moving = counted["step"] * correction(step) * margin(step, default)
    program = counted["process"] * correction(process) * margin(process, default)
    fixed = counted["memory"] - counted["step"] - counted["process"]
    return int(moving + program + fixed * (default if margin(step, default) == default else 1.0))


def beside(plan: TextPlan, model: ModelCheck, machine: Machine, profile: DatasetProfile | None, past: Experience = NOTHING) -> float:
    """Seconds that start and verdict take beside the training: what past runs of this model took, otherwise modelled."""
    return middle(past.beside.get(plan.base_model, ()), testing(plan, model, machine, profile) or 0.0)


def _duration(training: float | None, rest: float, past: Experience, pace: str, model: str) -> tuple[float | None, str]:
    """Seconds from start to verdict, and how far that is usually off, in words."""
    if training is None:
        return None, ""
    ratios, measured = past.seconds.get(pace, ()), past.beside.get(model, ())
    own = training * correction(ratios)
    off, spread = usual_error(ratios), usual_error([value / rest for value in measured]) if rest else None
    known = off is not None and spread is not None
    return own + rest, error_words(((off or 0.0) * own + (spread or 0.0) * rest) / (own + rest)) if known else ""


def _runs(step: Sequence[float], process: Sequence[float]) -> int:
    """Runs that correct the number: those like this one, or all on this device where only the program's share is known."""
    return next((len(ratios) for ratios in (step, process) if len(ratios) >= ENOUGH), 0)


def _usual(counted: dict[str, int], step: Sequence[float], process: Sequence[float], *, rough: bool) -> float | None:
    """How far a corrected number is usually off, as a share of the whole; None where runs like this one have not told."""
    own, program = usual_error(step), usual_error(process)
    if own is None or (program is None and counted["process"]):
        return ROUGH if rough else None
    return (own * counted["step"] + (program or 0.0) * counted["process"]) / max(1, counted["memory"])


def run_bytes(plan: TextPlan, model: ModelCheck) -> int:
    """Disk a run fills: the adapter, the best so far, and checkpoints with the optimiser's two numbers a weight."""
    return adapter_weights(plan, model.shape) * 4 * 8 + _DISK if model.shape else _DISK


def fits(needs: Footprint, machine: Machine, share: float = FITS) -> bool:
    """Whether a run may begin, or with `share` HEADROOM, whether the planner would choose it; unknown models are taken to fit."""
    return needs.upper_bytes <= share * needs.free_bytes and needs.host_bytes <= HEADROOM * machine.memory_free


def verdict(needed: int, free: int, careful: int | None = None) -> str:
    """Comfortable, tight, or does not fit."""
    worst = careful if careful is not None else int(needed * MARGINS["closed form"])
    if worst > FITS * free:
        return "does not fit"
    return "comfortable" if worst <= HEADROOM * free else "tight"


def stage_words(needs: Footprint) -> str:
    """Where the number comes from and how far it is usually off."""
    if needs.stage == "unknown":
        return ""
    off = error_words(needs.error) or f"usually within {ERRORS.get(needs.stage, 15)} %"
    if needs.runs:
        return f"Corrected by {count(needs.runs, 'run')} measured on this computer; {off}."
    said = {
        "closed form": "Worked out from the model's measures",
        "trace": "Traced: one step was gone through without the weights",
        "probe": "Measured on this computer, with a real step",
    }
    return f"{said.get(needs.stage, needs.stage)}; {off}."


def disk_words(needs: Footprint) -> str:
    """What a run and, where it is not here, its model fill on the disk, and how far that is usually off."""
    off = error_words(needs.disk_error)
    return f"Fills about {size(needs.disk_bytes)} of disk{f' ({off})' if off else ''}." if needs.disk_bytes else ""
