"""Owns the plan for pictures: every setting with its reason, and what it needs. Invariants: what a person fixed stays as it is; how much is
learned follows from the pictures and never from a clock; a plan that does not fit is not proposed in silence.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

from loralab.core import parts
from loralab.core.errors import Problem
from loralab.core.records import Alternative, DatasetProfile, Footprint, Plan, Proposal
from loralab.core.words import about, count
from loralab.machine.hardware import Machine
from loralab.models.model_check import ModelCheck
from loralab.models.seeing import STARTER, Seeing
from loralab.planning.calibration import Experience, middle
from loralab.planning.estimate import FITS
from loralab.planning.pictured import of_files, settled, standing, told
from loralab.planning.priors import Priors
from loralab.tasks import parse_plan, tasks
from loralab.tasks.pictures import PicturePlan

FEWEST = 10  # pictures
QUICK_UPDATES = 1  # of a quick look: what the head alone learns, and one update that changes next to nothing
EFFICIENCY = 0.22  # of the measured matrix rate: most of the starter's layers look at their surroundings and are no products
EFFICIENCY_OF_PRODUCTS = 0.5  # of networks that are products for the most part: a guess, which past runs here correct
BACKWARD = 2.7  # times the work of looking is that of learning
LEARNING = 1.35  # times what is kept is held at the highest
PROCESS = 520_000_000  # bytes of the program with torch and PEFT
USUAL_TFLOPS = 0.1  # of a computer that was never measured
AT_ONCE = 300_000  # pixels: more at once is no quicker
OWN_RATE, TOKEN_RATE, TOKEN_HEAD = 5e-4, 5e-4, 2.0  # of larger bases, and how much faster a head of ours learns on them


@dataclass(frozen=True)
class Kind:
    """What a kind of training on pictures is begun with."""

    side: int  # of pictures as large as that
    smallest: int
    seen: int  # pictures looked at in all while the adapter learns
    rounds: tuple[int, int]  # bounds of the epochs
    batch: int
    rate: float
    head_rate: float
    head: float  # times the work of the backbone that the head adds
    probe: int  # epochs of the quick look
    probe_work: float  # of looking once, for each epoch of the quick look


KINDS = {
    "classify": Kind(224, 96, 15_000, (4, 50), 32, 1e-3, 1.0, 1.0, 20, 0.01),
    "segment": Kind(256, 128, 2_000, (8, 50), 8, 1e-3, 1.0, 1.4, 30, 1.0),
    "detect": Kind(416, 256, 2_000, (6, 50), 8, 3e-4, 0.5, 1.4, 20, 0.5),  # at 1e-3 a head that has just settled is pulled about
}
SAYS = {"classify": "to tell them apart", "segment": "to mark what is where", "detect": "to find things and draw a box around each"}


def propose(
    profile: DatasetProfile,
    model: ModelCheck,
    machine: Machine,
    changes: dict[str, Any],
    priors: Priors | None = None,
    past: Experience | None = None,
) -> Proposal:
    """A complete plan of the kind the pictures are for. A UserError names a setting that is not possible."""
    kind = KINDS[profile.task]
    values, reasons = settled(profile.task, changes, priors, lambda fixed: _choices(profile, model, machine, kind, fixed))
    _fit(values, reasons, machine, changes, model)
    plan = cast("PicturePlan", parse_plan(values | {"task": profile.task}))
    needs = footprint(plan, model, machine, profile, past or Experience())
    problems = [*model.problems, *check(plan, profile), *_unsuited(model, profile.task)]
    if needs.upper_bytes > FITS * needs.free_bytes:
        todo = "Close other programs, or choose a smaller picture size."
        problems.append(Problem(code="does_not_fit", what=f"This {needs.words}.", todo=todo))
    reasons |= {"task": f"Pictures like these teach {SAYS[profile.task]}."}

    def seconds_of(shorter: PicturePlan) -> float | None:
        return footprint(shorter, model, machine, profile, past or Experience()).seconds

    quick = _quick(plan, needs, seconds_of, updates(plan, profile))
    return Proposal(plan=plan.model_dump(), reasons=reasons, footprint=needs, problems=tuple(problems), quick_look=quick)


def _choices(profile: DatasetProfile, model: ModelCheck, machine: Machine, kind: Kind, fixed: dict[str, Any]) -> list[tuple[str, Any, str]]:
    """Settings that depend on the pictures or this computer: name, value, reason."""
    rows, seeing = profile.n_train or profile.n_kept, seen_by(model)
    side, why_side = _side(profile, kind, seeing)
    rounds, why_rounds = _rounds(rows, kind)
    batch = int(fixed.get("effective_batch", max(2, min(kind.batch, rows // 8))))
    total = max(1, math.ceil(rounds * rows / batch))
    return [
        *of_files(profile, total),
        ("base_model", model.name, f"The model that sees. {model.words}"),
        ("image_size", side, why_side),
        ("augmentation", *_augmentation(profile)),
        ("epochs", float(rounds), why_rounds),
        ("effective_batch", batch, f"A correction after every {count(batch, 'picture')}: steady, and still many corrections."),
        ("micro_batch", batch, "At most all pictures of an update; how many go at once is decided by “Pixels at once”."),
        *_learning(kind, seeing),
        ("precision", "fp32", "Pictures are learned in exact numbers."),
        ("schedule", "constant" if fixed.get("optimizer", "adamw") != "adamw" else "cosine", "Corrections get smaller towards the end."),
    ]


def seen_by(model: ModelCheck) -> Seeing:
    """What a plan has to know of a model; of one that reads, as of the starter: that it cannot is said as a problem."""
    return model.seeing or STARTER


def _unsuited(model: ModelCheck, task: str) -> list[Problem]:
    """Why a model is the wrong one for a kind of training on pictures."""
    seeing, todo = model.seeing, "Choose another model."
    if seeing is None:
        return [Problem(code="reads_only", what="This model reads texts and cannot see.", todo="Choose a model that sees.")]
    if seeing.good_for and task not in seeing.good_for:
        does = " and ".join(SAYS[one].removeprefix("to ") for one in seeing.good_for)
        return [Problem(code="other_kind", what=f"This model learns to {does}; your pictures teach {SAYS[task]}.", todo=todo)]
    missing = parts.missing("scipy") if seeing.own_head else None
    return [missing] if missing else []


def _learning(kind: Kind, seeing: Seeing) -> list[tuple[str, Any, str]]:
    """How fast a model learns. Only the starter's rates were tried on real pictures; those of larger bases are what is usual for them."""
    usual = "A rate that is usual for a model of this kind, with corrections that shrink towards the end."
    quick = "So many rounds are quick: what the model sees is computed once and kept."
    if seeing.own_head:
        own = "It comes with a head of its own, which learns with the rest: there is no quick look before."
        return [("learning_rate", OWN_RATE, usual), ("head_rate", 1.0, "Its own head learns at the same pace."), ("probe_rounds", 0, own)]
    head = "The part that answers begins where the quick look left it, and goes on at this pace."
    if seeing.model_type:
        return [("learning_rate", TOKEN_RATE, usual), ("head_rate", TOKEN_HEAD, head), ("probe_rounds", kind.probe, quick)]
    best = "The rate that did best on pictures like these, with corrections that shrink towards the end."
    return [("learning_rate", kind.rate, best), ("head_rate", kind.head_rate, head), ("probe_rounds", kind.probe, quick)]


