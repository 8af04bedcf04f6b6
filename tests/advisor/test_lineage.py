"""Advice over several runs: what history refutes is not given, and no two buttons of a lineage are opposite."""

from __future__ import annotations

import dataclasses
import math
from functools import cache
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from advisor.advisor import Advisor
from advisor.diagnosis.case import Case, of_run
from advisor.diagnosis.diagnose import diagnose
from advisor.diagnosis.earlier import Earlier
from advisor.diagnosis.findings import Diagnosis, Finding, change
from advisor.diagnosis.lineage import Move, Step, advised, earlier_of
from advisor.rules import rules
from benchmarks.labfail.records import RUNS, read
from benchmarks.labfail.replay import case_of
from loralab.core.events import Evaluated, EventLog
from loralab.core.records import Score
from loralab.tasks.text import TextPlan
from tests.support.remembering import writer

QUICK = ("too_few_updates", "rate_too_high", "rate_too_low", "memorised", "killed_for_memory", "healthy")
MOST_OF_EACH = 4


def finding(rule: str, group: Any = "no learning", severity: Any = "warning", **to: float) -> Finding:
    """A finding with one way out; without one it has nothing to say."""
    return Finding(
        rule=rule,
        id="R01",
        group=group,
        title=rule,
        words="Do it." if to else "",
        severity=severity,
        action="propose",
        confidence=0.7,
        fixes=(change("Do it.", **to),) if to else (),
    )


def step(*found: Finding, loss: float = math.nan, ended: bool = True, **asked: float) -> Step:
    return Step(TextPlan().model_dump() | {"epochs": 1.0} | asked, Diagnosis(findings=found), loss, ended)


def buttons(said: Diagnosis, of: Step) -> list[tuple[Finding, Move]]:
    """What one click on each would change."""
    shown = [(one, fix) for one in said.findings for fix in one.fixes[:1]]
    return [(f, m) for f, fix in shown for name, value in fix.settings.items() if (m := Move(name, of.settings[name], value)).direction]


def opposite(steps: list[Step]) -> list[tuple[Move, Move]]:
    """Pairs of buttons on the screen today that undo each other."""
    shown = [move for said, of in zip(advised(steps), steps, strict=True) for _, move in buttons(said, of)]
    return [(one, other) for one in shown for other in shown if one.undoes(other)]


def taken_back(steps: list[Step]) -> list[tuple[Move, Move]]:
    """Offers about the newest run, over time, that undo an earlier one although nothing was unsafe."""
    found: list[tuple[Move, Move]] = []
    before: list[Move] = []
    for n in range(1, len(steps) + 1):
        now = buttons(advised(steps[:n])[-1], steps[n - 1])
        calm = [move for one, move in now if one.group not in ("memory", "non-finite", "instability")]
        found += [(move, old) for move in calm for old in before if move.undoes(old)]
        before += [move for _, move in now]
    return found


@cache
def pool() -> list[Step]:
    """Real runs of LabFail, each as a step of some lineage."""
    found: list[Step] = []
    for name in QUICK:
        for run, _ in zip(read(RUNS / f"{name}.jsonl.xz"), range(MOST_OF_EACH), strict=False):
            case = case_of(run, run.view)
            found.append(Step(case.asked.model_dump(), diagnose(case), case.signals.best, run.view.state == "finished"))
    return found


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, MOST_OF_EACH * len(QUICK) - 1), min_size=2, max_size=6))
def test_real_runs_in_any_order_give_no_two_opposite_buttons(order: list[int]):
    steps = [pool()[at % len(pool())] for at in order]
    assert opposite(steps) == []
    assert taken_back(steps) == []


RULES = st.sampled_from([("few_updates", "no learning"), ("repeats_itself", "overfitting"), ("diverged", "instability"), ("oom", "memory")])
SETTING = st.sampled_from(["epochs", "learning_rate", "rank", "token_budget"])
ADVICE = st.tuples(RULES, SETTING, st.sampled_from([0.25, 0.5, 2.0, 4.0]))
RUN = st.tuples(st.lists(ADVICE, max_size=3), st.one_of(st.just(math.nan), st.floats(0.5, 5)), st.booleans(), st.booleans())


