"""What is proposed is accepted: whatever is remembered, the plan that was proposed starts, and every refusal has a way out that works."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from advisor.advisor import Advisor
from advisor.proposals import learned
from advisor.proposals.propose import propose, rules_out
from benchmarks.labfail.records import RUNS, read
from loralab.cli import app, console
from loralab.core.jobs import TrainJob
from loralab.core.records import DatasetProfile, Proposal
from loralab.core.report import run_report
from loralab.history.derive import memory_of, points_of
from loralab.lab import Lab, Limits, Point, what_is_learned
from loralab.machine.hardware import fingerprint
from loralab.planning import limits
from loralab.tasks.text import TextPlan
from tests.support import models

HISTORIES = 4  # of each kind
FIXED: tuple[dict[str, Any], ...] = ({}, {"learning_rate": 5e-3}, {"rank": 64})  # by a person


@pytest.fixture
def place(lab: Lab) -> tuple[str, DatasetProfile]:
    base = models.model_folder(lab.home / "tiny")
    return str(base), lab.profile(models.uneven_file(lab.home / "uneven.jsonl", 60), str(base))


def here(lab: Lab, plan: TextPlan, *, failed: bool, room: float = 1.0) -> tuple[Point, Point]:
    """Where a plan lies on this computer, as it would be remembered of a run."""
    facts, _ = what_is_learned(plan, lab.catalog.tokenizer_folder(plan.base_model), lab.home)
    machine = lab.machine()
    known = {"place": fingerprint(machine), "room": int(room * machine.training_memory_free)}
    return limits.points(plan, facts.model_copy(update=known), failed=failed, at=("old-run", 3, 1.0))


def by_chance(lab: Lab, plan: TextPlan, seed: int) -> Limits:
    """Failures and successes around a plan, as chance would have it."""
    dice = random.Random(seed)
    found: list[Point] = []
    for _ in range(dice.randint(1, 8)):
        other = plan.model_copy(
            update={
                "learning_rate": plan.learning_rate * 10 ** dice.uniform(-2, 1),
                "rank": dice.choice([4, 16, 64]),
                "token_budget": dice.choice([0, 64, 512, 4096]),
                "recompute": dice.choice(["none", "full"]),
                "warmup": dice.choice([0.0, 0.05, 0.3]),
            }
        )
        found.append(here(lab, other, failed=dice.random() < 0.7, room=dice.choice([0.7, 0.95, 1.0, 1.3]))[dice.randint(0, 1)])
    return Limits(found)


def of_labfail(lab: Lab, plan: TextPlan, seed: int) -> Limits:
    """What LabFail's failed runs taught, as if each had been of this model on this computer."""
    own = {point.kind: point.key for point in here(lab, plan, failed=True)}
    found: list[Point] = []
    for cause in ("rate_too_high", "longest_too_large", "example_too_large", "killed_for_memory"):
        for at, run in enumerate(read(RUNS / f"{cause}.jsonl.xz") if (RUNS / f"{cause}.jsonl.xz").exists() else ()):
            if at % HISTORIES == seed:
                view = run.view.model_copy(update={"state": "failed"})
                told = memory_of(TrainJob(run=run.key, plan=run.plan), view, run_report(view, Path()))
                found += [point for one in points_of(told) if (point := learned._from_memory(one)) is not None]
    return Limits(point.model_copy(update={"key": own[point.kind], "room": 0}) for point in found)


@pytest.mark.parametrize("remembered", [by_chance, of_labfail])
def test_what_is_proposed_is_accepted_and_a_refusal_has_a_way_out(lab: Lab, place: tuple[str, DatasetProfile], remembered, monkeypatch):
    base, profile = place
    usual = TextPlan.model_validate(lab.propose(profile, base).plan)
    moved = refused = failures = 0
    machine = lab.machine()
    for seed in range(HISTORIES):
        known = remembered(lab, usual, seed)
        failures += len(known.failed)
        for changes in FIXED:
            found = propose(lab, profile, base, changes, known)
            problem = next((one for one in found.problems if one.code == "never_twice"), None)
            moved += found.plan != lab.propose(profile, base, **changes).plan
            if problem is None:
                for share in (1.2, 1.0, 0.9):  # of the memory that was free when it was proposed
                    less = machine.model_copy(update={"memory_free": int(share * machine.memory_free)})
                    monkeypatch.setattr(Lab, "machine", lambda self, less=less: less)
                    assert rules_out(lab, lab.typed(found), known) is None, (seed, changes, share)
                    monkeypatch.setattr(Lab, "machine", lambda self: machine)
                continue
            refused += 1
            without = propose(lab, profile, base, {}, known)
            if any(one.code == "never_twice" for one in without.problems):
                assert not changes or "Undo" in problem.todo
                assert "forget" in next(one.todo for one in without.problems if one.code == "never_twice")
            else:
                assert "Undo your own changes" in problem.todo, "and undoing them works"
    assert failures, "something was remembered"
    assert moved + refused or remembered is of_labfail, "and it mattered; what failed in LabFail was larger than this plan"


def test_the_command_line_proposes_with_the_memory_it_starts_with(lab: Lab, place: tuple[str, DatasetProfile], monkeypatch, capsys):
    """`plan` proposed what the planner alone would, and `train` refused it because of what was remembered."""
    from advisor.cli import check

    base, profile = place
    usual = TextPlan.model_validate(lab.propose(profile, base).plan)
    known = Limits([here(lab, usual.model_copy(update={"learning_rate": usual.learning_rate / 4}), failed=True)[1]])
    monkeypatch.setattr(Advisor, "limits", lambda self: known)
    begun: list[Any] = []
    monkeypatch.setattr(Lab, "start", lambda self, plan, origin=None: begun.append(plan) or "run")
    monkeypatch.setattr(app, "conclude", lambda *args, **more: None)
    monkeypatch.setattr(console.sys, "argv", ["loralab", "train", profile.path, "--model", base, "--yes", "--home", str(lab.home)])
    with pytest.raises(SystemExit) as ended:
        raise SystemExit(app.main(app.Ways(check.begin, check.propose)))
    assert not ended.value.code, capsys.readouterr()
    (plan,) = begun
    assert isinstance(plan, Proposal)
    assert plan.plan["learning_rate"] < usual.learning_rate / 4
    with pytest.raises(SystemExit) as ended:
        raise SystemExit(app.main(app.Ways(check.begin, None)))
    assert ended.value.code == 1, "the planner alone proposes what is refused"
