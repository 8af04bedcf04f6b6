"""Owns the plan for learning to draw: every setting with its reason, and what it needs. Invariants: what a person fixed stays as it is; how
much is learned follows from the pictures and never from a clock; a plan that does not fit is not proposed in silence.
"""

from __future__ import annotations

import math
from typing import Any, cast

from loralab.core.errors import Problem
from loralab.core.records import DatasetProfile, Footprint, Proposal
from loralab.core.words import count
from loralab.machine.hardware import Machine
from loralab.models.drawing import DrawingEntry, drawing_entry, drawing_models
from loralab.models.model_check import ModelCheck
from loralab.planning.calibration import Experience, middle
from loralab.planning.estimate import FITS
from loralab.planning.pictured import Choice, of_files, settled, standing, told
from loralab.planning.priors import Priors
from loralab.tasks import parse_plan
from loralab.tasks.draw import DrawPlan

FEWEST = 10  # pictures
SEEN, ROUNDS = 4_000, (10, 200)  # pictures looked at in all, and bounds of the epochs
LARGE_SEEN = 1_500  # the same of a base from diffusers, which learns a style in 400 to 2,000 corrections
EFFICIENCY, BACKWARD = 0.35, 2.4  # of the measured matrix rate; times the work of looking is that of learning
RECOMPUTED = 3.4  # the same where what is needed on the way back is computed again
USUAL_TFLOPS = 0.1  # of a computer that was never measured
PROCESS = 560_000_000  # bytes of the program with torch and PEFT, and the eyes that judge
DRAWN = 24 + 24 + 8 + 5 * 4  # pictures drawn for the verdict and while it learns
LOOKS = 11 * 4  # times that each watched picture is looked at
GRID = 64  # pixels: eight latents
DECODER = 84_000_000  # weights
BYTES = {"fp32": 4, "bf16": 2, "fp16": 2}


def propose(
    profile: DatasetProfile,
    model: ModelCheck,
    machine: Machine,
    changes: dict[str, Any],
    priors: Priors | None = None,
    past: Experience | None = None,
) -> Proposal:
    """A complete plan. A UserError names a setting that is not possible."""
    values, reasons = settled("draw", changes, priors, lambda fixed: _choices(profile, model, machine, fixed))
    reasons["task"] = "Pictures with words about them teach to draw new ones."
    plan = cast("DrawPlan", parse_plan(values | {"task": "draw"}))
    needs = footprint(plan, model, machine, profile, past or Experience())
    problems = [*model.problems, *check(plan, profile)]
    if needs.upper_bytes > FITS * needs.free_bytes:
        todo = "Close other programs." if not _large(plan) else "Close other programs, or choose a smaller picture size or base."
        problems.append(Problem(code="does_not_fit", what=f"This {needs.words}.", todo=todo))
    return Proposal(plan=plan.model_dump(), reasons=reasons, footprint=needs, problems=tuple(problems))


def _large(plan: DrawPlan) -> DrawingEntry | None:
    """The entry of a base from diffusers; of a folder's, which nobody counted, that of the smallest of them."""
    entry = drawing_entry(plan.base_model)
    if entry is None:
        return next(one for one in drawing_models() if one.source == "hub")
    return entry if entry.source == "hub" else None


