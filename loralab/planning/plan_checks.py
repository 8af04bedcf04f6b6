"""Owns what would make a text plan fail, teach nothing or not fit: known before it starts, each with what to do.

Invariant: nothing here changes a plan. An error stops the start; a warning is shown and the person decides.
"""

from __future__ import annotations

import re
from typing import Any

from loralab.core.errors import Problem
from loralab.core.parts import part_of
from loralab.core.records import SQUEEZED, DatasetProfile, Footprint, Plan
from loralab.core.words import about, count, plural, size
from loralab.datasets.dataset import MIN_EXAMPLES
from loralab.datasets.loading import MOST_HELD, TAKE_SOME, too_many
from loralab.machine.hardware import Machine
from loralab.models.model_check import ModelCheck
from loralab.planning import estimate
from loralab.planning.memory import load, rows_at_once
from loralab.planning.usual import FEW_UPDATES
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
        what = f"{count(plan.micro_batch, 'example')} at once are more than the {plan.effective_batch} behind one update."
        found.append(_warning("micro_over_effective", what, "Only as many as the update needs are computed at once."))
    if plan.use_dora and plan.precision in SQUEEZED:
        found.append(_warning("slow_mix", "DoRA with 4-bit weights is several times slower.", "Switch DoRA off, or use bf16."))
    return found + _mixes(plan)


def _mixes(plan: TextPlan) -> list[Problem]:
    """Kinds of adapters, ranks and optimisers that do not go together."""
    found: list[Problem] = []
    moving = plan.rank_schedule in ("progressive", "adaptive")
    if moving and plan.adapter in ("pissa", "miss"):
        what = f"The rank of a {plan.adapter} adapter cannot change while it learns."
        found.append(_error("rank_cannot_change", what, "Choose lora or dora as kind of adapter, or a fixed rank."))
    if plan.rank_schedule == "adaptive" and plan.optimizer == "adamw_8bit":
        what = "The optimiser in 8 bits does not tell how hard the loss pulls at each part, so ranks would never move."
        found.append(_error("ranks_would_not_move", what, "Choose adamw, or a fixed rank."))
    if plan.engine == "trl" and (moving or plan.averages):
        what = "TRL's training loop knows neither ranks that change nor optimisers that average."
        found.append(_error("not_with_trl", what, "Choose the engine loralab, or a fixed rank and adamw."))
    if plan.averages and plan.schedule != "constant":
        what = "This optimiser averages the weights instead of slowing down; slowed down as well it learns less."
        found.append(_warning("slowed_twice", what, "Choose constant as schedule."))
    if plan.adapter == "pissa" and plan.weight_decay:
        found.append(
            _warning("no_decay", "With PiSSA weight decay is left out: it would take away parts of the model itself.", "Set it to 0.")
        )
    return found


def _data(plan: TextPlan, profile: DatasetProfile) -> list[Problem]:
    found: list[Problem] = []
    tokens, n = profile.tokens, profile.n_kept
    if n < MIN_EXAMPLES:
        what = f"{MIN_EXAMPLES} examples are needed to begin: {n} here, {MIN_EXAMPLES - n} to go."
        found.append(_error("too_few_examples", what, "With 50 or more it learns something, with a few hundred it learns well."))
    elif profile.looked and n > MOST_HELD:
        found.append(_error("too_many_examples", too_many(n), TAKE_SOME))
    elif n < 50:
        found.append(_warning("few_examples", f"{count(n, 'example')}: enough for the tone, hardly for facts.", "Add more if you can."))
    if not profile.certain:
        found.append(
            _warning("roles_unclear", "It is not certain which column is the question and which the answer.", "Look at the preview.")
        )
    if plan.learn_from == "replies" and profile.shape == "text":
        found.append(_error("no_replies", "Plain text has no replies to learn from.", "Choose “everything” under “Learn from”."))
    if tokens.get("p50", 0) > plan.max_length:
        what = f"More than half of the examples are longer than {count(plan.max_length, 'token')} and lose their end."
        found.append(_warning("mostly_cut", what, "Raise “Longest example”, or split the examples."))
    if plan.epochs > 20 and n < 1000:
        found.append(
            _warning("by_heart", f"{count(plan.epochs, 'round')} over {count(n, 'example')} teach them by heart.", "3 to 10 are usual.")
        )
    if n >= MIN_EXAMPLES and estimate.total_steps(plan, profile) < FEW_UPDATES:
        steps = estimate.total_steps(plan, profile)
        found.append(
            _warning(
                "few_updates",
                f"{count(steps, 'correction')} {plural(steps, 'hardly changes', 'hardly change')} a model.",
                "Use more rounds or fewer examples per update.",
            )
        )
    return found