@settings(max_examples=150, deadline=None)
@given(st.lists(RUN, min_size=2, max_size=7))
def test_any_history_of_a_person_who_presses_buttons_or_does_not_gives_none_either(history):
    now = TextPlan(token_budget=1024).model_dump()
    steps: list[Step] = []
    for given_, loss, ended, presses in history:
        to = [(rule, group, name, type(now[name])(max(1e-6, now[name] * by))) for (rule, group), name, by in given_]
        found = [finding(rule, group, "warning", **{name: value}) for rule, group, name, value in to]
        steps.append(Step(now, Diagnosis(findings=tuple(found)), loss, ended))
        if presses and (offered := [one.fixes[0].settings for one in advised(steps)[-1].findings if one.fixes]):
            now = now | offered[0]
    assert opposite(steps) == []
    assert taken_back(steps) == []


MORE: dict[str, Any] = {"epochs": 2.0}
FEWER: dict[str, Any] = {"epochs": 1.0}


@pytest.mark.parametrize(
    ("steps", "offered"),
    [
        pytest.param([step(finding("few_updates", **MORE))], [True], id="nothing speaks against it"),
        pytest.param(
            [step(finding("few_updates", **MORE), loss=4.8), step(finding("repeats_itself", **FEWER), epochs=2.0, loss=4.5)],
            [False, False],
            id="it was done, and is not taken back",
        ),
        pytest.param(
            [step(loss=4.8), step(finding("repeats_itself", **FEWER), epochs=2.0, loss=4.5)], [False], id="fewer rounds were worse"
        ),
        pytest.param(
            [step(loss=4.2), step(finding("repeats_itself", **FEWER), epochs=2.0, loss=4.5)], [True], id="fewer rounds were better"
        ),
        pytest.param(
            [step(finding("repeats_itself"), loss=4.2), step(finding("repeats_itself", **FEWER), epochs=2.0, loss=4.5)],
            [False],
            id="fewer rounds had the same trouble",
        ),
        pytest.param(
            [
                step(finding("rate_too_low", learning_rate=2e-3)),
                step(finding("diverged", "instability", "error", learning_rate=4e-4), learning_rate=2e-3),
            ],
            [False, True],
            id="what is unsafe is answered, and what led there is withdrawn",
        ),
    ],
)
def test_history_decides_which_button_is_offered(steps: list[Step], offered: list[bool]):
    said = [bool(one.fixes) for found in advised(steps) for one in found.findings if one.words]
    assert said[-len(offered) :] == offered
    assert [len(found.findings) for found in advised(steps)] == [len(one.found.findings) for one in steps], "the words stay"


def test_the_advisor_asks_the_runs_before(lab):
    """The journey that gave two opposite buttons: one round, then two, and each time the other was advised."""
    write = writer(lab.home)
    repeats = Score(name="repeats", before=0.08, after=0.45, n=40, difference=0.37, verdict="worse", words="")
    for run, rounds, loss in (("a", 1.0, 2.0), ("b", 2.0, 1.8)):
        write(run, epochs=rounds)
        EventLog(lab.home / "runs" / run / "events.jsonl")(Evaluated(step=9, split="final", loss=loss, n=10, scores=(repeats,)))
    alone = next(one for one in diagnose(of_run(lab, "b")).findings if one.rule == "repeats_itself")
    assert alone.settings["epochs"] == 1.0, "by itself the rule would advise fewer rounds"
    said = Advisor(lab).diagnose("b")
    assert "repeats_itself" in [one.rule for one in said.findings], "it is told all the same"
    assert not next(one for one in said.findings if one.rule == "repeats_itself").fixes


def test_taking_a_limit_away_is_a_change() -> None:
    def offered(limit: int) -> list[dict[str, Any]]:
        said = advised([step(finding("hardly_trained", max_steps=0), max_steps=limit)])[-1]
        return [fix.settings for fix in said.findings[0].fixes]

    assert offered(2) == [{"max_steps": 0}]
    assert offered(0) == []


# ---- what earlier runs say ---------------------------------------------------------------------------------------------------

DIRECTIONS = [
    pytest.param("epochs", 10.0, 4.2, 2.1, "overfitting", id="fewer rounds"),
    pytest.param("epochs", 2.0, 4.0, 8.0, "no learning", id="more rounds"),
    pytest.param("learning_rate", 1e-3, 3e-4, 1e-4, "overfitting", id="a smaller rate"),
    pytest.param("learning_rate", 1e-4, 4e-4, 2e-3, "no learning", id="a larger rate"),
    pytest.param("rank", 32, 16, 8, "overfitting", id="a smaller rank"),
    pytest.param("max_steps", 100, 50, 25, "overfitting", id="fewer updates"),
]


