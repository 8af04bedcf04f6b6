"""Faults that the first advice once missed, each as a kind with five relatives: really trained runs, and what came of what is advised."""

from __future__ import annotations

from typing import Any

import pytest

from advisor.diagnosis.course import Course
from advisor.diagnosis.diagnose import diagnose
from advisor.diagnosis.findings import Diagnosis, Finding
from advisor.repair.repair import KEPT
from advisor.tasks import known_plan
from benchmarks.advice.kinds import RELATIVES, Relative, read

ALL = read()
NOISE = 0.02  # of the loss: less is no harm


def of(*kinds: str) -> Any:
    chosen = [one for one in ALL if one.kind in kinds]
    return pytest.mark.parametrize("one", [pytest.param(one, id=f"{one.kind}: {one.name}") for one in chosen])


def first(found: Diagnosis) -> Finding | None:
    """What a person is told to do first."""
    return next((one for one in found.alarms if one.fixes), None)


def settings(found: Finding | None) -> dict[str, Any]:
    """What following it would change."""
    return {name: value for name, value in found.settings.items() if name not in KEPT} if found else {}


def planned(one: Relative, change: dict[str, Any]) -> tuple[int, float]:
    """Updates and minutes of the run that follows an advice."""
    plan = known_plan(one.case.asked.model_dump() | change)
    course = Course(plan, plan, one.case.facts)
    return course.updates_planned(), course.minutes


def test_each_kind_has_its_relatives():
    known = {(kind, name) for kind, names in RELATIVES.items() for name in names}
    assert {(one.kind, one.name) for one in ALL} <= known
    assert min(sum(one.kind == kind for one in ALL) for kind in RELATIVES) >= 3


@of("too long")
def test_what_went_on_too_long_is_never_made_longer_and_said_before_the_start(one: Relative):
    """The best version is kept, so fewer rounds bring nothing by themselves; more of them would be worse still."""
    change = settings(first(diagnose(one.case)))
    assert not change or planned(one, change)[0] < one.case.course.updates or change["learning_rate"] < one.case.asked.learning_rate
    assert {"few_examples_many_rounds", "overfitting"} & {finding.rule for finding in diagnose(one.before).alarms}


@of("too short")
def test_what_ended_too_soon_is_given_more_of_what_ended_it(one: Relative):
    change = settings(first(diagnose(one.case)))
    updates, minutes = planned(one, change)
    assert updates > one.case.course.updates
    assert minutes == 0 or minutes > one.case.course.minutes


@of("nobody uses it")
def test_a_setting_nobody_uses_is_said_before_and_after(one: Relative):
    changed = {name for name in RELATIVES[one.kind][one.name][2] if name != "epochs"}
    said = [finding for finding in diagnose(one.before).findings if changed & finding.settings.keys()]
    assert said, "before the start"
    after = diagnose(one.case)
    assert any(changed & finding.settings.keys() for finding in after.findings), "after it, too, if only as information where it did well"
    assert first(after) is None or changed & settings(first(after)).keys()


@of("cannot be learned")
def test_what_cannot_be_learned_is_said_before_the_start_and_no_setting_is_advised_for_it(one: Relative):
    before = first(diagnose(one.before))
    assert before is not None
    assert before.group == "data"
    after = first(diagnose(one.case))
    assert after is None or not settings(after), after and after.title


@of("healthy")
def test_healthy_runs_are_left_alone(one: Relative):
    assert {finding.rule for finding in diagnose(one.before).alarms} <= {"near_copies_apart"}, "rows of one pattern are near copies"
    assert not settings(first(diagnose(one.case)))


@of("too long", "too short", "nobody uses it")
def test_what_is_advised_first_was_followed_and_did_no_harm(one: Relative):
    change = settings(first(diagnose(one.case)))
    if change:
        assert change == one.settings, "follow it again: python -m benchmarks.advice.kinds"
        assert one.followed is not None
        assert one.followed <= (1 + NOISE) * one.loss
