"""Owns the tests of proposals: what history may say and when it must be silent, and what a test of three settings may claim."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from advisor.proposals import learned, pilots
from advisor.proposals.learned import Sweep
from loralab.compare import compare
from loralab.errors import UserError
from loralab.facts import Facts
from loralab.history.record import Memory
from loralab.lab import Lab
from loralab.tasks.text import TextPlan
from tests import models


def memory(name: str, rate: float, loss: float, *, data: str = "poems", model: str = "starter", **changes: Any) -> Memory:
    """A finished run at alpha / rank = 2."""
    facts = Facts(data=data, architecture="LlamaForCausalLM", parameters=8_000_000)
    asked = {"learning_rate": rate / 2, "rank": 16, "alpha": 32.0, "effective_batch": 8, "seed": 0, "heldout_share": 0.1}
    return Memory.model_validate({
        "run": name, "model": model, "facts": facts, "asked": asked, "steps": 100, "epochs": 4.0, "base_loss": 5.0, "best_loss": loss,
        "best_step": 100, **changes,
    })  # fmt: skip


def sweep(
    best: float, *, data: str = "poems", setting: str = "learning_rate", size: int = 8_000_000, runs: tuple[str, ...] = ("a",)
) -> Sweep:
    return Sweep(setting, best, runs, "starter", data, "LlamaForCausalLM", learned.describe(size, 100, 8))


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
    found = learned.learn(sweep(0, data="new"), 4e-3, history, always(4e-3))
    assert found is not None
    assert 4e-4 < found.value < 4e-3
    assert found.runs[:2] == ("run-0", "run-1")
    assert "run-0" in found.words
    assert "smaller" in found.words
    assert found.value >= 4e-3 / learned.FAR


def test_history_that_predicts_itself_worse_is_not_believed():
    wild = [sweep(best, data=f"d{i}") for i, best in enumerate((4e-2, 4e-4, 4e-3, 3e-2, 5e-4))]
    assert learned.learn(sweep(0, data="new"), 4e-3, wild, always(4e-3)) is None


def test_one_sweep_is_believed_about_itself_only():
    one = [sweep(1e-3, data="poems")]
    assert learned.learn(sweep(0, data="poems"), 4e-3, one, always(4e-3)) is not None
    assert learned.learn(sweep(0, data="other"), 4e-3, one, always(4e-3)) is None


def test_what_is_not_alike_says_nothing():
    far = [sweep(4e-4, data=f"d{i}", size=8_000_000_000) for i in range(5)]
    assert learned.learn(sweep(0), 4e-3, far, always(4e-3)) is None


def test_history_cannot_go_far_and_does_not_speak_of_trifles():
    wild = [sweep(1e-7, data=f"d{i}") for i in range(30)]
    found = learned.learn(sweep(0, data="new"), 4e-3, wild, always(4e-3))
    assert found is not None
    assert found.value == pytest.approx(4e-3 / learned.FAR)
    near = [sweep(3.9e-3, data=f"d{i}") for i in range(5)]
    assert learned.learn(sweep(0, data="new"), 4e-3, near, always(4e-3)) is None


# ---- a test of three settings ----------------------------------------------------------------------------------------------


def judged(losses: Any) -> dict[str, Any]:
    rows = [
        {"row": i, "tokens": 20, "bytes": 80, "base_loss": 5.0, "adapter_loss": float(loss)} for i, loss in enumerate(losses)
    ]  # fmt: skip
    return {"rows": {"loss": rows}}


def test_in_a_test_of_three_equal_settings_another_one_is_hardly_ever_called_better():
    random, wrong, trials = np.random.default_rng(1), 0, 400
    for _ in range(trials):
        rows = random.normal(3, 1, 40)
        sides = {name: judged(rows + random.normal(0, 0.1, 40)) for name in ("usual", "low", "high")}
        wrong += pilots.decide(sides, "usual")[0] != "usual"
    assert wrong / trials <= pilots.SURE


def test_a_setting_that_is_better_is_picked():
    random, rows = np.random.default_rng(1), np.random.default_rng(2).normal(3, 1, 40)
    sides = {name: judged(rows + shift + random.normal(0, 0.1, 40)) for name, shift in (("usual", 0), ("low", 0.2), ("high", -0.2))}
    chosen, words = pilots.decide(sides, "usual")
    assert chosen == "high"
    assert "beyond" in words or "more than chance" in words
    assert pilots.decide({name: side for name, side in sides.items() if name != "usual"}, "usual")[0] == "high"
    assert compare(sides["usual"], sides["high"]).scores[0].verdict == "better"


def test_the_values_tried_are_three_times_apart_and_within_bounds():
    assert pilots.values(2e-3, 1e-5, 1e-1) == (2e-3, 6.7e-4, 6e-3)
    assert pilots.values(2e-3, 1e-3, 5e-3) == (2e-3,)


@pytest.fixture
def lab(home: Path) -> Lab:
    return Lab(home)


def test_three_short_runs_by_real_workers_pick_a_setting_and_are_told_apart_from_runs(lab: Lab):
    base, data = models.model_folder(lab.home / "tiny"), models.uneven_file(lab.home / "uneven.jsonl", 60)
    plan = models.plan(data, base_model=str(base), learning_rate=1e-4, max_steps=200)
    names = pilots.begin(lab, plan, 200, (1e-4, 1e-2), {"model": str(base)}, follow=False)
    with pytest.raises(UserError, match="still running"):
        pilots.pick(lab, names)
    for name in names:
        view = lab.wait(name)
        assert view.state == "finished", view.ending
        assert view.step == pilots.FEWEST
        assert [score.name for score in view.evaluations[-1].scores] == ["loss"], "no answers are written for a test"
    found = pilots.pick(lab, names)
    assert (found.value, found.usual) == (1e-2, 1e-4)
    assert found.runs == names
    assert pilots.waiting(lab, lab.runs()) == []
    for path in (lab.home / "runs").glob("*/job.json"):
        path.write_text(path.read_text("utf-8").replace('"follow": false', '"follow": true'), "utf-8")
    assert pilots.waiting(lab, lab.runs()) == [names]


def test_a_test_of_which_all_failed_says_so(lab: Lab):
    plan = TextPlan(dataset=str(lab.home / "absent.csv"))
    names = pilots.begin(lab, plan, 100, (1e-4,), {"model": "absent"}, follow=False)
    lab.wait(names[0])
    with pytest.raises(UserError, match="None of the tests"):
        pilots.pick(lab, names)