@pytest.mark.parametrize(("setting", "first", "then", "next_", "group"), DIRECTIONS)
def test_a_direction_that_made_it_worse_is_not_gone_on_with(setting, first, then, next_, group):
    """“Go over them 4.2 times” turned 0.127 into 1.157, and the next advice was 2.1: of each kind of setting."""
    one = step(loss=0.127, **{setting: first})
    gone_on = [step(finding("a", group, **{setting: next_}), loss=1.157, **{setting: then})]
    assert not advised([one, *gone_on])[-1].findings[0].fixes
    assert advised([step(loss=1.9, **{setting: first}), *gone_on])[-1].findings[0].fixes, "it was better that way"
    assert advised([step(loss=1.1569, **{setting: first}), *gone_on])[-1].findings[0].fixes, "no more than noise"
    assert advised([step(loss=0.127, **{setting: first}, warmup=0.3), *gone_on])[-1].findings[0].fixes, "not comparable"


def test_the_story_says_what_was_tried_and_what_came_of_it():
    (found,) = advised([step(loss=0.127, epochs=10.0), step(loss=1.157, epochs=4.2)])[-1].tried
    assert found.words == "We tried fewer rounds (4.2 instead of 10): worse. The held-out loss went from 0.127 to 1.157."
    assert advised([step(loss=2.0, epochs=2.0), step(loss=1.0, epochs=4.0)])[-1].tried[0].verdict == "better"
    assert advised([step(loss=2.0, epochs=2.0), step(loss=2.001, epochs=4.0)])[-1].tried[0].verdict == "no different"
    assert not advised([step(loss=2.0, epochs=2.0), step(loss=1.0, epochs=4.0, rank=4)])[-1].tried, "two settings differ"
    assert not advised([step(loss=2.0)])[-1].tried


CAUSES = [  # a cause, what the earlier run asked for, what the plan asks for, whether it would be done again
    pytest.param("overfitting", {"epochs": 4.0}, {"epochs": 8.0}, True, id="learned by heart, more rounds"),
    pytest.param("overfitting", {"epochs": 4.0}, {"epochs": 2.0}, False, id="learned by heart, fewer rounds"),
    pytest.param("forgetting", {"learning_rate": 1e-3}, {"learning_rate": 1e-3}, True, id="forgot, the same again"),
    pytest.param("forgetting", {"learning_rate": 1e-3}, {"learning_rate": 1e-4}, False, id="forgot, a smaller rate"),
    pytest.param("few_updates", {"max_steps": 20}, {"max_steps": 10}, True, id="too few updates, fewer still"),
    pytest.param("few_updates", {"max_steps": 20}, {"max_steps": 200}, False, id="too few updates, more"),
    pytest.param("repeats_itself", {"epochs": 9.0}, {"epochs": 9.0}, True, id="repeats itself"),
    pytest.param("unsettled", {"rank": 8}, {"rank": 8}, True, id="did not settle"),
    pytest.param("unsettled", {"rank": 8}, {"rank": 16}, False, id="did not settle, another rank"),
]


@pytest.mark.parametrize(("rule", "then", "now", "again"), CAUSES)
def test_a_plan_is_told_what_came_of_it_before(rule: str, then: dict[str, Any], now: dict[str, Any], again: bool):
    """For every cause, not for memory and running away alone; with the run, and a way out where another did better."""
    wrong = earlier_of(
        Step(TextPlan().model_dump() | then, Diagnosis(findings=(finding(rule, "overfitting", epochs=1.0),)), 2.0, True, "a")
    )
    good = earlier_of(Step(TextPlan().model_dump() | {"rank": 4}, Diagnosis(), 1.0, True, "b"))
    plan = TextPlan.model_validate(now)

    def said(*earlier: Earlier) -> Finding | None:
        return rules()["went_wrong_before"].find("went_wrong_before", Case(plan=plan, asked=plan, earlier=earlier))

    assert said() is None
    assert said(good) is None
    found = said(wrong)
    assert (found is not None) == again
    if found:
        assert not found.alarm, "nothing better is known"
        assert "a" in {one.run for one in found.evidence}
        better = said(good, wrong)
        assert better is not None
        assert better.alarm
        assert better.settings["rank"] == 4
        assert said(wrong, dataclasses.replace(good, loss=2.5)) == found, "the other was no better"
