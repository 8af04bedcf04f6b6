"""Owns the proposal: the planner's plan, moved by what this machine's own runs say, and out of what is remembered to fail.

Invariants: what the person fixed is never moved; every setting that was moved says because of which runs; where everything that is allowed
to move was moved and a remembered failure still rules the plan out, the proposal carries an error.
"""

from __future__ import annotations

import math
from typing import Any

from advisor.diagnosis.limits import NAMES, Limits, Point, Tamed, points, tame
from advisor.diagnosis.preflight import examined
from advisor.proposals import learned
from advisor.proposals.learned import Learned, Sweep
from advisor.text import TextPlan, text_plan
from loralab.core.errors import Problem, UserError
from loralab.core.facts import Facts
from loralab.core.records import DatasetProfile, Proposal
from loralab.datasets import run_facts
from loralab.history import Memory, named
from loralab.lab import Lab
from loralab.machine.hardware import Machine, fingerprint
from loralab.planning import planner

READ = 500  # runs that are looked at
WHOLE = ("rank", "effective_batch")  # settings that are whole numbers


def propose(lab: Lab, profile: DatasetProfile, model: str, changes: dict[str, Any], limits: Limits) -> Proposal:
    """A complete plan with a reason for each choice, with all that is remembered in it."""
    found = lab.propose(profile, model, **changes)
    known = known_facts(lab, profile, model)
    moved = _learned(lab, text_plan(found.plan), known, frozenset(changes))
    said = {one.setting: one.words for one in moved}
    if moved:
        found = lab.propose(profile, model, **changes, **{one.setting: one.value for one in moved})
    tamed = tame(text_plan(found.plan), known, limits, frozenset(changes))
    if tamed.settings:
        found = lab.propose(profile, model, **changes, **{one.setting: one.value for one in moved} | tamed.settings)
        said |= dict.fromkeys(tamed.settings, because(tamed))
    if fits := limits.known_to_fit(points(text_plan(found.plan), known)[0]):
        said["token_budget"] = f"{found.reasons.get('token_budget', '')} It is known to fit: {fits.run} ran with as much.".strip()
    problems = found.problems if tamed.possible else (*found.problems, never_twice(tamed))
    return found.model_copy(update={"reasons": found.reasons | said, "problems": problems})


def begin(lab: Lab, plan: TextPlan | dict[str, Any], limits: Limits, *, anyway: bool = False) -> str:
    """Start a run; its id. Raises UserError where a remembered failure rules its plan out, unless the person wants it `anyway`."""
    typed = text_plan(plan)
    if not anyway and (failure := rules_out(lab, typed, limits)):
        problem = never_twice(Tamed(settings={}, because=(failure,), possible=False))
        raise UserError(problem.what, "Take the settings that are proposed.", code=problem.code)
    return lab.start(typed)


def rules_out(lab: Lab, plan: TextPlan, limits: Limits) -> Point | None:
    """The remembered failure that rules a plan out; None where none does."""
    read, _ = examined(plan, lab.catalog.tokenizer_folder(plan.base_model))  # read before, by the preflight
    machine = lab.machine()
    here = {"place": fingerprint(machine), "room": machine.training_memory_free}
    return limits.against(points(plan, read.model_copy(update=here)))


def known_facts(lab: Lab, profile: DatasetProfile, model: str) -> Facts:
    """The facts of a plan as far as a profile tells them: enough for what memory and rate depend on."""
    machine: Machine = lab.machine()
    return Facts.model_validate(
        run_facts.of_model(lab.catalog.folder(model))
        | {
            "data": profile.id,
            "n_train": profile.n_train,
            "n_heldout": profile.n_heldout,
            "tokens": profile.tokens,
            "parameters": lab.check_model(model).parameters,
            "place": fingerprint(machine),
            "room": machine.training_memory_free,
        }
    )


def because(tamed: Tamed) -> str:
    """Why a setting was moved away from a failure."""
    runs = list(dict.fromkeys(point.run for point in tamed.because if point.run))
    shown = " and ".join(runs[:2]) or "An earlier run"
    memory = any(point.kind == "memory" for point in tamed.because)
    return f"{shown} {'ran out of memory' if memory else 'ran away'} with more, so this stays well below it."


def never_twice(tamed: Tamed) -> Problem:
    """The error of a plan that a remembered failure rules out and that may not be moved."""
    failure = tamed.because[-1]
    run = failure.run or "an earlier run"
    how = "ran out of memory" if failure.kind == "memory" else "ran away"
    what = f"These settings would fail again: {run} {how} with no more than this ({describe(failure)})."
    return Problem(code="never_twice", what=what, todo="Let go of what you fixed, or choose smaller values.")


def describe(point: Point) -> str:
    """The numbers of a point that tell most."""
    shown = 2 if point.kind == "memory" else 1
    return ", ".join(f"{name} {value:g}" for name, value in zip(NAMES[point.kind][:shown], point.vector[:shown], strict=True))


# ---- what runs say -----------------------------------------------------------------------------------------------------------


def _learned(lab: Lab, plan: TextPlan, known: Facts, fixed: frozenset[str]) -> list[Learned]:
    """Settings that history moves, in the units of the plan."""
    memories = [memory for memory in lab.history.memories.recent(READ) if memory.task == "text"]
    found = [_moved(plan, known, setting, memories) for setting in learned.SETTINGS if setting not in fixed]
    return [one for one in found if one is not None]


def _moved(plan: TextPlan, known: Facts, setting: str, memories: list[Memory]) -> Learned | None:
    scale = plan.alpha / (plan.rank**0.5 if plan.use_rslora else plan.rank)
    unit = scale if setting == "learning_rate" else 1.0
    prior = float(getattr(plan, setting)) * unit
    steps = max(1, round(plan.epochs * known.n_train / plan.effective_batch))
    like = learned.describe(known.parameters, steps, plan.effective_batch)
    here = Sweep(setting, 0.0, (), named(plan.base_model), known.data, known.architecture, like)

    def usual(sweep: Sweep) -> float:
        return planner.usual_rate(round(math.exp(sweep.like[0]))) * 2 if setting == "learning_rate" else prior

    found = learned.learn(here, prior, learned.sweeps(memories, setting), usual)
    if found is None:
        return None
    value = found.value / unit
    return found.model_copy(update={"value": float(round(value)) if setting in WHOLE else float(f"{value:.2g}")})
