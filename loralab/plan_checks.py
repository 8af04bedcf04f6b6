"""Owns what would make a text plan fail, teach nothing or not fit: known before it starts, each with what to do.

Invariant: nothing here changes a plan. An error stops the start; a warning is shown and the person decides.
"""

from __future__ import annotations

import re
from itertools import product
from pathlib import Path
from typing import Any

from loralab import estimate
from loralab.catalog import catalogue
from loralab.errors import Problem
from loralab.hardware import Machine
from loralab.model_check import ModelCheck, absent
from loralab.records import DatasetProfile, Footprint, Plan
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
        n = machine.gpus[0].processes
        what = f"{n} other program{'s' if n > 1 else ''} hold{'' if n > 1 else 's'} memory on the graphics card."
        found.append(_warning("card_shared", what, "Close what you do not need."))
    if needs.disk_bytes > machine.disk_free:
        what = f"It needs {needs.disk_bytes / 1e9:.1f} GB of disk and {machine.disk_free / 1e9:.1f} GB are free."
        found.append(_error("disk_full", what, "Free some space, or choose another workspace with --home."))
    if needs.seconds and needs.seconds > 6 * 3600:
        what = f"This takes {estimate.duration_words(needs.seconds)} on this computer."
        found.append(_warning("takes_long", what, "Choose a smaller model, fewer examples or fewer rounds."))
    return found


def does_not_fit(
    plan: TextPlan, model: ModelCheck, machine: Machine, profile: DatasetProfile | None, fixed: dict[str, Any]
) -> list[Problem]:
    """An error with the two nearest plans that fit, when this one needs more memory than there is."""
    needs = estimate.footprint(plan, model, machine, profile)
    if needs.memory_bytes <= estimate.FITS * needs.free_bytes:
        return []
    what = f"{model.name} with these settings needs about {needs.memory_bytes / 1e9:.1f} GB and {needs.free_bytes / 1e9:.1f} GB are free."
    ways = [_words(change) for change in nearest_fits(plan, model, machine, profile, fixed)[:2]]
    if len(ways) < 2:
        ways += [f"the model {name} with the same settings" for name in _smaller_models(plan, model, machine, profile)][: 2 - len(ways)]
    if not ways:
        return [_error("does_not_fit", what, "Close other programs, or train on a computer with more memory.")]
    return [_error("does_not_fit", what, f"These fit: {'; or '.join(ways)}.")]


def nearest_fits(
    plan: TextPlan, model: ModelCheck, machine: Machine, profile: DatasetProfile | None, fixed: dict[str, Any]
) -> list[dict[str, Any]]:
    """Changes that make a plan fit, the least intrusive first; what a person fixed counts for more.

    Fewer examples at once cost nothing but time; another number format costs a little exactness; shorter examples cost content.
    """
    card = machine.accelerator == "cuda" and machine.has("bitsandbytes")
    formats = [plan.precision, *[p for p in ("bf16", "nf4") if p != plan.precision and (card or p == "bf16") and plan.precision != "nf4"]]
    lengths = [plan.max_length, *[n for n in (4096, 2048, 1024, 512, 256, 128, 64) if n < plan.max_length]]
    at_once = [plan.micro_batch, *[n for n in (8, 4, 2, 1) if n < plan.micro_batch]]
    weighed: list[tuple[float, dict[str, Any]]] = []
    for (i, precision), (j, length), (k, micro) in product(enumerate(formats), enumerate(lengths), enumerate(at_once)):
        wanted = {"precision": precision, "max_length": length, "micro_batch": micro}
        change = {name: value for name, value in wanted.items() if value != getattr(plan, name)}
        weighed.append((i + 1.5 * j + 0.3 * k + 0.5 * sum(name in fixed for name in change), change))
    ladder = [change for _, change in sorted(weighed, key=lambda w: w[0])]
    found: list[dict[str, Any]] = []
    for change in ladder:
        needs = estimate.footprint(plan.model_copy(update=change), model, machine, profile)
        if needs.memory_bytes <= estimate.FITS * needs.free_bytes and not any(_milder(f, change) for f in found):
            found.append(change)
    return found


def _smaller_models(plan: TextPlan, model: ModelCheck, machine: Machine, profile: DatasetProfile | None) -> list[str]:
    """The two largest models of the catalogue below this one that fit with the same settings."""
    found: list[str] = []
    for entry in reversed([e for e in catalogue() if e.parameters < model.parameters]):
        needs = estimate.footprint(plan, absent(entry.name, Path(), entry), machine, profile)
        if needs.memory_bytes <= estimate.FITS * needs.free_bytes:
            found.append(entry.name)
    return found[:2]


def _milder(first: dict[str, Any], second: dict[str, Any]) -> bool:
    """Whether the first change asks for no more than the second in any setting: then the second is not worth offering."""
    numbers = [name for name in ("micro_batch", "max_length") if name in first and name in second]
    return set(first) <= set(second) and all(first[name] >= second[name] for name in numbers)


def _words(change: dict[str, Any]) -> str:
    labels = {name: str((TextPlan.model_fields[name].json_schema_extra or {}).get("label", name)) for name in change}  # type: ignore[union-attr]
    return " and ".join(f"“{labels[name]}” {value}" for name, value in change.items())


def _error(code: str, what: str, todo: str) -> Problem:
    return Problem(code=code, what=what, todo=todo)


def _warning(code: str, what: str, todo: str) -> Problem:
    return Problem(code=code, what=what, todo=todo, severity="warning")
