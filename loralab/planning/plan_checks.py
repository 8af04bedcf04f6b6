"""Owns what would make a text plan fail, teach nothing or not fit: known before it starts, each with what to do.

Invariant: nothing here changes a plan. An error stops the start; a warning is shown and the person decides.
"""

from __future__ import annotations

import re
from typing import Any

from loralab.core.errors import Problem
from loralab.core.records import DatasetProfile, Footprint, Plan
from loralab.core.words import about, size
from loralab.machine.hardware import Machine
from loralab.models.model_check import ModelCheck
from loralab.planning import estimate
from loralab.planning.memory import load, rows_at_once
from loralab.tasks.text import TextPlan

_TARGETS = ("all-linear", "attention", "mlp")


def check_text(plan: Plan, profile: DatasetProfile | None) -> list[Problem]:
    """What the plan and the data say about each other; without a profile only what the plan says alone."""
    if not isinstance(plan, TextPlan):
        raise TypeError(f"a text plan was expected, not {type(plan).__name__}")
    found = _plan_alone(plan)
    if profile is not None:
        found += _data(plan, profile)
    return found


def _plan_alone(plan: TextPlan) -> list[Problem]:
    found: list[Problem] = []
    if plan.targets not in _TARGETS and not re.fullmatch(r"[A-Za-z0-9_.]+(\s*,\s*[A-Za-z0-9_.]+)*", plan.targets.strip()):
        todo = "Write all-linear, attention, mlp, or names of parts separated by commas."
        found.append(_error("bad_targets", f"“{plan.targets}” does not name parts of a model.", todo))
    if plan.learning_rate > 1e-2:
        found.append(
            _warning("rate_high", f"A learning rate of {plan.learning_rate:g} usually makes a model babble.", "Try 0.0002 to 0.002.")
        )
    if plan.micro_batch > plan.effective_batch:
        what = f"{plan.micro_batch} examples at once are more than the {plan.effective_batch} behind one update."
        found.append(_warning("micro_over_effective", what, "Only as many as the update needs are computed at once."))
    if plan.engine == "trl" and plan.use_dora and plan.precision == "nf4":
        found.append(_warning("slow_mix", "DoRA with 4-bit weights is several times slower.", "Switch DoRA off, or use bf16."))
    return found


def _data(plan: TextPlan, profile: DatasetProfile) -> list[Problem]:
    found: list[Problem] = []
    tokens, n = profile.tokens, profile.n_kept
    if n < 9:  # eight are held out and one must be left to learn from
        found.append(
            _error("too_few_examples", f"There are {n} usable examples.", "At least 9 are needed, and 50 or more to learn something.")
        )
    elif n < 50:
        found.append(_warning("few_examples", f"{n} examples are few: it will pick up the tone, hardly any facts.", "Add more if you can."))
    if not profile.certain:
        found.append(
            _warning("roles_unclear", "It is not certain which column is the question and which the answer.", "Look at the preview.")
        )
    if plan.learn_from == "replies" and profile.shape == "text":
        found.append(_error("no_replies", "Plain text has no replies to learn from.", "Choose “everything” under “Learn from”."))
    if tokens.get("p50", 0) > plan.max_length:
        what = f"More than half of the examples are longer than {plan.max_length} tokens and lose their end."
        found.append(_warning("mostly_cut", what, "Raise “Longest example”, or split the examples."))
    if plan.epochs > 20 and n < 1000:
        found.append(_warning("by_heart", f"{plan.epochs:g} rounds over {n} examples teach them by heart.", "3 to 10 rounds are usual."))
    if n >= 9 and estimate.total_steps(plan, profile) < 20:
        steps = estimate.total_steps(plan, profile)
        found.append(
            _warning("few_updates", f"{steps} corrections hardly change a model.", "Use more rounds or fewer examples per update.")
        )
    return found


