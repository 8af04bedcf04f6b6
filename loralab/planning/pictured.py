"""Owns what the plans of every kind of training on pictures have in common: where each setting comes from, and what is told of the needs.

Invariant: what a person fixed stays as it is, and every setting has its reason.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from loralab.core.errors import Problem
from loralab.core.records import DatasetProfile, Footprint, Plan, Predicted
from loralab.core.words import about, count, size
from loralab.machine.hardware import Machine
from loralab.planning.calibration import Experience, correction, error_words, usual_error
from loralab.planning.estimate import device, verdict
from loralab.planning.planner import PROVEN
from loralab.planning.priors import Priors
from loralab.tasks import parse_plan

Choice = tuple[str, Any, str]  # a setting's name, value and reason


def settled(
    task: str, changes: dict[str, Any], priors: Priors | None, choices: Callable[[dict[str, Any]], Sequence[Choice]]
) -> tuple[dict[str, Any], dict[str, str]]:
    """Every setting with its reason: what a person fixed, what past runs proved, what `choices` says of the rest, what is usual.

    Raises UserError naming a setting that is not possible.
    """
    fixed = parse_plan({**changes, "task": task})
    values: dict[str, Any] = {name: getattr(fixed, name) for name in changes if name != "task"}
    reasons = dict.fromkeys(values, "You chose this.")
    for name, value in (priors.proven if priors else {}).items():
        if name not in values:
            values[name], reasons[name] = value, PROVEN
    for name, value, why in choices(values):
        if name not in values:
            values[name], reasons[name] = value, why
    for name, setting in type(fixed).model_fields.items():
        if name not in values and name != "task":
            values[name], reasons[name] = setting.get_default(), f"The usual choice. {setting.description or ''}".strip()
    return values, reasons


def of_files(profile: DatasetProfile, total: int) -> list[Choice]:
    """Settings that follow from the files and from how many corrections there will be."""
    rows = profile.n_train or profile.n_kept
    return [
        ("dataset", profile.path, "The pictures you gave."),
        ("roles", profile.roles, "As found in the files." if profile.certain else "A guess: nobody has confirmed it."),
        ("guessed", not profile.certain, "What the files are is known." if profile.certain else "The files do not say it."),
        ("heldout_share", 0.2 if rows < 500 else 0.1, profile.aside or "Kept aside, to show honestly how good it is."),
        ("eval_every", max(1, total // 10), f"About ten looks at pictures kept to choose by, over {count(total, 'correction')}."),
        ("patience", 4, "Four looks in a row without improvement, and it stops: more would only be learning by heart."),
        ("warmup", round(min(0.5, max(0.05, 5 / total)), 3), "The first corrections are small, so that the start does no harm."),
    ]


def standing(plan: Plan, profile: DatasetProfile, fewest: int) -> list[Problem]:
    """What stands in the way of every plan for pictures."""
    found = [finding for finding in profile.findings if finding.severity == "error"]
    if profile.n_kept < fewest:
        what = f"{count(profile.n_kept, 'picture')} can be used, and {fewest} are needed: some to learn from, some to test with."
        found.append(Problem(code="too_few", what=what, todo="Add more pictures."))
    if plan.learning_rate > 0.02:
        what = f"A learning rate of {plan.learning_rate:g} usually destroys what the model knows."
        found.append(Problem(code="rate_high", what=what, todo="Try 0.0003 to 0.003.", severity="warning"))
    return found


def told(
    parts: dict[str, int], predicted: tuple[str, str], said: float, rest: float, disk: int, machine: Machine, past: Experience
) -> Footprint:
    """A footprint in numbers and words. `parts`: bytes (weights, activations, reserve); `predicted`: key and pace to remember it by;
    `said`: seconds of learning, `rest`: of all beside it.
    """
    needed, where, (key, paced) = sum(parts.values()), device(machine), predicted
    known = past.seconds.get(f"{where} | {paced}", ())
    learning, off = said * correction(known), error_words(usual_error(known))
    free, careful = machine.training_memory_free, int(1.1 * needed)
    return Footprint(
        memory_bytes=needed,
        upper_bytes=careful,
        free_bytes=free,
        seconds=learning + rest,
        disk_bytes=disk,
        parts=parts,
        predicted=Predicted(
            key=f"{where} | {key}",
            device=where,
            pace=paced,
            memory={"closed form": needed},
            step={"closed form": parts["activations"]},
            weights=parts["weights"],
            process=parts["reserve"],
            seconds=said,
            disk=disk,
        ),
        words=f"needs about {size(needed)}, you have {size(free)} free: {verdict(needed, free, careful)}"
        f"; takes {about(learning + rest)}{f' ({off})' if off else ''}",
    )
