"""What was planned against what ran: a rule tells of the rounds that were made, and its way out sets what really ended the run."""

from __future__ import annotations

import math
from typing import Any

import pytest

from advisor.diagnosis.case import Case
from advisor.diagnosis.diagnose import diagnose
from advisor.diagnosis.findings import Finding
from loralab.core.events import Evaluated, Event, Noted
from loralab.core.records import Score
from tests.support.built_cases import case, curve, failed, falling, finished, looks

EACH_ROUND = 57  # updates, of 450 examples, 8 at a time
LEARNED = [2.5, 1.2, 0.6, 0.3, 0.1]


def judged(name: str, before: float, after: float) -> Evaluated:
    score = Score(name=name, before=before, after=after, n=40, difference=after - before, verdict="worse", words="")
    return Evaluated(step=99, split="final", loss=1.0, n=40, scores=(score,))


def ran(n: int, *more: Event, total: int = 0, **settings: Any) -> Case:
    """A run of so many updates over 450 examples."""
    return case([*falling(n)[:-1], *more, finished(n)] if not total else [*stopped_short(n, total), *more, finished(n)], **settings)


def stopped_short(n: int, total: int) -> list[Event]:
    return [*curve([2.0] * n, total=total), *looks(3.0, (n // 4, 1.0), (n // 2, 1.2), (3 * n // 4, 1.3), (n, 1.4))]


def said(one: Case, rule: str) -> Finding:
    return next(finding for finding in diagnose(one).findings if finding.rule == rule)


EARLY = Noted(text="Ended early.", code="ended_early", why="the held-out loss has not improved for 3 looks")


@pytest.mark.parametrize(
    ("of", "bound", "rounds"),
    [
        pytest.param(ran(171, epochs=3.0), "rounds", 3.0, id="its rounds were made"),
        pytest.param(ran(57, epochs=50.0, max_steps=57), "updates", 1.0, id="a limit on updates ended it"),
        pytest.param(ran(57, epochs=1.0, max_steps=400), "rounds", 1.0, id="a limit that was never met"),
        pytest.param(ran(114, total=570, epochs=10.0, max_minutes=2.0), "patience", 2.0, id="patience, before the clock"),
        pytest.param(ran(114, EARLY, total=570, epochs=10.0), "patience", 2.0, id="patience"),
        pytest.param(
            case([*curve([2.0] * 57, total=570), *looks(3.0, (57, 2.0)), finished(57)], epochs=10.0, max_minutes=2.0), "clock", 1.0
        ),
        pytest.param(case([*curve([2.0] * 57, total=570), failed("x")], epochs=10.0), "failed", 1.0, id="it failed"),
        pytest.param(case([*curve([2.0] * 57, total=570), failed("x", outcome="killed")], epochs=10.0), "killed", 1.0, id="a kill"),
        pytest.param(case([*curve([2.0] * 57, total=570)], epochs=10.0), "", 1.0, id="it still goes on"),
        pytest.param(case(None, epochs=10.0), "", 10.0, id="a plan"),
        pytest.param(case(None, epochs=10.0, max_steps=57), "", 1.0, id="a plan with a limit"),
    ],
)
def test_one_place_knows_what_ended_it_and_how_many_rounds_were_made(of: Case, bound: str, rounds: float):
    assert of.course.bound == bound
    assert of.course.rounds == pytest.approx(rounds, abs=0.05)


REPEATS, FORGETS = judged("repeats", 0.05, 0.5), judged("forgetting", 2.5, 3.5)
LIMITED: dict[str, Any] = {"epochs": 100.0, "max_steps": 228}  # four rounds of the hundred
RELATIVES = [
    pytest.param("repeats_itself", ran(228, REPEATS, **LIMITED), id="repeats, a limit on updates"),
    pytest.param("repeats_itself", ran(228, REPEATS, EARLY, total=5700, epochs=100.0), id="repeats, patience"),
    pytest.param("repeats_itself", ran(228, REPEATS, total=5700, epochs=100.0, max_minutes=9.0, patience=0), id="repeats, the clock"),
    pytest.param("forgetting", ran(228, FORGETS, **LIMITED), id="forgot, a limit on updates"),
    pytest.param("forgetting", ran(228, FORGETS, EARLY, total=5700, epochs=100.0), id="forgot, patience"),
    pytest.param(
        "learned_by_heart",
        case([*curve(LEARNED * 40 + [0.05] * 28), *looks(3.0, (57, 1.5), (228, 1.5)), finished(228)], **LIMITED),
        id="by heart, a limit on updates",
    ),
]


@pytest.mark.parametrize(("rule", "of"), RELATIVES)
def test_fewer_rounds_are_fewer_than_were_made(rule: str, of: Case):
    """Half of a hundred rounds that were never made would be more, not fewer: “go over the examples 50 times”."""
    fix = next(fix for fix in said(of, rule).fixes if "epochs" in fix.settings)
    assert fix.settings["epochs"] == pytest.approx(2.0, abs=0.1)
    after = of.plan.model_copy(update=fix.settings)
    assert after.updates(EACH_ROUND) < of.course.updates, "and nothing else decides"
    told = next((one.value for one in said(of, rule).evidence if one.what.startswith("rounds")), 4.0)
    assert told == pytest.approx(4.0, abs=0.1), "evidence quotes what ran"


@pytest.mark.parametrize(
    "settings",
    [
        pytest.param({"epochs": 4.0}, id="rounds"),
        pytest.param({"epochs": 100.0, "max_steps": 228}, id="updates"),
        pytest.param({"epochs": 4.0, "max_steps": 300}, id="rounds, close to a limit"),
        pytest.param({"epochs": 4.0, "max_steps": 228}, id="both at once"),
        pytest.param({"epochs": 9.0, "max_steps": 228}, id="updates, with some rounds to spare"),
    ],
)
def test_twice_as_long_is_twice_as_long_whatever_ended_it(settings: dict[str, Any]):
    of = ran(228, judged("ends_turn", 0.9, 0.2), **settings)
    after = of.plan.model_copy(update=said(of, "never_ends").settings)
    assert after.updates(EACH_ROUND) == pytest.approx(2 * 228, abs=1)


def test_twice_as_long_is_twice_the_minutes_where_the_clock_ended_it():
    of = case([*curve([2.0] * 57, total=570), *looks(3.0, (57, 2.0)), finished(57)], epochs=1.5, max_minutes=2.0)
    assert of.course.longer() == {"max_minutes": 4.0, "epochs": 2.0}


def test_a_shorter_plan_is_given_what_the_longer_one_had_used_by_its_best_look():
    """A quarter of a run that falls like a cosine is at its full rate; planned that short it would be at half of it on average."""

    def overfitted(schedule: str) -> Case:
        best, total = 57, 228
        rate = [2e-4 * (0.5 * (1 + math.cos(math.pi * n / total)) if schedule == "cosine" else 1.0) for n in range(total)]
        seen = [(best, 1.0), (114, 1.2), (171, 1.4), (228, 1.6)]
        steps = [s.model_copy(update={"learning_rate": r}) for s, r in zip(curve([0.9 - n / 500 for n in range(total)]), rate, strict=True)]
        return case([*steps, *looks(3.0, *seen), finished(total)], epochs=4.0, schedule=schedule)

    assert said(overfitted("constant"), "overfitting").settings["epochs"] == pytest.approx(1.0, abs=0.1)
    assert said(overfitted("cosine"), "overfitting").settings["epochs"] == pytest.approx(1.9, abs=0.15)


def test_a_warm_up_is_counted_in_what_ran():
    short = case([*curve([2.0] * 40, total=400), *looks(3.0, (40, 2.0)), finished(40)], epochs=9.0, warmup=0.2)
    assert short.course.warm_part == 1.0, "it never left its warm-up"
    assert case(None, epochs=3.0, warmup=0.1).course.warm_part == pytest.approx(0.1, abs=0.02)