def _choices(profile: DatasetProfile, model: ModelCheck, machine: Machine, fixed: dict[str, Any]) -> list[Choice]:
    """Settings that depend on the pictures: name, value, reason."""
    rows = profile.n_train or profile.n_kept
    large = _large(DrawPlan(base_model=model.name))
    rounds = min(ROUNDS[1], max(ROUNDS[0], round((LARGE_SEEN if large else SEEN) / max(1, rows))))
    batch = int(fixed.get("effective_batch", 2 if large and rows >= 8 else max(2, min(8, rows // 4))))
    total = max(1, math.ceil(rounds * rows / batch))
    found = [
        *of_files(profile, total),
        ("base_model", model.name, f"The model that draws. {model.words}"),
        (
            "epochs",
            float(rounds),
            f"{count(rounds, 'round')} over {count(rows, 'picture')} at most; it stops before where more does not help.",
        ),
        ("effective_batch", batch, f"A correction after every {count(batch, 'picture')}: steady, and still many corrections."),
    ]
    if large is None:
        return [
            *found,
            ("micro_batch", batch, "All pictures of an update at once: they are small."),
            ("precision", "fp32", "Pictures are learned in exact numbers."),
        ]
    return [
        *found,
        ("micro_batch", 1, "One picture at a time: they are large."),
        ("image_size", large.side, "The size that this base draws best, as far as memory allows."),
        ("precision", "bf16" if machine.accelerator == "cuda" else large.precision, "As exact as is usual for this base."),
        ("learning_rate", large.learning_rate, "A rate that is usual for a base of this kind."),
        ("guidance", large.guidance, "How strictly this base usually follows words."),
        ("drawing_steps", 30, "Enough for a base of this kind."),
    ]


def footprint(plan: DrawPlan, model: ModelCheck, machine: Machine, profile: DatasetProfile, past: Experience) -> Footprint:
    """Memory, time and disk of a run, by counting what the model does for a pixel; past runs here correct the time."""
    entry = _large(plan) or drawing_entry(plan.base_model)
    assert entry is not None  # noqa: S101  (the starter is in the list)
    one = _pixels(plan)
    at_once = min(plan.effective_batch, plan.micro_batch) * one
    step = int(min(at_once, max(one, plan.token_budget or at_once)) * entry.kept) + 40_000_000
    # what turns latents into pictures stays, in fp32; what reads captions is there at the start alone, before anything is learned
    weights = BYTES.get(plan.precision, 4) * model.parameters + (4 * DECODER if entry.source == "hub" else 0)
    reading = BYTES.get(plan.precision, 4) * entry.beside
    parts = {"weights": weights, "activations": max(step, reading), "reserve": PROCESS + profile.n_kept * min(one, 4096) * 3}
    rest = middle(past.beside.get(plan.base_model, ()), 15.0)
    said = seconds(plan, machine, profile, entry)
    return told(parts, (f"{entry.architecture} | draw", f"drawing {entry.architecture}"), said, rest, 30_000_000, machine, past)


def _pixels(plan: DrawPlan) -> int:
    return (plan.image_size if _large(plan) else 32) ** 2


def seconds(plan: DrawPlan, machine: Machine, profile: DatasetProfile, entry: DrawingEntry) -> float:
    """Seconds of learning, of the looks between and of all that is drawn."""
    rows, one = profile.n_train or profile.n_kept, _pixels(plan)
    watched = max(1, profile.n_kept - profile.n_train - profile.n_heldout)
    back = RECOMPUTED if entry.source == "hub" else BACKWARD
    learned = plan.updates(math.ceil(rows / plan.effective_batch)) * min(plan.effective_batch, rows) * back
    looked = LOOKS * watched + 2 * DRAWN * plan.drawing_steps
    return (learned + looked) * one * entry.work / (EFFICIENCY * 1e12 * (machine.speed.fp32_tflops or USUAL_TFLOPS))


def check(plan: DrawPlan, profile: DatasetProfile) -> list[Problem]:
    """What stands in the way, or is to be known, before a start."""
    found = standing(plan, profile, FEWEST)
    entry = drawing_entry(plan.base_model)
    if profile.medical:
        what = "These are pictures of patients. What learns to draw like them may draw a patient again, so it cannot be handed on."
        found.append(Problem(code="draws_patients", what=what, todo="Keep it on this computer.", severity="warning"))
    if entry and entry.experimental:
        what = f"{entry.title} is to be tried out here: it was trained only as a tiny copy of itself so far."
        found.append(Problem(code="experimental", what=what, todo="Keep what comes of it only if you like it.", severity="warning"))
    if _large(plan) and plan.precision not in BYTES:
        what = f"A base that draws cannot be held in {plan.precision} here."
        found.append(Problem(code="precision", what=what, todo="Choose fp32 or bf16."))
    if _large(plan) and plan.image_size % GRID:
        what = f"A base of this kind draws pictures whose sides are multiples of {GRID} pixels, and {plan.image_size} is none."
        found.append(Problem(code="picture_size", what=what, todo=f"Choose {max(GRID, plan.image_size // GRID * GRID)}."))
    return found
