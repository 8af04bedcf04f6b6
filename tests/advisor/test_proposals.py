"""Owns the tests of proposals: what history may say and when it must be silent, and what a test of three settings may claim."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advisor.advisor import Advisor
from advisor.proposals import learned, trials
from loralab.core.errors import UserError
from loralab.core.events import Ended, Evaluated, Incident, Measured, Started, Stepped
from loralab.core.facts import Facts
from loralab.core.jobs import TrainJob
from loralab.history.record import Memory
from loralab.lab import Lab
from loralab.planning import planner, priors
from loralab.planning.priors import Sweep
from loralab.reports.compare import compare
from loralab.tasks.text import TextPlan
from tests.support import models


def memory(name: str, rate: float, loss: float, *, data: str = "poems", model: str = "starter", **changes: Any) -> Memory:
    """A finished run at alpha / rank = 2."""
    facts = Facts(data=data, architecture="LlamaForCausalLM", parameters=8_000_000)
    asked = {"learning_rate": rate / 2, "rank": 16, "alpha": 32.0, "effective_batch": 8, "seed": 0, "heldout_share": 0.1}
    return Memory.model_validate(
        {
            "run": name,
            "model": model,
            "facts": facts,
            "asked": asked,
            "steps": 100,
            "epochs": 4.0,
            "base_loss": 5.0,
            "best_loss": loss,
            "best_step": 100,
            **changes,
        }
    )


def sweep(
    best: float, *, data: str = "poems", setting: str = "learning_rate", size: int = 8_000_000, runs: tuple[str, ...] = ("a",)
) -> Sweep:
    return Sweep(setting, best, runs, "starter", data, "LlamaForCausalLM", priors.likeness(size, 100, 8))


def always(value: float) -> Any:
    return lambda _sweep: value


# ---- what runs say ---------------------------------------------------------------------------------------------------------


def test_runs_that_differ_in_the_rate_alone_say_where_it_is_best():
    rates = (1e-4, 1e-3, 1e-2)
    runs = [memory(f"r{i}", rate, 3 + (math.log10(rate) + 2.7) ** 2 / 10) for i, rate in enumerate(rates)]
    (found,) = learned.sweeps(runs, "learning_rate")
    assert found.best == pytest.approx(10**-2.7, rel=1e-6), "the bottom of the parabola, between the values tried"
    assert set(found.runs) == {"r0", "r1", "r2"}


def test_what_says_nothing_is_no_observation():
    assert learned.sweeps([memory("one", 1e-3, 3.0)], "learning_rate") == []
    assert learned.sweeps([memory("a", 1e-3, 3.0), memory("b", 1e-2, 3.005)], "learning_rate") == [], "noise"
    bad = [{"outcome": "failed"}, {"control": True}, {"best_loss": None}, {"facts": None}]
    assert all(learned.sweeps([memory("a", 1e-3, 3.0), memory("b", 1e-2, 2.0, **one)], "learning_rate") == [] for one in bad)
    other = memory("b", 1e-2, 2.0, data="other")
    assert learned.sweeps([memory("a", 1e-3, 3.0), other], "learning_rate") == [], "other examples, another loss"


def test_rounds_come_from_where_runs_turned_and_not_from_those_that_never_did():
    turned = [memory("a", 1e-3, 3.0, best_step=50), memory("b", 1e-3, 3.0, best_step=100)]
    (found,) = learned.sweeps(turned, "epochs")
    assert found.best == pytest.approx(2.0)
    assert learned.sweeps(turned[1:], "epochs") == []


def test_an_optimum_outside_of_what_was_tried_is_not_invented():
    runs = [memory("a", 1e-4, 4.0), memory("b", 1e-3, 3.0), memory("c", 1e-2, 2.5)]
    (found,) = learned.sweeps(runs, "learning_rate")
    assert found.best <= 1.001e-2


# ---- when it is believed ---------------------------------------------------------------------------------------------------


def test_history_that_predicts_itself_better_than_the_prior_moves_it_and_names_its_runs():
    history = [sweep(4e-4, data=f"d{i}", runs=(f"run-{i}",)) for i in range(5)]
    found = priors.learn(sweep(0, data="new"), 4e-3, history, always(4e-3))
    assert found is not None
    assert 4e-4 < found.value < 4e-3
    assert found.runs[:2] == ("run-0", "run-1")
    assert "run-0" in found.words
    assert "smaller" in found.words
    assert found.value >= 4e-3 / priors.FAR


def test_history_that_predicts_itself_worse_is_not_believed():
    wild = [sweep(best, data=f"d{i}") for i, best in enumerate((4e-2, 4e-4, 4e-3, 3e-2, 5e-4))]
    assert priors.learn(sweep(0, data="new"), 4e-3, wild, always(4e-3)) is None


def test_one_sweep_is_believed_about_itself_only():
    one = [sweep(1e-3, data="poems")]
    assert priors.learn(sweep(0, data="poems"), 4e-3, one, always(4e-3)) is not None
    assert priors.learn(sweep(0, data="other"), 4e-3, one, always(4e-3)) is None


def test_what_is_not_alike_says_nothing():
    far = [sweep(4e-4, data=f"d{i}", size=8_000_000_000) for i in range(5)]
    assert priors.learn(sweep(0), 4e-3, far, always(4e-3)) is None


def test_history_cannot_go_far_and_does_not_speak_of_trifles():
    wild = [sweep(1e-7, data=f"d{i}") for i in range(30)]
    found = priors.learn(sweep(0, data="new"), 4e-3, wild, always(4e-3))
    assert found is not None
    assert found.value == pytest.approx(4e-3 / priors.FAR)
    near = [sweep(3.9e-3, data=f"d{i}") for i in range(5)]
    assert priors.learn(sweep(0, data="new"), 4e-3, near, always(4e-3)) is None


# ---- a test of three settings ----------------------------------------------------------------------------------------------


def judged(losses: Any) -> dict[str, Any]:
    rows = [{"row": i, "tokens": 20, "bytes": 80, "before_loss": 5.0, "after_loss": float(loss)} for i, loss in enumerate(losses)]
    return {"rows": {"loss": rows}}


def test_in_a_test_of_three_equal_settings_another_one_is_hardly_ever_called_better():
    random, wrong, times = np.random.default_rng(1), 0, 400
    for _ in range(times):
        rows = random.normal(3, 1, 40)
        sides = {name: judged(rows + random.normal(0, 0.1, 40)) for name in ("usual", "low", "high")}
        wrong += trials.decide(sides, "usual")[0] != "usual"
    assert wrong / times <= trials.MAX_CHANCE


def test_what_the_order_of_examples_can_do_is_no_reason_to_pick_another():
    random, rows = np.random.default_rng(1), np.random.default_rng(2).normal(3, 1, 40)
    by = {name: judged(rows + shift + random.normal(0, 0.001, 40)) for name, shift in (("usual", 0), ("low", 0.01), ("high", -0.03))}
    assert compare(by["usual"], by["high"]).scores[0].verdict == "better", "on these examples it is, beyond doubt"
    assert trials.decide(by, "usual")[0] == "usual"


def test_a_setting_that_is_better_is_picked():
    random, rows = np.random.default_rng(1), np.random.default_rng(2).normal(3, 1, 40)
    sides = {name: judged(rows + shift + random.normal(0, 0.1, 40)) for name, shift in (("usual", 0), ("low", 0.2), ("high", -0.4))}
    chosen, words = trials.decide(sides, "usual")
    assert chosen == "high"
    assert "beyond" in words or "more than chance" in words
    assert trials.decide({name: side for name, side in sides.items() if name != "usual"}, "usual")[0] == "high"
    assert compare(sides["usual"], sides["high"]).scores[0].verdict == "better"


def seen(sure: Any) -> dict[str, Any]:
    """A judgement of pictures by how likely each thinks what is right."""
    rows = [
        {"row": i, "media": f"{i}.png", "group": "", "label": "cat", "after": "cat", "before_right": i % 2 == 0} for i in range(len(sure))
    ]
    kept = [row | {"of_label": float(one), "after_right": float(one) > 0.5} for row, one in zip(rows, sure, strict=True)]
    return {"rows": {"accuracy": kept}}


def test_of_pictures_a_setting_is_picked_by_what_tells_small_differences():
    random = np.random.default_rng(1)
    hard = random.uniform(0.3, 0.9, 60)

    def three(low, high):
        noise = [random.normal(0, 0.03, 60) for _ in range(3)]
        return {
            name: seen((hard + by + noise[at]).clip(0, 1)) for at, (name, by) in enumerate((("usual", 0), ("low", low), ("high", high)))
        }

    assert trials.decide(three(-0.1, 0.08), "usual")[0] == "high"
    assert trials.decide(three(-0.1, 0.005), "usual")[0] == "usual", "no more than luck"
    wrong = sum(trials.decide(three(0, 0), "usual")[0] != "usual" for _ in range(60))
    assert wrong / 60 <= trials.MAX_CHANCE


def test_the_values_tried_are_three_times_apart_and_within_bounds():
    assert trials.values(2e-3, 1e-5, 1e-1) == (2e-3, 6.7e-4, 6e-3)
    assert trials.values(2e-3, 1e-3, 5e-3) == (2e-3,)


@pytest.fixture
def lab(home: Path) -> Lab:
    return Lab(home)


@pytest.mark.worker
def test_three_short_runs_by_real_workers_pick_a_setting_and_are_told_apart_from_runs(lab: Lab):
    base, data = models.model_folder(lab.home / "tiny"), models.uneven_file(lab.home / "uneven.jsonl", 60)
    plan = models.plan(data, base_model=str(base), learning_rate=1e-4, max_steps=200)
    names = trials.begin(lab, plan, 200, (1e-4, 1e-2), follow=False)
    with pytest.raises(UserError, match="still running"):
        trials.pick(lab, names)
    for name in names:
        view = lab.wait(name)
        assert view.state == "finished", view.ending
        assert view.step == trials.MIN_UPDATES
        assert [score.name for score in view.evaluations[-1].scores] == ["loss"], "no answers are written for a test"
    found = trials.pick(lab, names)
    assert (found.value, found.usual) == (1e-2, 1e-4)
    assert found.runs == names
    assert trials.waiting(lab, lab.runs()) == []
    for path in (lab.home / "runs").glob("*/job.json"):
        path.write_text(path.read_text("utf-8").replace('"follow": false', '"follow": true'), "utf-8")
    assert trials.waiting(lab, lab.runs()) == [names]
    (whole,) = Advisor(lab).tend()
    assert lab.job(whole).plan["learning_rate"] == 1e-2
    assert lab.job(whole).plan["max_steps"] == 200
    assert Advisor(lab).tend() == (), "once"
    lab.stop(whole, force=True)


@pytest.mark.worker
def test_a_test_of_which_all_failed_says_so(lab: Lab):
    plan = TextPlan(dataset=str(lab.home / "absent.csv"))
    names = trials.begin(lab, plan, 100, (1e-4,), follow=False)
    lab.wait(names[0])
    with pytest.raises(UserError, match="None of the tests"):
        trials.pick(lab, names)


# ---- the whole proposal ----------------------------------------------------------------------------------------------------


def remember(lab: Lab, name: str, base: Path, data: Path, events: list[Any], **settings: Any) -> None:
    """A run of the past on this computer, as its files are."""
    plan = models.plan(data, base_model=str(base), **settings)
    known = planner._facts(lab.profile(data, str(base)), lab.check_model(str(base)), lab.machine())
    facts = Measured(time=2.0, text="Learning from 54 examples.", facts=known)
    folder = lab.home / "runs" / name
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(TrainJob(run=name, plan=plan.model_dump()).model_dump_json(), "utf-8")
    (folder / "events.jsonl").write_text("".join(e.model_dump_json() + "\n" for e in [Started(time=1.0, pid=1), facts, *events]), "utf-8")


def did(loss: float, ended: Ended, *between: Any) -> list[Any]:
    step = Stepped(
        time=3.0, step=20, epoch=2.0, loss=loss, grad_norm=1, learning_rate=1, tokens=9, tokens_per_second=9, memory_bytes=9, total_steps=20
    )
    return [step, *between, Evaluated(time=4.0, step=20, loss=loss, n=9), ended]


@pytest.fixture
def place(lab: Lab) -> tuple[Path, Path]:
    return models.model_folder(lab.home / "tiny"), models.uneven_file(lab.home / "uneven.jsonl", 60)


def test_a_plan_keeps_clear_of_what_failed_on_this_computer_and_says_so(lab: Lab, place: tuple[Path, Path]):
    base, data = place
    advisor, profile = Advisor(lab), lab.profile(data, str(base))
    usual = advisor.propose(profile, str(base))
    away = Incident(time=3.5, step=20, code="diverged", text="It ran away.")
    failed = did(9.0, Ended(time=5.0, step=20, outcome="failed", code="diverged"), away)
    remember(lab, "wild-otter", base, data, failed, learning_rate=5e-4, effective_batch=8)
    again = advisor.propose(profile, str(base))
    assert again.plan["learning_rate"] * again.plan["alpha"] / again.plan["rank"] <= 5e-4 * 2 / 5
    assert usual.plan["learning_rate"] > again.plan["learning_rate"]
    assert "wild-otter" in again.reasons["learning_rate"]
    fixed = advisor.propose(profile, str(base), learning_rate=1e-2)
    assert fixed.plan["learning_rate"] == 1e-2, "what the person fixed is not moved"
    assert "never_twice" in {problem.code for problem in fixed.problems}
    assert "wild-otter" in next(p.what for p in fixed.problems if p.code == "never_twice")
    with pytest.raises(UserError, match="would fail again"):
        advisor.start(fixed.plan)


def test_a_sweep_on_the_same_examples_moves_the_rate_and_names_its_runs(lab: Lab, place: tuple[Path, Path]):
    base, data = place
    advisor, profile = Advisor(lab), lab.profile(data, str(base))
    usual = advisor.propose(profile, str(base)).plan["learning_rate"]
    for name, rate, loss in (("low", usual / 8, 2.0), ("mid", usual, 2.5), ("high", usual * 2, 3.0)):
        remember(lab, name, base, data, did(loss, Ended(time=5.0, step=20, outcome="finished")), learning_rate=rate, rank=16, alpha=32)
    found = advisor.propose(profile, str(base))
    assert found.plan["learning_rate"] < usual
    assert "low" in found.reasons["learning_rate"]
    assert advisor.propose(profile, str(base), learning_rate=usual).plan["learning_rate"] == usual