def machine_problems(plan: TextPlan, machine: Machine, needs: Footprint) -> list[Problem]:
    """What this computer says about a plan, memory aside."""
    found: list[Problem] = []
    squeezed = plan.precision in SQUEEZED
    if squeezed and machine.accelerator == "mps":
        what = "Numbers of 4 or 8 bits cannot be computed with on Apple's graphics cores."
        found.append(_error("squeezed_not_here", what, "Choose bf16 or fp32."))
    elif squeezed and not machine.has("bitsandbytes"):
        found.append(_needs_part("squeezed_needs_bitsandbytes", "Training in 4 or 8 bits", "choose bf16 or fp32"))
    elif plan.optimizer.endswith("bit") and not machine.has("bitsandbytes"):
        found.append(_needs_part("optimiser_needs_bitsandbytes", "This optimiser", "choose the usual one, adamw"))
    if squeezed and plan.compute == "bf16" and machine.accelerator == "cpu" and not machine.fast_bf16:
        found.append(_warning("compute_slow", "Your processor is slow in bf16, which this plan computes in.", "Choose fp32 for it."))
    if plan.computed_in == "fp16" and machine.accelerator == "cpu":
        found.append(_warning("fp16_on_cpu", "fp16 is slow and fragile on a processor.", "Choose fp32 or bf16."))
    if machine.gpus and not machine.torch_cuda:
        what = f"The {machine.gpus[0].name} is not used: the installed torch is for the processor only."
        found.append(
            _warning(
                "torch_without_cuda", what, "Delete LoRALab's folder .venv and start LoRALab again: it fetches the build for your card."
            )
        )
    if machine.accelerator == "cuda" and machine.gpus[0].processes:
        first, others = machine.gpus[0].holders[0], machine.gpus[0].processes - 1
        amount = f" ({size(first.bytes)})" if first.bytes else ""
        more = f" and {others} more" if others else ""
        what = f"Memory on the graphics card is held by {'LoRALab itself' if first.ours else first.name}{amount}{more}."
        found.append(_warning("card_shared", what, "Close what you do not need."))
    if needs.disk_bytes > machine.disk_free:
        what = f"It needs {size(needs.disk_bytes)} of disk and {size(machine.disk_free)} are free."
        found.append(_error("disk_full", what, "Free some space, or move your workspace to another disk."))
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
        what += f" Beside the card, {size(needs.host_bytes)} of main memory are filled."
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
        ("optimizer", "adamw"): "The exact optimiser; it fits.",
        ("optimizer", "adamw_8bit"): "It needs a quarter of the memory, which is what was still missing.",
        ("precision", "nf4"): "The model only fits with four bits a number.",
        ("precision", "bf16"): "Half-precision numbers take half the memory.",
        ("precision", "fp32"): "Exact numbers fit in memory.",
        ("precision", "fp16"): "Half-precision numbers take half the memory.",
    }
    return reasons.get((name, value), "The way to use memory that fits.")


def _needs_part(code: str, what: str, instead: str) -> Problem:
    part = part_of("bitsandbytes")
    return Problem(code=code, what=f"{what} needs a part that is not installed here.", todo=f"{part.todo} Or {instead}.", part=part.name)


def _error(code: str, what: str, todo: str) -> Problem:
    return Problem(code=code, what=what, todo=todo)


def _warning(code: str, what: str, todo: str) -> Problem:
    return Problem(code=code, what=what, todo=todo, severity="warning")
