"""What would help is tried before it is told: on real runs a change that helps is found, and one that changes nothing is not."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from advisor.advisor import Advisor
from advisor.diagnosis.findings import Diagnosis, Finding, Fix
from advisor.proposals import pilots
from advisor.proposals.pilots import Offer
from advisor.repair import tries
from loralab.core.errors import UserError
from loralab.core.events import Ended, Event, Measured
from loralab.core.jobs import TrainJob, Trial
from loralab.lab import Lab
from loralab.runs import runs
from loralab.tasks import parse_plan
from loralab.tasks.text import TextPlan
from tests.advisor.test_tries import put
from tests.support.learned import Learned

FASTER = Fix(words="Use a learning rate of 0.01.", settings={"learning_rate": 0.01})
FEWER = Fix(words="Use half as many rounds.", settings={"epochs": 1.0})
SLOWER = Fix(words="Use a learning rate of 0.00001.", settings={"learning_rate": 1e-5})
MORE = Fix(words="Go over them more often.", settings={"epochs": 8.0})
ASIDE = Fix(words="Keep 20% aside.", settings={"heldout_share": 0.2})
COPIES = Fix(words="Remove the copies.", data="deduplicate")


def said(run: str, *fixes: Fix) -> Diagnosis:
    return Diagnosis(run=run, findings=(_found(fixes),) if fixes else ())


def _found(fixes: tuple[Fix, ...]) -> Finding:
    words = {"title": "Too slow", "words": "It hardly moved.", "severity": "warning", "action": "propose", "group": "no learning"}
    return Finding.model_validate({"rule": "rate_too_low", "id": "R36", "confidence": 0.7, "fixes": fixes, **words})


def judged(after: Any, before: float = 3.0) -> dict[str, Any]:
    """A judgement of sixty examples by their losses."""
    losses = np.broadcast_to(np.asarray(after, dtype=float), 60)
    rows = [{"row": at, "before_loss": before, "after_loss": float(loss), "tokens": 10, "bytes": 30} for at, loss in enumerate(losses)]
    return {"rows": {"loss": rows}}


# ---- what is chosen ----------------------------------------------------------------------------------------------------------


def test_what_is_the_same_is_hardly_ever_said_to_help():
    draw, wrong = np.random.default_rng(0), 0
    for _ in range(200):
        hard = draw.normal(2.0, 0.3, 60)
        ways = {name: judged(hard + draw.normal(0, 0.03) + draw.normal(0, 0.05, 60)) for name in "abcd"}
        wrong += bool(pilots.chosen(ways, "a"))
    assert wrong <= 10


@pytest.mark.parametrize(
    ("ways", "best"),
    [
        ({"as": judged(2.0), "one": judged(1.5), "other": judged(1.2)}, "other"),
        ({"as": judged(2.0), "one": judged(2.5), "other": judged(2.0)}, ""),
        ({"as": judged(2.0), "one": judged(1.95)}, ""),  # less than the order of the examples does
        ({"as": judged(4.0), "one": judged(3.99)}, ""),  # a run that was made worse moved, too
        ({"as": judged(4.0), "one": judged(2.0)}, "one"),
        ({"one": judged(2.0), "other": judged(2.5)}, "one"),  # as it is, it failed
        ({"one": judged(3.2)}, ""),
    ],
)
def test_a_way_out_helps_only_beyond_chance(ways: dict[str, dict[str, Any]], best: str):
    assert pilots.chosen(ways, "as") == best


# ---- what is tried -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def poor(lab: Lab) -> str:
    """A run on a bundled sample, as a worker leaves it."""
    return finished(lab, "poor")


def finished(lab: Lab, name: str, **settings: Any) -> str:
    plan = cast("TextPlan", parse_plan({"dataset": lab.samples()[0].path, "epochs": 2.0, "learning_rate": 1e-4} | settings))
    events: list[Event] = [Measured(text="Learning.", n_train=200, n_heldout=40), Ended(outcome="finished")]
    return put(lab, name, plan, events, model=str(lab.catalog.folder("starter")))


def offered(lab: Lab, run: str, *fixes: Fix, minutes: float = 60.0) -> Offer | None:
    return pilots.offer(lab, said(run, *fixes), minutes, lambda plan, rate: True)


def test_ways_out_are_tried_whole_where_there_is_time_and_short_where_there_is_not(lab: Lab, poor: str):
    whole = offered(lab, poor, FASTER, FEWER)
    assert whole is not None
    assert [arm.short for arm in whole.arms] == ["as it is", "bigger steps", "fewer rounds"]
    assert whole.updates == 0
    assert whole.seconds > 0
    short = offered(lab, poor, FASTER, FEWER, minutes=whole.seconds / 60 - 0.01)
    if short is not None:  # of fewer rounds a short run says nothing
        assert [arm.short for arm in short.arms] == ["as it is", "bigger steps"]
        assert {arm.plan["max_steps"] for arm in short.arms} == {short.updates}
    assert offered(lab, poor, FASTER, minutes=0.001) is None


def test_what_is_certain_without_a_test_and_what_changes_what_is_judged_is_not_tried(lab: Lab, poor: str):
    assert offered(lab, poor, COPIES, FASTER) is None
    assert offered(lab, poor, ASIDE) is None
    found = offered(lab, poor, FASTER, ASIDE, COPIES)
    assert found is not None
    assert [arm.settings for arm in found.arms] == [{}, FASTER.settings, {"learning_rate": pytest.approx(3.3e-5)}]
    assert offered(lab, poor) is None, "nothing is wrong with it"
    assert offered(lab, finished(lab, "timed", max_minutes=1.0), FASTER) is None, "a clock makes the same run come out otherwise"


def test_nothing_is_tried_without_a_yes_and_the_yes_can_be_taken_back(lab: Lab, poor: str, monkeypatch: pytest.MonkeyPatch):
    advisor = Advisor(lab)
    monkeypatch.setattr(Advisor, "diagnose", lambda self, run: said(run, FASTER))
    begun: list[TrainJob] = []
    monkeypatch.setattr(runs, "start", lambda _home, job, _launch="": begun.append(job) or f"try{len(begun)}")
    assert not tries.policy(lab.home).try_first
    with pytest.raises(UserError, match="not allowed"):
        advisor.try_first(poor)
    advisor.allow(try_first=True)
    advisor.allow(try_minutes=60)
    assert Advisor(lab).try_first(poor) == ("try1", "try2", "try3")
    origins = [job.origin for job in begun]
    assert all(isinstance(one, Trial) and one.of == poor and not one.follow for one in origins)
    assert [job.plan["title"] for job in begun] == [
        "Trying 1 of 3: as it is",
        "Trying 2 of 3: bigger steps",
        "Trying 3 of 3: smaller steps",
    ]
    advisor.allow(try_first=False)
    with pytest.raises(UserError, match="not allowed"):
        advisor.try_first(poor)
    monkeypatch.setattr(Lab, "queue", lambda self: ("at work",))
    advisor.allow(try_first=True)
    with pytest.raises(UserError, match="at work"):
        advisor.try_first(poor)


# ---- real runs ---------------------------------------------------------------------------------------------------------------


@pytest.mark.worker
def test_real_runs_show_what_helps_and_what_does_not_and_the_advice_says_it(learned: Learned, home: Path, monkeypatch: pytest.MonkeyPatch):
    run, advisor = learned.copy(home), Advisor(lab := Lab(home))
    monkeypatch.setattr(Advisor, "diagnose", lambda self, name: said(name, SLOWER, MORE))
    before = advisor.next_step(run)
    assert before is not None
    assert (before.settings, before.tried) == (SLOWER.settings, ""), "what the rules say first"
    advisor.allow(try_first=True)
    names = advisor.try_first(run)
    at_work = advisor.tested(run)
    assert at_work is not None
    assert (at_work.active, at_work.number, at_work.working) == (True, 1, names[0])
    assert at_work.seconds_left > 0
    with pytest.raises(UserError):
        advisor.try_first(run)
    assert [lab.wait(name).state for name in names] == ["finished", "finished"]
    step = advisor.next_step(run)
    assert step is not None
    assert (step.settings, step.helps) == (MORE.settings, False), "twice as many rounds and more come to the same here"
    assert step.tried.startswith("Tried: smaller steps ")
    assert ", more rounds " in step.tried
    assert ", as it is " in step.tried
    assert step.tried.endswith("Any difference may be chance.")
    judged = {name: lab.judgement(name) for name in (run, *names)}
    assert pilots.chosen(judged, run) == "", "what is slower, and what is as good, is no help"
    assert pilots.chosen(judged, names[0]) in {run, names[1]}, "to the slow one either is"
    assert advisor.would_try(run) is None, "it was tried"
    assert not [name for name in names if advisor.would_try(name)], "a test is no run to make better"


@pytest.mark.worker
def test_a_test_that_is_cancelled_tells_nothing_and_is_offered_again(lab: Lab, poor: str, monkeypatch: pytest.MonkeyPatch):
    advisor = Advisor(lab)
    monkeypatch.setattr(Advisor, "diagnose", lambda self, run: said(run, FASTER))
    advisor.allow(try_first=True, try_minutes=60)
    names = advisor.try_first(poor)
    advisor.cancel_test(poor)
    assert {lab.wait(name).state for name in names} == {"stopped"}
    assert advisor.tested(poor) is None
    assert advisor.would_try(poor) is not None


@pytest.mark.worker
@pytest.mark.long
def test_real_runs_that_are_alike_but_for_their_seed_do_not_help(tmp_path: Path):
    from benchmarks.advice.alike import tested
    from benchmarks.advice.recipes import drawn

    wrong = [number for number in (5, 17, 19, 21) if pilots.chosen(tested(drawn(number), "llama", tmp_path, short=True), "0")]
    assert not wrong
