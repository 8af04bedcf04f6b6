"""Owns what a plan will need: memory, time and disk, before it starts, with the stage that the number comes from and its known error.

Invariants: the shown number is the middle one, the start is decided by a careful one; past runs on this computer correct both; what a
trace or a probe measured replaces the closed form part by part and nothing else changes.
"""

from __future__ import annotations

from loralab.experience import ENOUGH, Experience, correction, key, margin, usual_error
from loralab.hardware import Machine
from loralab.memory_modes import Load, adapter_weights, host_bytes, load, parts, reserve
from loralab.model_check import ModelCheck
from loralab.pace import duration_words, seconds, tokens_per_second, total_steps
from loralab.records import DatasetProfile, Footprint
from loralab.tasks.text import TextPlan

__all__ = [
    "FITS", "HEADROOM", "Load", "adapter_weights", "device", "duration_words", "fits", "footprint", "load", "seconds", "stage_words",
    "tokens_per_second", "total_steps", "verdict",
]  # fmt: skip

FITS = 0.97  # of the free memory, by the careful number: beyond it a run is not begun
HEADROOM = 0.92  # what the planner fills: other programs want something, too
MARGINS = {"closed form": 1.08, "trace": 1.04, "probe": 1.03}  # careful over shown while there are too few runs to know
ERRORS = {"closed form": 15, "trace": 4, "probe": 3}  # per cent that each stage is usually within
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
) -> Footprint:
    """What a plan will need on this machine. `measured` are parts that a trace or probe (`stage`) found, in bytes."""
    free = machine.training_memory_free
    if model.shape is None:
        return Footprint(memory_bytes=0, free_bytes=free, stage="unknown", words="What it needs is known once the model is here.")
    found = dict(measured) if measured else parts(plan, model, machine, profile)
    if "reserve" not in found:
        found["reserve"] = reserve(machine, sum(found.values()))
    past = machine.speed.past
    ratios = past.memory.get(key(device(machine), model.architecture, plan), ()) if stage == "closed form" else ()
    found = {name: int(value * correction(ratios)) for name, value in found.items()}
    needed = sum(found.values())
    careful = int(needed * margin(ratios, MARGINS.get(stage, MARGINS["closed form"])))
    fetch = model.entry.download_bytes if model.entry and not model.present else 0
    duration = seconds(plan, model, machine, profile)
    words = f"needs about {_gigabytes(needed)}, you have {_gigabytes(free)} free: {verdict(needed, free, careful)}"
    if duration is not None:
        words += f"; takes {duration_words(duration)}{_time_error(past, device(machine))}"
    return Footprint(
        memory_bytes=needed, careful_bytes=careful, free_bytes=free, seconds=duration, disk_bytes=fetch + run_bytes(plan, model),
        host_bytes=host_bytes(plan, model, machine, profile), parts=found, stage=stage, runs=len(ratios) if len(ratios) >= ENOUGH else 0,
        words=words,
    )  # fmt: skip


def run_bytes(plan: TextPlan, model: ModelCheck) -> int:
    """Disk a run fills: the adapter, the best so far, and checkpoints with the optimiser's two numbers a weight."""
    return adapter_weights(plan, model.shape) * 4 * 8 + _DISK if model.shape else _DISK


def fits(needs: Footprint, machine: Machine, share: float = FITS) -> bool:
    """Whether a run may begin, or with `share` HEADROOM, whether the planner would choose it; unknown models are taken to fit."""
    return needs.careful_bytes <= share * needs.free_bytes and needs.host_bytes <= HEADROOM * machine.memory_free


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
    if needs.runs:
        return f"Corrected by {needs.runs} runs like this, measured on this computer."
    said = {
        "closed form": "Worked out from the model's measures",
        "trace": "Traced: one step was gone through without the weights",
        "probe": "Measured on this computer, with a real step",
    }
    return f"{said.get(needs.stage, needs.stage)}; usually within {ERRORS.get(needs.stage, 15)} %."


def _time_error(past: Experience, where: str) -> str:
    off = usual_error(past.seconds.get(where, ()))
    return "" if off is None else f" (usually within {max(5, round(100 * off / 5) * 5)} %)"


def _gigabytes(n: int) -> str:
    return f"{n / 1e9:.1f} GB"
