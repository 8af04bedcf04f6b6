"""Owns the tests of what must not be tried twice. The proof that nothing is counts failures by brute force, not by what it tests."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from advisor.proposals import learned
from loralab.core.events import Adjusted, Ended, Evaluated, Incident, Measured, Started, Stepped, fold
from loralab.core.facts import Facts
from loralab.core.jobs import TrainJob
from loralab.core.report import run_report
from loralab.history.derive import memory_of, points_of
from loralab.planning import limits
from loralab.planning.limits import Limits, Point
from loralab.tasks.text import TextPlan

FACTS = Facts(architecture="LlamaForCausalLM", hidden=64, layers=2, tokens={"max": 500, "p95": 300}, place="cpu | torch 2 | ", room=10**9)


def plan(**settings: Any) -> TextPlan:
    return TextPlan.model_validate({"dataset": "a.csv", **settings})


def memory(*vector: float, room: int = 0, failed: bool = True, key: str = "k", time: float = 0.0) -> Point:
    return Point(kind="memory", key=key, vector=vector, room=room, failed=failed, time=time)


# ---- points ----------------------------------------------------------------------------------------------------------------


def test_whatever_takes_more_memory_lies_beyond():
    small = limits.points(plan(token_budget=1000, rank=8, recompute="full", precision="bf16", targets="attention"), FACTS)[0]
    for worse in (
        {"token_budget": 2000},
        {"rank": 16},
        {"recompute": "none"},
        {"precision": "fp32"},
        {"targets": "all-linear"},
        {"attention": "eager"},
        {"use_dora": True},
    ):
        settings = {"token_budget": 1000, "rank": 8, "recompute": "full", "precision": "bf16", "targets": "attention"} | worse
        point = limits.points(plan(**settings), FACTS)[0]
        assert point.at_or_beyond(small), worse
        assert not small.at_or_beyond(point), worse
    assert limits.points(plan(micro_batch=4, max_length=100), FACTS)[0].vector[0] == 400, "no row is longer than it is cut to"
    assert limits.points(plan(micro_batch=4, max_length=9000), FACTS)[0].vector[0] == 2000, "nor longer than the longest there is"
    assert limits.points(plan(micro_batch=4, token_budget=100), FACTS)[0].vector[0] == 500, "one row is always computed"


def test_a_correction_is_as_big_as_rate_times_scale_whatever_rank_and_alpha_are():
    first = limits.points(plan(learning_rate=1e-3, rank=16, alpha=32), FACTS)[1]
    again = limits.points(plan(learning_rate=1e-3, rank=4, alpha=8), FACTS)[1]
    stable = limits.points(plan(learning_rate=1e-3, rank=16, alpha=32, use_rslora=True), FACTS)[1]
    assert first.vector == again.vector
    assert stable.vector[0] == pytest.approx(8e-3)


def test_another_model_computer_or_version_is_another_question():
    here = limits.points(plan(), FACTS, failed=True)[0]
    known = Limits([here])
    assert known.against(limits.points(plan(), FACTS)) == here
    assert known.against(limits.points(plan(base_model="other"), FACTS)) is None
    assert known.against(limits.points(plan(), FACTS.model_copy(update={"place": "cpu | torch 3 | "}))) is None


def test_more_memory_free_than_then_is_worth_another_try():
    known = Limits([memory(5, 5, room=1000)])
    assert known.against([memory(5, 5, room=1050)])
    assert known.against([memory(5, 5)]), "not knowing is no reason to hope"
    assert known.against([memory(5, 5, room=1200)]) is None


def test_only_the_edge_is_kept():
    known = Limits([memory(5, 5, time=1), memory(7, 9, time=2), memory(3, 9, time=3), memory(3, 8, time=4)])
    assert {point.vector for point in known.failed} == {(5, 5), (3, 8)}
    fits = Limits([memory(1, 1, failed=False, time=1), memory(2, 2, failed=False, time=2), memory(1, 3, failed=False, time=3)])
    assert {point.vector for point in fits.fits} == {(2, 2), (1, 3)}
    assert fits.known_to_fit(memory(1, 2))
    assert fits.known_to_fit(memory(3, 1)) is None


def test_a_success_beyond_a_failure_takes_it_back_but_not_one_with_more_room():
    known = Limits([memory(5, 5, room=1000, time=1), memory(6, 6, room=2000, failed=False, time=2)])
    assert known.against([memory(5, 5, room=1000)])
    known.learn(memory(6, 6, room=900, failed=False, time=3))
    assert known.against([memory(5, 5, room=1000)]) is None


# ---- from runs -------------------------------------------------------------------------------------------------------------


def ran(*events: Any, **settings: Any) -> list[Point]:
    facts = Measured(text="Learning from 9 examples.", facts=FACTS)
    view = fold("amber-otter", [Started(pid=1, time=1), facts.model_copy(update={"time": 2}), *events])
    job = TrainJob(run="amber-otter", plan=plan(**settings).model_dump())
    told = points_of(memory_of(job, view, run_report(view, Path())))
    return [point for one in told if (point := learned._from_memory(one)) is not None]


def step(number: int, time: float) -> Stepped:
    return Stepped(step=number, time=time, epoch=1.0, loss=1, grad_norm=1, learning_rate=1, tokens=1, tokens_per_second=1, memory_bytes=1)


def test_a_run_that_helped_itself_teaches_where_it_failed_and_where_it_fits():
    found = ran(
        step(1, 3),
        Incident(time=4, step=2, code="out_of_memory", text=""),
        Adjusted(time=5, step=2, setting="token_budget", before=2000, after=1000, reason="memory ran out"),
        step(2, 6),
        Ended(time=7, step=2, outcome="finished"),
        token_budget=2000,
    )
    failed, *good = found
    assert (failed.kind, failed.failed, failed.vector[0]) == ("memory", True, 2000)
    assert [(point.kind, point.failed) for point in good] == [("memory", False), ("rate", False)]
    assert good[0].vector[0] == 1000
    known = Limits(found)
    assert known.against(limits.points(plan(token_budget=3000), FACTS)) == failed
    assert known.against(limits.points(plan(token_budget=1000), FACTS)) is None
    assert known.known_to_fit(limits.points(plan(token_budget=900), FACTS)[0])


def test_a_run_that_was_split_without_a_change_and_ended_well_is_not_known_to_fit():
    found = ran(Incident(time=4, step=1, code="out_of_memory", text=""), step(1, 5), Ended(time=7, step=1, outcome="finished"))
    assert [(point.kind, point.failed) for point in found] == [("memory", True), ("rate", False)]


def test_a_run_that_ran_away_rules_out_its_rate_and_a_stopped_one_teaches_little():
    away = ran(step(1, 3), Incident(time=4, step=5, code="diverged", text=""), Ended(time=5, outcome="failed"), learning_rate=0.2)
    assert [(point.kind, point.failed) for point in away] == [("memory", False), ("rate", True)], "it fitted, at least"
    assert [point.kind for point in ran(step(1, 3), Ended(time=4, outcome="stopped"))] == ["memory"]
    begun = step(1, 3).model_copy(update={"epoch": 0.5})
    assert ran(begun, Ended(time=4, outcome="stopped")) == [], "it may not have met its longest examples"


# ---- taming ----------------------------------------------------------------------------------------------------------------


def test_a_plan_is_led_away_from_what_failed_by_the_least_that_does():
    known = Limits([limits.points(plan(token_budget=2000), FACTS, failed=True)[0]])
    avoided = limits.avoid_known_failures(plan(token_budget=4000), FACTS, known)
    assert avoided.possible
    assert avoided.settings == {"token_budget": 1000}
    assert limits.avoid_known_failures(plan(token_budget=500), FACTS, known).settings == {}
    rate = Limits([limits.points(plan(learning_rate=0.1), FACTS, failed=True)[1]])
    assert limits.avoid_known_failures(plan(learning_rate=0.3), FACTS, rate).settings == {"learning_rate": 0.02}


def test_what_the_person_fixed_is_not_touched_and_no_way_out_is_said():
    known = Limits([limits.points(plan(learning_rate=0.1), FACTS, failed=True)[1]])
    avoided = limits.avoid_known_failures(plan(learning_rate=0.3), FACTS, known, frozenset({"learning_rate"}))
    assert not avoided.possible
    assert avoided.because[0].failed


def test_taming_ends_even_where_the_smallest_plan_failed():
    least = plan(
        token_budget=1, max_length=16, rank=1, precision="nf4", recompute="full", targets="mlp", offload=True, optimizer="adamw_8bit"
    )
    known = Limits([limits.points(least, FACTS, failed=True)[0]])
    avoided = limits.avoid_known_failures(plan(), FACTS, known)
    assert avoided.because


# ---- never twice -----------------------------------------------------------------------------------------------------------


def live(seed: int, runs: int = 12) -> tuple[int, int]:
    """A simulated workspace: how often something failed, and how often a failure was one that an earlier one had ruled out."""
    dice = random.Random(seed)
    weights = [dice.random() for _ in range(10)]
    too_much, too_big = dice.uniform(0.2, 2.0) * 1e9, dice.uniform(1e-4, 1e-1)
    known, failed, repeats = Limits(), list[Point](), 0
    versions = "1"
    for time in range(runs):
        versions = str(int(versions) + (dice.random() < 0.1))
        facts = FACTS.model_copy(
            update={
                "room": dice.choice([0, int(dice.uniform(0.5, 2) * 1e9)]),
                "place": f"cpu | torch {versions} | ",
                "tokens": {"max": dice.choice([40, 200, 900]), "p95": 30},
            }
        )
        chosen = plan(
            learning_rate=10 ** dice.uniform(-5, -0.5),
            rank=dice.choice([2, 8, 32]),
            alpha=dice.choice([8, 32]),
            warmup=dice.choice([0.0, 0.05, 0.2]),
            token_budget=dice.choice([0, 200, 4000]),
            micro_batch=dice.choice([1, 8]),
            recompute=dice.choice(["none", "selective", "full"]),
            precision=dice.choice(["fp32", "bf16"]),
            effective_batch=dice.choice([1, 8, 32]),
            max_length=dice.choice([64, 512]),
            targets=dice.choice(["attention", "mlp", "all-linear"]),
        )
        avoided = limits.avoid_known_failures(
            chosen, facts, known, frozenset(dice.sample(["learning_rate", "token_budget"], dice.randint(0, 2)))
        )
        if not avoided.possible:
            continue
        memory_point, rate_point = limits.points(chosen.model_copy(update=avoided.settings), facts)
        room = facts.room or 1e9
        need = sum(weight * value for weight, value in zip(weights, memory_point.vector, strict=True)) * 1e6 + too_much * 0.3
        away = rate_point.vector[0] * (1 + rate_point.vector[1]) * (1 + rate_point.vector[2]) > too_big
        for point, bad in ((memory_point, need > room), (rate_point, away)):
            now = point.model_copy(update={"failed": bad, "time": float(time)})
            repeats += bad and any(now.at_or_beyond(old) and not now.has_more_room(old, limits.MORE_ROOM) for old in failed)
            failed += [now] if bad else []
            known.learn(now)
            if bad and point is memory_point:
                break  # it never got to learning
    return len(failed), repeats


@pytest.mark.nightly
@pytest.mark.parametrize("part", range(4))
def test_in_ten_thousand_simulated_histories_no_failure_is_repeated(part: int):
    found = [live(seed) for seed in range(part * 2500, (part + 1) * 2500)]
    assert sum(failures for failures, _ in found) > 2500, "there was something to repeat"
    assert sum(repeats for _, repeats in found) == 0


@pytest.mark.nightly
def test_without_a_memory_the_same_histories_do_repeat_failures(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(Limits, "learn", lambda *_: None)
    assert sum(repeats for _, repeats in map(live, range(400))) > 30


def test_this_module_reads_no_clock_and_no_file():
    assert "import time" not in Path(limits.__file__).read_text("utf-8")


def test_a_run_that_ended_worse_than_it_began_does_not_prove_its_rate() -> None:
    """Nobody stopped it, so it finished; what failed at that rate is not taken back by it."""

    def looked(split: Any, loss: float, at: float) -> Evaluated:
        return Evaluated(time=at, step=int(split != "base"), split=split, loss=loss, n=9)

    def taught(last: float) -> list[str]:
        found = ran(
            looked("base", 3.0, 2), step(1, 3), looked("heldout", last, 4), Ended(time=5, step=1, outcome="finished"), learning_rate=0.2
        )
        return [point.kind for point in found]

    assert taught(2.0) == ["memory", "rate"]
    assert taught(9.0) == ["memory"]