def machine_problems(plan: TextPlan, machine: Machine, needs: Footprint) -> list[Problem]:
    """What this computer says about a plan, memory aside."""
    found: list[Problem] = []
    if plan.precision == "nf4" and machine.accelerator != "cuda":
        found.append(_error("nf4_needs_card", "4-bit training needs an NVIDIA graphics card.", "Choose bf16 or fp32."))
    elif plan.precision == "nf4" and not machine.has("bitsandbytes"):
        found.append(_error("nf4_needs_bitsandbytes", "4-bit training needs the package bitsandbytes.", "Run: pip install bitsandbytes"))
    if plan.precision == "fp16" and machine.accelerator == "cpu":
        found.append(_warning("fp16_on_cpu", "fp16 is slow and fragile on a processor.", "Choose fp32 or bf16."))
    if machine.gpus and not machine.torch_cuda:
        what = f"The {machine.gpus[0].name} is not used: the installed torch is for the processor only."
        found.append(
            _warning("torch_without_cuda", what, "Delete the .venv folder and start launch.py again: it fetches the build for your card.")
        )
    if machine.accelerator == "cuda" and machine.gpus[0].processes:
        first, others = machine.gpus[0].holders[0], machine.gpus[0].processes - 1
        amount = f" ({first.bytes / 1e9:.1f} GB)" if first.bytes else ""
        more = f" and {others} more" if others else ""
        what = f"Memory on the graphics card is held by {'LoRALab itself' if first.ours else first.name}{amount}{more}."
        found.append(_warning("card_shared", what, "Close what you do not need."))
    if needs.disk_bytes > machine.disk_free:
        what = f"It needs {needs.disk_bytes / 1e9:.1f} GB of disk and {machine.disk_free / 1e9:.1f} GB are free."
        found.append(_error("disk_full", what, "Free some space, or choose another workspace with --home."))
    if needs.seconds and needs.seconds > 6 * 3600:
        what = f"This takes {about(needs.seconds)} on this computer."
        found.append(_warning("takes_long", what, "Choose a smaller model, fewer examples or fewer rounds."))
    return found


def does_not_fit(plan: TextPlan, model: ModelCheck, needs: Footprint, alternatives: list[str]) -> Problem:
    """The error of a plan that needs more memory than there is, with the nearest plans that fit in words."""
    what = f"{model.name} with these settings needs about {size(needs.memory_bytes)} and {size(needs.free_bytes)} are free."
    if needs.upper_bytes > needs.memory_bytes and needs.memory_bytes <= needs.free_bytes:
        what += f" It may need {size(needs.upper_bytes)} at times, which is too close."
    if plan.offload and needs.host_bytes:
        what += f" Beside the card, {needs.host_bytes / 1e9:.1f} GB of main memory are filled."
    if not alternatives:
        return _error("does_not_fit", what, "Close other programs, or train on a computer with more memory.")
    return _error("does_not_fit", what, f"These fit: {'; or '.join(alternatives)}.")


def mode_reason(plan: TextPlan, name: str, value: Any, profile: DatasetProfile | None, *, fits: bool) -> str:
    """Why a setting of the memory mode has its value, in plain words."""
    if name == "token_budget":
        row = load(plan, profile).row
        rows = rows_at_once(plan.model_copy(update={"token_budget": int(value)}), row)
        many = f"{rows} of the longest examples" if rows > 1 else "one of the longest examples"
        return f"That is {many} at once: more would take memory and hardly be faster." if fits else "One example at a time: the least."
    reasons: dict[tuple[str, Any], str] = {
        ("recompute", "none"): "There is memory enough to keep every result for the way back, which is the fastest.",
        ("recompute", "selective"): "Cheap results are computed twice instead of kept: a little slower, and it fits.",
        ("recompute", "full"): "Results are computed twice instead of kept: about a half slower, and it needs the least memory.",
        ("offload", True): "What the way back needs waits in main memory, because the graphics card is too small for it.",
        ("offload", False): "Nothing has to be moved out of the way.",
        ("optimizer", "adamw"): "The exact optimiser; its notes fit.",
        ("optimizer", "adamw_8bit"): "Its notes take a quarter of the memory, which is what was still missing.",
        ("precision", "nf4"): "The model only fits on your graphics card with four bits a number.",
        ("precision", "bf16"): "Half-precision numbers take half the memory.",
        ("precision", "fp32"): "Exact numbers fit in memory.",
        ("precision", "fp16"): "Half-precision numbers take half the memory.",
    }
    return reasons.get((name, value), "The way to use memory that fits.")


def _error(code: str, what: str, todo: str) -> Problem:
    return Problem(code=code, what=what, todo=todo)


def _warning(code: str, what: str, todo: str) -> Problem:
    return Problem(code=code, what=what, todo=todo, severity="warning")
