"""The one best next step: what the diagnosis says first, never what was begun already, begun as a child of the run."""

from __future__ import annotations

from typing import Any

import pytest

from advisor.advisor import Advisor
from advisor.diagnosis.findings import Diagnosis, Finding, Fix
from advisor.proposals.next_step import begin_step, in_plain_words, next_step
from loralab.core.jobs import Improvement, TrainJob
from loralab.lab import Lab
from loralab.runs import runs

LONGER = Fix(words="Train about twice as long.", settings={"epochs": 2.0})
SHORTER = Fix(words="Use half as many rounds.", settings={"epochs": 0.5})


@pytest.fixture
def family(lab: Lab) -> Lab:
    """A run on a bundled sample, written down as a worker leaves it."""
    data = lab.samples()[0].path
    plan: dict[str, Any] = lab.plan_type()(dataset=data, epochs=1.0).model_dump()
    put(lab, "parent", TrainJob(run="parent", plan=plan | {"title": "Mine"}))
    return lab


def put(lab: Lab, run: str, job: TrainJob) -> None:
    folder = lab.home / "runs" / run
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(job.model_dump_json())


def said(run: str, *fixes: Fix, severity: Any = "warning", confidence: float = 0.7) -> Diagnosis:
    found = Finding(
        rule="undertrained",
        id="R34",
        group="no learning",
        title="It was still getting better",
        words="The loss still fell.",
        severity=severity,
        action="propose",
        confidence=confidence,
        fixes=fixes,
    )
    return Diagnosis(run=run, findings=(found,))


def test_what_only_a_person_can_do_is_no_step(family: Lab) -> None:
    add, copies = Fix(words="Add examples.", data="add", rows=21), Fix(words="Remove the copies.", data="deduplicate")
    assert next_step(family, said("parent", add)) is None
    step = next_step(family, said("parent", add, copies))
    assert step is not None
    assert step.data == "deduplicate"


def test_the_first_way_out_is_the_step_and_it_says_why_and_how_long(family: Lab) -> None:
    step = next_step(family, said("parent", LONGER, SHORTER))
    assert step is not None
    assert (step.words, step.why) == ("Go over the examples twice instead of once.", "The loss still fell.")
    assert step.settings == {"epochs": 2.0}
    assert step.seconds
    again = next_step(family, said("parent", SHORTER))
    assert again is not None
    assert again.seconds
    assert again.seconds < step.seconds
    assert next_step(family, said("parent", LONGER, severity="info", confidence=0.3)) is None
    assert next_step(family, said("parent", Fix(words="Collect more."))) is None


def test_the_child_carries_every_setting_and_whose_child_it_is(family: Lab) -> None:
    step = next_step(family, said("parent", LONGER))
    assert step is not None
    proposal, origin = begin_step(family, step)
    assert {name: value for name, value in proposal.plan.items() if value != family.job("parent").plan[name]} == {"epochs": 2.0}
    assert (origin.of, origin.rule, origin.settings) == ("parent", "undertrained", {"epochs": 2.0})


def test_another_model_is_planned_anew_and_said_with_what_it_takes(family: Lab) -> None:
    step = next_step(family, said("parent", Fix(words="Use qwen3-0.6b.", settings={"base_model": "qwen3-0.6b"})))
    assert step is not None
    assert step.model == "qwen3-0.6b"
    assert step.download_bytes > 1e8
    proposal, _ = begin_step(family, step)
    assert proposal.plan["base_model"] == "qwen3-0.6b"
    assert proposal.plan["dataset"] == family.job("parent").plan["dataset"]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"learning_rate": 1e-4}, "Let it learn in smaller steps."),
        ({"learning_rate": 1e-2}, "Let it learn in bigger steps."),
        ({"epochs": 1.5, "max_steps": 0}, "Go over the examples 1.5 times instead of 4 times."),
        ({"learning_rate": 1e-4, "alpha": 32.0}, "Let it learn in smaller steps."),
        ({"learning_rate": 1e-2, "alpha": 8.0}, "Let it learn in bigger steps."),
        ({"rank": 32}, "Use rank 32."),
    ],
)
def test_a_way_out_is_said_without_terms_of_art_where_it_can_be(settings: dict[str, Any], words: str) -> None:
    assert in_plain_words(Fix(words="Use rank 32.", settings=settings), {"learning_rate": 1e-3, "epochs": 4.0, "alpha": 16.0}) == words


def test_a_click_begins_the_child(family: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[TrainJob] = []
    monkeypatch.setattr(runs, "start", lambda _home, job, _launch="": begun.append(job) or "child")
    step = next_step(family, said("parent", LONGER))
    assert step is not None
    assert Advisor(family).improve(step) == "child"
    (job,) = begun
    assert job.title == "Mine 2"
    assert job.plan["epochs"] == 2.0
    assert isinstance(job.origin, Improvement)
    assert job.origin.of == "parent"


def test_what_a_child_was_begun_with_is_not_offered_again(family: Lab) -> None:
    plan = family.job("parent").plan
    child = TrainJob(run="child", plan=plan | {"epochs": 2.0}, origin=Improvement(of="parent", rule="undertrained", words="", settings={}))
    put(family, "child", child)
    assert next_step(family, said("parent", LONGER)) is None  # the child did that
    other = next_step(family, said("parent", LONGER, SHORTER))
    assert other is not None
    assert other.settings == SHORTER.settings
