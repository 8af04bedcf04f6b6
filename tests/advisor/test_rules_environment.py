"""Rules for what a run leaves behind when it learned by heart, forgot, was stopped, lost its disk, its base or its examples; each beside a
neighbour in which it must stay silent."""

from __future__ import annotations

import sys
from dataclasses import replace

import pytest

from advisor.diagnosis.case import Case
from advisor.diagnosis.diagnose import diagnose
from advisor.rules import Rule, _page, rules
from loralab.core.records import Plan
from tests.support import spoiled
from tests.support.spoiled import copy_of, ended, incident, judged, note, ran

FALLING = [3.0 - 0.05 * step for step in range(50)]
NOTHING = [max(0.02, 3.0 - 0.1 * step) for step in range(50)]
DONE = ended("", "finished")

# rule -> (a case in which it speaks, one in which it must not)
CASES: dict[str, tuple[Case, Case]] = {
    "overfitting": (
        ran(DONE, losses=FALLING, heldout=[2.0, 1.5, 1.8, 2.1, 2.4]),
        ran(DONE, losses=FALLING, heldout=[2.0, 1.5, 1.4, 1.41, 1.42]),
    ),
    "learned_by_heart": (
        ran(DONE, losses=NOTHING, heldout=[2.9, 2.8, 2.8, 2.79, 2.79]),
        ran(DONE, losses=NOTHING, heldout=[2.0, 1.0, 0.3, 0.1, 0.05]),
    ),
    "forgetting": (ran(judged("forgetting", 2.0, 3.5, "worse"), DONE), ran(judged("forgetting", 2.0, 2.2, "no difference seen"), DONE)),
    "repeats_itself": (ran(judged("repeats", 0.01, 0.5, "worse"), DONE), ran(judged("repeats", 0.01, 0.03, "worse"), DONE)),
    "never_ends": (ran(judged("ends_turn", 0.9, 0.1, "worse"), DONE), ran(judged("ends_turn", 0.1, 0.2, "better"), DONE)),
    "marks_in_answers": (ran(judged("leaks", 0.0, 0.4, "worse"), DONE), ran(judged("leaks", 0.4, 0.0, "better"), DONE)),
    "template_refuses": (ran(ended("template_refuses")), ran(ended("unexpected"))),
    "disk_full": (ran(ended("disk_full")), ran(ended("disk_error"))),
    "not_writable": (ran(ended("no_permission")), ran(ended("disk_full"))),
    "stopped_by_person": (ran(ended("", "stopped"), losses=FALLING), ran(ended("does_not_fit", "stopped"), losses=FALLING)),
    "switched_off": (
        ran(copy_of(30), ended("worker_gone", "killed"), losses=FALLING),
        ran(ended("ended_by_force", "killed"), losses=FALLING),
    ),
    "waited": (
        ran(note("Waiting because the battery is at 10 % (your limit is 20 %). It goes on by itself."), DONE),
        ran(note("Went on from update 3 of 9."), DONE),
    ),
    "missing_package": (ran(ended("no_bitsandbytes"), precision="nf4"), ran(ended("unexpected"), losses=FALLING)),
    "damaged_copy": (ran(incident("damaged_copy"), DONE), ran(incident("rolled_back"), DONE)),
    "base_changed": (ran(ended("base_changed")), ran(ended("corrupt_weights"))),
    "examples_gone": (ran(ended("no_file")), ran(ended("no_permission"))),
    "crashed": (ran(ended("crashed", "killed")), ran(ended("out_of_memory", "killed"))),
}


@pytest.mark.parametrize("rule", CASES)
def test_it_is_found_with_its_evidence(rule: str) -> None:
    found = spoiled.found(CASES[rule][0], rule)
    assert found is not None
    assert found.evidence
    assert found.fixes


@pytest.mark.parametrize("rule", CASES)
def test_its_neighbour_is_something_else(rule: str) -> None:
    assert spoiled.found(CASES[rule][1], rule) is None


@pytest.mark.parametrize("rule", [name for name in CASES if rules()[name].tasks is None])
def test_a_rule_for_every_kind_of_training_reads_no_setting_of_one(rule: str) -> None:
    text = CASES[rule][0]
    picture = replace(text, plan=Plan(task="picture", dataset=text.plan.dataset), asked=Plan(task="picture"))
    assert [found.rule for found in diagnose(picture).findings] == [rule], "and rules that know text alone are not asked"


def test_a_stop_that_was_asked_for_is_no_alarm() -> None:
    found = spoiled.found(CASES["stopped_by_person"][0], "stopped_by_person")
    assert found is not None
    assert not found.alarm


def test_a_model_that_knew_little_has_little_to_forget() -> None:
    alarms = [spoiled.found(ran(judged("forgetting", base, base + 2, "worse"), DONE), "forgetting") for base in (2.0, 4.5)]
    assert [found is not None and found.alarm for found in alarms] == [True, False]


def test_a_full_disk_that_was_waited_out_is_told_and_no_alarm() -> None:
    found = spoiled.found(ran(incident("disk_full"), DONE, losses=FALLING), "disk_full")
    assert found is not None
    assert not found.alarm


def test_without_the_package_the_way_out_does_without_it() -> None:
    found = spoiled.found(CASES["missing_package"][0], "missing_package")
    assert found is not None
    assert found.settings == {"precision": "bf16"}


def test_the_page_of_causes_is_up_to_date() -> None:
    assert _page.PAGE.read_text("utf-8") == _page.page(), "run: make diagnoses"


@pytest.mark.parametrize("rule", rules().values(), ids=rules())
def test_a_rule_is_its_own_page(rule: Rule) -> None:
    words = sys.modules[rule.check.__module__].__doc__ or ""
    assert words.partition("\n")[0].endswith((".", ","))
    assert [part in words for part in ("What it looks like:", "Why:", "What to do:")] == [True] * 3


def test_no_two_rules_share_a_number() -> None:
    numbers = [rule.id for rule in rules().values()]
    assert len(numbers) == len(set(numbers))
