"""Owns the plan for learning to draw: every setting with its reason, and what it needs. Invariants: what a person fixed stays as it is; how
much is learned follows from the pictures and never from a clock; a plan that does not fit is not proposed in silence.
"""

from __future__ import annotations

import math
from typing import Any, cast

from loralab.core.errors import Problem
from loralab.core.records import DatasetProfile, Footprint, Predicted, Proposal
from loralab.core.words import about, count, size
from loralab.machine.hardware import Machine
from loralab.models.drawing import drawing_entry
from loralab.models.model_check import ModelCheck
from loralab.planning.calibration import Experience, correction, error_words, middle, usual_error
from loralab.planning.estimate import FITS, device, verdict
from loralab.planning.planner import PROVEN
from loralab.planning.priors import Priors
from loralab.tasks import parse_plan
from loralab.tasks.draw import DrawPlan

FEWEST = 10  # pictures
SEEN, ROUNDS = 4_000, (10, 200)  # pictures looked at in all, and bounds of the epochs
# Of the starter that draws, counted: operations for a pixel that is drawn, bytes kept for the way back
WORK, KEPT = 440_000, 3_500
EFFICIENCY, BACKWARD = 0.35, 2.4  # of the measured matrix rate; times the work of looking is that of learning
USUAL_TFLOPS = 0.1  # of a computer that was never measured
PROCESS = 560_000_000  # bytes of the program with torch and PEFT, and the eyes that judge
DRAWN = 24 + 24 + 8 + 5 * 4  # pictures drawn for the verdict and while it learns
LOOKS = 11 * 4  # times that each watched picture is looked at


def propose(
    profile: DatasetProfile,
    model: ModelCheck,
    machine: Machine,
    changes: dict[str, Any],
    priors: Priors | None = None,
    past: Experience | None = None,
) -> Proposal:
    """A complete plan. A UserError names a setting that is not possible."""
    fixed = parse_plan({**changes, "task": "draw"})
    values: dict[str, Any] = {name: getattr(fixed, name) for name in changes if name != "task"}
    reasons = dict.fromkeys(values, "You chose this.")
    for name, value in (priors.proven if priors else {}).items():
        if name not in values:
            values[name], reasons[name] = value, PROVEN
    for name, value, why in _choices(profile, model, values):
        if name not in values:
            values[name], reasons[name] = value, why
    for name, setting in type(fixed).model_fields.items():
        if name not in values and name != "task":
            values[name], reasons[name] = setting.get_default(), f"The usual choice. {setting.description or ''}".strip()
    reasons["task"] = "Pictures with words about them teach to draw new ones."
    plan = cast("DrawPlan", parse_plan(values | {"task": "draw"}))
    needs = footprint(plan, model, machine, profile, past or Experience())
    problems = [*model.problems, *check(plan, profile)]
    if needs.upper_bytes > FITS * needs.free_bytes:
        problems.append(Problem(code="does_not_fit", what=f"This {needs.words}.", todo="Close other programs."))
    return Proposal(plan=plan.model_dump(), reasons=reasons, footprint=needs, problems=tuple(problems))