def _side(profile: DatasetProfile, kind: Kind, seeing: Seeing) -> tuple[int, str]:
    """Longer side of what is looked at: the pictures' own, within what this kind of training and this model are good at."""
    low, high = kind.smallest, kind.side
    if seeing.model_type:
        low = -(-seeing.sizes[0] // 32) * 32
        high = max(low, seeing.sizes[1] // 32 * 32 if seeing.own_head else kind.side)
    own = round(math.sqrt(profile.tokens.get("p50", kind.side**2) * profile.tokens.get("aspect", 100) / 100))
    side = min(max(-(-own // 32) * 32, low), high)
    if own > side:
        return side, f"They are larger ({own} pixels), and this is enough for most; larger takes longer, by the square."
    if own < low:
        return side, f"They are small ({own} pixels); the model sees best when they are enlarged to this."
    return side, "As large as the pictures themselves."


def _augmentation(profile: DatasetProfile) -> tuple[str, str]:
    views = profile.views or "photo"
    words = {
        "photo": "Left and right can be exchanged in pictures like these, up and down cannot.",
        "microscope": "These pictures have no up and down, so they are also turned.",
        "xray": "Left and right may mean something in pictures like these, so they are never mirrored.",
        "none": "They are shown as they are.",
    }
    return views, words[views]


def _rounds(rows: int, kind: Kind) -> tuple[int, str]:
    low, high = kind.rounds
    rounds = min(high, max(low, round(kind.seen / max(1, rows))))
    return rounds, f"{count(rounds, 'round')} over {count(rows, 'picture')} at most; it stops before where more does not help."


def pixels(plan: PicturePlan, profile: DatasetProfile) -> int:
    """Pixels of a picture as it is looked at: no more than its longer side squared."""
    return round(plan.image_size**2 * 100 / max(100, profile.tokens.get("aspect", 100)))


def _fit(values: dict[str, Any], reasons: dict[str, str], machine: Machine, fixed: dict[str, Any], model: ModelCheck) -> None:
    """Compute as many pixels at once as are quick and fit."""
    if "token_budget" in fixed:
        return
    one, cost = values["image_size"] ** 2, seen_by(model).cost
    free = machine.training_memory_free - PROCESS - 4 * (model.parameters if model.seeing and model.seeing.model_type else 0)
    room = int(0.8 * max(0, free) / (cost.bytes(one) / one * LEARNING))
    values["token_budget"] = max(one, min(AT_ONCE, room))
    reasons["token_budget"] = "More at once is no quicker." if room > AT_ONCE else "So much fits in the free memory."


def footprint(plan: PicturePlan, model: ModelCheck, machine: Machine, profile: DatasetProfile, past: Experience) -> Footprint:
    """Memory, time and disk of a run, by counting what the model does for a pixel; past runs here correct the time."""
    kind, one = KINDS[plan.task], pixels(plan, profile)
    at_once = min(plan.effective_batch * one, max(one, plan.token_budget or plan.micro_batch * one))
    seeing = seen_by(model)
    step = int(at_once / one * held(kind, seeing, one) * LEARNING) + 40_000_000
    kept = min(1 << 30, profile.n_kept * one * 3)  # the pictures themselves, as they are looked at
    parts = {"weights": 4 * model.parameters, "activations": step, "reserve": PROCESS + kept}
    paced = f"pictures {plan.task}" if not seeing.model_type else f"{seeing.architecture} {plan.task}"
    rest = middle(past.beside.get(plan.base_model, ()), 12.0 + 2 * profile.n_kept * looking(kind, seeing, one) / pace(machine, seeing))
    predicted = (f"{seeing.architecture} | {plan.task}", paced)
    return told(parts, predicted, seconds(plan, machine, profile, seeing), rest, 60_000_000, machine, past)


def held(kind: Kind, seeing: Seeing, pixels: int) -> float:
    """Bytes kept for the way back of a picture: the model's, and those of a head of ours, which is as large whatever sees."""
    return seeing.cost.bytes(pixels) + (0 if seeing.own_head else (kind.head - 1) * STARTER.cost.bytes(pixels))


def looking(kind: Kind, seeing: Seeing, pixels: int) -> float:
    """Operations of looking at a picture once and answering."""
    return seeing.cost.operations(pixels) + (0 if seeing.own_head else (kind.head - 1) * STARTER.cost.operations(pixels))


def pace(machine: Machine, seeing: Seeing = STARTER) -> float:
    """Operations a second that this computer makes of looking."""
    return (EFFICIENCY_OF_PRODUCTS if seeing.model_type else EFFICIENCY) * 1e12 * (machine.speed.fp32_tflops or USUAL_TFLOPS)


def seconds(plan: PicturePlan, machine: Machine, profile: DatasetProfile, seeing: Seeing = STARTER) -> float:
    """Seconds of learning: the updates, the looks between them and the quick look before."""
    kind, one = KINDS[plan.task], pixels(plan, profile)
    rows, looked = profile.n_train or profile.n_kept, max(8, profile.n_kept - profile.n_train - profile.n_heldout)
    learned = updates(plan, profile) * min(plan.effective_batch, rows) * BACKWARD * looking(kind, seeing, one)
    quick = rows * plan.probe_rounds * kind.probe_work * looking(kind, STARTER, one)  # of the head alone
    quick += rows * looking(kind, seeing, one) if plan.probe_rounds and seeing.model_type else 0
    return (learned + 10 * looked * looking(kind, seeing, one)) / pace(machine, seeing) + quick / pace(machine)


def updates(plan: Plan, profile: DatasetProfile) -> int:
    """Updates that a plan makes on these pictures."""
    return plan.updates(math.ceil((profile.n_train or profile.n_kept) / plan.effective_batch))


def check(plan: PicturePlan, profile: DatasetProfile) -> list[Problem]:
    """What stands in the way, or is to be known, before a start."""
    found = standing(plan, profile, FEWEST)
    if plan.task not in tasks():
        found.append(Problem(code="unknown_task", what="There is no such kind of training.", todo="Choose another."))
    return found


def _quick(plan: PicturePlan, needs: Footprint, seconds_of: Callable[[PicturePlan], float | None], total: int) -> Alternative | None:
    """The quick look alone, where it saves half of the time."""
    if needs.seconds is None or total <= QUICK_UPDATES or not plan.probe_rounds:
        return None
    settings = {"max_steps": QUICK_UPDATES}
    quick = seconds_of(plan.model_copy(update=settings))
    if quick is None or 2 * quick > needs.seconds:
        return None
    return Alternative(settings=settings, words=f"A quick look ({about(quick)})")
