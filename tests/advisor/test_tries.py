"""Owns the tests of trying again: real workers, a real failure, bounds, two apps, and the story."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest

from advisor.advisor import Advisor
from advisor.diagnosis.case import of_view
from advisor.diagnosis.diagnose import diagnose
from advisor.repair import tries
from advisor.repair.repair import repair
from loralab.core.errors import UserError
from loralab.core.events import Adjusted, Ended, Event, Incident, Measured, Started, Stepped, fold
from loralab.core.facts import Facts
from loralab.core.jobs import AfterTrials, Control, Retry, TrainJob
from loralab.lab import Lab
from loralab.planning.limits import Limits, points
from loralab.tasks.text import TextPlan
from tests.support import models

FACTS = Facts(
    architecture="LlamaForCausalLM", hidden=32, layers=2, n_train=500, n_heldout=50, tokens={"max": 100}, place="cpu | torch 2 | "
)


def wrecked(run: str, rate: float, time: float) -> list[Event]:
    """The log of a run that ran away four times."""
    facts = Measured(time=time, text="Learning from 500 examples.", facts=FACTS)
    found: list[Event] = [Started(time=time, pid=1), facts]
    for number in range(1, 4):
        found += [
            Stepped(
                time=time + number, step=number, loss=9, grad_norm=1, learning_rate=rate, tokens=9, tokens_per_second=9, memory_bytes=9
            ),
            Incident(time=time + number, step=number, code="diverged", text="It ran away.", data={"heldout": 15.0}),
            Adjusted(time=time + number + 0.1, step=number, setting="learning_rate", before=rate, after=rate / 5, reason="too big"),
        ]
        rate /= 5
    return [*found, Ended(time=time + 5, step=3, outcome="failed", what=f"{run} ran away.", code="diverged")]


def put(
    lab: Lab, run: str, plan: TextPlan, events: list[Event], origin: Retry | Control | AfterTrials | None = None, model: str = ""
) -> str:
    """A run of the past, as its files are."""
    folder = lab.home / "runs" / run
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(TrainJob(run=run, plan=plan.model_dump(), origin=origin, model=model).model_dump_json(), "utf-8")
    (folder / "events.jsonl").write_text("".join(event.model_dump_json() + "\n" for event in events), "utf-8")
    return run


@pytest.fixture
def lab(home: Path) -> Lab:
    return Lab(home)


def long_ago(lab: Lab, name: str = "amber-otter", rate: float = 0.5) -> str:
    return put(lab, name, TextPlan(dataset="a.csv", learning_rate=rate), wrecked(name, rate, 1000.0))


# ---- what is changed -------------------------------------------------------------------------------------------------------


def test_the_next_try_goes_on_from_what_the_guard_came_to_and_changes_nothing_a_person_asked_for():
    plan = TextPlan(dataset="a.csv", learning_rate=0.5, epochs=7)
    case = of_view(plan.model_dump(), fold("r", wrecked("r", 0.5, 1.0)))
    found = repair(case, diagnose(case), Limits())
    assert found is not None
    after = found.plan(plan)
    assert after.learning_rate <= 0.5 / 125
    assert (after.dataset, after.epochs, after.base_model) == ("a.csv", 7, "starter")
    assert "too big" in found.words


def test_what_other_runs_failed_with_moves_the_next_try_further():
    case = of_view(TextPlan(dataset="a.csv", learning_rate=0.5).model_dump(), fold("r", wrecked("r", 0.5, 1.0)))
    earlier = points(TextPlan(dataset="a.csv", learning_rate=4e-5), FACTS, failed=True, at=("before", 3, 0.1))
    alone, warned = (repair(case, diagnose(case), Limits(known)) for known in ([], earlier))
    assert alone is not None
    assert warned is not None
    assert warned.settings["learning_rate"] < min(alone.settings["learning_rate"], 1e-3 / 25)
    assert "before" in warned.remembered
    assert "before" in warned.words


def test_the_same_change_is_not_tried_twice():
    case = of_view(TextPlan(dataset="a.csv", learning_rate=0.5).model_dump(), fold("r", wrecked("r", 0.5, 1.0)))
    first = repair(case, diagnose(case), Limits())
    assert first is not None
    assert repair(case, diagnose(case), Limits(), [first.settings]) != first


def test_a_healthy_run_is_not_repaired():
    events = [event for event in wrecked("r", 1e-4, 1.0) if not isinstance(event, Incident | Adjusted | Ended)]
    case = of_view(TextPlan(dataset="a.csv").model_dump(), fold("r", [*events, Ended(time=9, step=3, outcome="finished")]))
    assert repair(case, diagnose(case), Limits()) is None


# ---- bounds ----------------------------------------------------------------------------------------------------------------


def test_an_old_failure_waits_for_the_person(lab: Lab):
    run = long_ago(lab)
    assert "too long ago" in tries.may_be_tried(lab, run, tries.policy(lab.home))
    assert Advisor(lab).tend() == ()


def test_what_the_person_switched_off_stays_off(lab: Lab):
    tries.allow(lab.home, {"retry": False})
    assert "switched off" in tries.may_be_tried(lab, long_ago(lab), tries.policy(lab.home))
    with pytest.raises(UserError):
        tries.allow(lab.home, {"tries": 5})
    (lab.home / "advisor.json").write_text("{", "utf-8")
    assert tries.policy(lab.home) == tries.Policy()


def test_a_stopped_run_and_a_control_are_never_tried_again(lab: Lab):
    events = [*wrecked("stopped", 0.5, 1.0)[:-1], Ended(time=9, outcome="stopped")]
    stopped = put(lab, "stopped", TextPlan(dataset="a.csv"), events)
    control = put(lab, "control", TextPlan(dataset="a.csv"), wrecked("control", 0.5, 1.0), Control())
    assert tries.may_be_tried(lab, stopped, tries.Policy()) == "It did not fail."
    assert "control" in tries.may_be_tried(lab, control, tries.Policy(minutes=10000))


def test_after_two_tries_it_is_enough(lab: Lab):
    names = [long_ago(lab)]
    for number in (1, 2):
        why = Retry(of=names[-1], first=names[0], number=number, rule="diverged", words="Smaller steps.")
        name = f"try-{number}"
        names.append(put(lab, name, TextPlan(dataset="a.csv"), wrecked(name, 0.5, 1000.0 + 10 * number), why))
    assert tries.chain(lab, names[1]) == tuple(names)
    forever = tries.Policy(minutes=7 * 24 * 60)
    assert "been tried again already" in next(tries._obstacles(lab, names[0], forever, 1030.0))
    assert "twice" in next(tries._obstacles(lab, names[2], forever, 1030.0))
    story = Advisor(lab).tries(names[0])
    assert [told.run for told in story] == names
    assert story[1].changed == "Smaller steps."
    assert "failed again" in story[2].came_of_it
    assert story[0].came_of_it.startswith("It failed:")  # the first did not fail again
    assert story[0].evidence
    assert Advisor(lab).goes_on_from(names[2]) == (names[1],)


@pytest.mark.worker
def test_who_asks_for_a_try_has_no_bounds_of_number_or_time(lab: Lab):
    base, data = models.model_folder(lab.home / "tiny"), models.uneven_file(lab.home / "uneven.jsonl", 24)
    plan = TextPlan(dataset=str(data), learning_rate=0.5, max_steps=2, max_length=64, rank=4)
    names = [put(lab, "try-0", plan, wrecked("try-0", 0.5, 1000.0), model=str(base))]
    for number in (1, 2):
        why = Retry(of=names[-1], first=names[0], number=number, rule="diverged", words="Smaller steps.")
        name, events = f"try-{number}", wrecked(f"try-{number}", 0.5, 1000.0 + 10 * number)
        names.append(put(lab, name, plan, events, why, str(base)))
    tries.allow(lab.home, {"tries": 1, "minutes": 0.01})
    with pytest.raises(UserError):
        Advisor(lab).retry(names[2])
    with pytest.raises(UserError, match="already"):
        Advisor(lab).retry(names[0], asked=True)
    third = Advisor(lab).retry(names[2], asked=True)
    assert lab.job(third).plan["max_minutes"] > 60
    lab.wait(third)


def test_a_run_that_the_rules_know_nothing_of_has_a_chain_all_the_same(lab: Lab):
    put(lab, "whole", TextPlan(dataset="a.csv"), wrecked("whole", 0.5, 1000.0))
    for plan in ('{"task": "full", "dataset": "a.csv"}', '{"task": "text", "dataset": "a.csv", "of_the_future": 1}'):
        job = {"kind": "train", "run": "whole", "plan": json.loads(plan)}
        (lab.home / "runs" / "whole" / "job.json").write_text(json.dumps(job), "utf-8")
        (told,) = Advisor(lab).tries("whole")
        assert (told.run, told.happened) == ("whole", "")
        with pytest.raises(UserError):
            Advisor(lab).diagnose("whole")
        assert Advisor(lab).tend() == ()


# ---- for real --------------------------------------------------------------------------------------------------------------


@pytest.mark.worker
def test_a_failed_run_is_tried_again_by_a_real_worker_once_even_with_two_apps(lab: Lab, monkeypatch: pytest.MonkeyPatch):
    base, data = models.model_folder(lab.home / "tiny"), models.uneven_file(lab.home / "uneven.jsonl", 24)
    plan = TextPlan(dataset=str(data), learning_rate=0.5, max_steps=2, max_length=64, rank=4)
    run = put(lab, "wild", plan, wrecked("wild", 0.5, 1.0), model=str(base))
    monkeypatch.setattr(tries.time, "time", lambda: 10.0)
    apps = [Advisor(Lab(lab.home)) for _ in range(2)]
    begun: list[str] = []
    threads = [threading.Thread(target=lambda app=app: begun.extend(app.tend())) for app in apps]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    names = tries.chain(lab, run)
    assert len(names) == 2
    assert set(begun) == {names[1]}
    again, why = lab.job(names[1]).plan, tries.try_of(lab.job(names[1]))
    assert why is not None
    assert again["learning_rate"] < 0.5 / 5
    assert why.of == run
    monkeypatch.undo()
    assert lab.wait(names[1]).state == "finished"
    assert "finished" in Advisor(lab).tries(run)[1].came_of_it.lower()
    assert "tried again already" in next(tries._obstacles(lab, run, tries.Policy(minutes=10000), 10.0))