def _choices(profile: DatasetProfile, model: ModelCheck, fixed: dict[str, Any]) -> list[tuple[str, Any, str]]:
    """Settings that depend on the pictures: name, value, reason."""
    rows = profile.n_train or profile.n_kept
    rounds = min(ROUNDS[1], max(ROUNDS[0], round(SEEN / max(1, rows))))
    batch = int(fixed.get("effective_batch", max(2, min(8, rows // 4))))
    total = max(1, math.ceil(rounds * rows / batch))
    return [
        ("dataset", profile.path, "The pictures you gave."),
        ("base_model", model.name, f"The model that draws. {model.words}"),
        ("roles", profile.roles, "As found in the files." if profile.certain else "A guess: nobody has confirmed it."),
        ("guessed", not profile.certain, "What the files are is known." if profile.certain else "The files do not say it."),
        (
            "epochs",
            float(rounds),
            f"{count(rounds, 'round')} over {count(rows, 'picture')} at most; it stops before where more does not help.",
        ),
        ("effective_batch", batch, f"A correction after every {count(batch, 'picture')}: steady, and still many corrections."),
        ("micro_batch", batch, "All pictures of an update at once: they are small."),
        ("heldout_share", 0.2 if rows < 500 else 0.1, profile.aside or "Kept aside, to show honestly how good it is."),
        ("precision", "fp32", "Pictures are learned in exact numbers."),
        ("eval_every", max(1, total // 10), f"About ten looks at pictures kept to choose by, over {count(total, 'correction')}."),
        ("patience", 4, "Four looks in a row without improvement, and it stops: more would only be learning by heart."),
        ("warmup", round(min(0.5, max(0.05, 5 / total)), 3), "The first corrections are small, so that the start does no harm."),
    ]


def footprint(plan: DrawPlan, model: ModelCheck, machine: Machine, profile: DatasetProfile, past: Experience) -> Footprint:
    """Memory, time and disk of a run, by counting what the model does for a pixel; past runs here correct the time."""
    entry = drawing_entry(plan.base_model)
    one = (entry.side if entry else 32) ** 2
    at_once = min(plan.effective_batch, plan.micro_batch) * one
    step = int(min(at_once, plan.token_budget or at_once) * KEPT) + 40_000_000
    parts = {"weights": 4 * model.parameters, "activations": step, "reserve": PROCESS + profile.n_kept * one * 3}
    needed, where = sum(parts.values()), device(machine)
    said = seconds(plan, machine, profile, one)
    known = past.seconds.get(f"{where} | drawing", ())
    learning, off = said * correction(known), error_words(usual_error(known))
    rest = middle(past.beside.get(plan.base_model, ()), 15.0)
    free, careful = machine.training_memory_free, int(1.1 * needed)
    return Footprint(
        memory_bytes=needed,
        upper_bytes=careful,
        free_bytes=free,
        seconds=learning + rest,
        disk_bytes=30_000_000,
        parts=parts,
        predicted=Predicted(
            key=f"{where} | Draws | draw",
            device=where,
            pace="drawing",
            memory={"closed form": needed},
            step={"closed form": step},
            weights=parts["weights"],
            process=parts["reserve"],
            seconds=said,
            disk=30_000_000,
        ),
        words=f"needs about {size(needed)}, you have {size(free)} free: {verdict(needed, free, careful)}"
        f"; takes {about(learning + rest)}{f' ({off})' if off else ''}",
    )


def seconds(plan: DrawPlan, machine: Machine, profile: DatasetProfile, one: int) -> float:
    """Seconds of learning, of the looks between and of all that is drawn; `one`: pixels of a picture."""
    rows = profile.n_train or profile.n_kept
    watched = max(1, profile.n_kept - profile.n_train - profile.n_heldout)
    learned = plan.updates(math.ceil(rows / plan.effective_batch)) * min(plan.effective_batch, rows) * BACKWARD
    looked = LOOKS * watched + 2 * DRAWN * plan.drawing_steps
    return (learned + looked) * one * WORK / (EFFICIENCY * 1e12 * (machine.speed.fp32_tflops or USUAL_TFLOPS))


def check(plan: DrawPlan, profile: DatasetProfile) -> list[Problem]:
    """What stands in the way, or is to be known, before a start."""
    found = [finding for finding in profile.findings if finding.severity == "error"]
    if profile.n_kept < FEWEST:
        what = f"{count(profile.n_kept, 'picture')} can be used, and {FEWEST} are needed: some to learn from, some to test with."
        found.append(Problem(code="too_few", what=what, todo="Add more pictures."))
    if profile.medical:
        what = "These are pictures of patients. What learns to draw like them may draw a patient again, so it cannot be handed on."
        found.append(Problem(code="draws_patients", what=what, todo="Keep it on this computer.", severity="warning"))
    if plan.learning_rate > 0.02:
        what = f"A learning rate of {plan.learning_rate:g} usually destroys what the model can draw."
        found.append(Problem(code="rate_high", what=what, todo="Try 0.0003 to 0.003.", severity="warning"))
    return found
