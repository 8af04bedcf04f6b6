"""The three parts of a run: how wide each is drawn, how far it is, and the time left over all of them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest

from loralab.core.events import Ended, Evaluated, Measured, Noted, RunView, Started, Stepped, fold
from loralab.planning.run_parts import Expected, expected, run_parts

FORETOLD = Expected(prepare=10, learn=100, test=50)


def stepped(step: int, time: float, left: float | None = None, speed: float = 10.0) -> Stepped:
    return Stepped(
        step=step,
        time=time,
        loss=1.0,
        grad_norm=1.0,
        learning_rate=1e-4,
        tokens=10,
        tokens_per_second=speed,
        memory_bytes=1,
        total_steps=20,
        seconds_left=left,
    )


def whole(prepare: float = 10.0, test: float = 60.0, *, resumed: bool = False) -> RunView:
    """A run that went through all three parts: twenty updates of a second each, tested on thirty examples."""
    steps = [stepped(n, prepare + n) for n in range(21)]
    ends = prepare + 20 + test
    events: list[Any] = [Started(pid=1, time=0.0001), Measured(n_heldout=30, time=1), *steps]
    events += [Noted(text="Went on.", code="resumed", time=prepare + 5)] if resumed else []
    return fold("r", [*events, Evaluated(split="final", loss=1.0, n=30, time=ends), Ended(outcome="finished", time=ends)])


def test_the_last_runs_with_this_model_say_how_long_preparing_and_testing_take():
    found = expected(100.0, 60, [whole(8.0, 60.0), whole(12.0, 90.0), whole(1000.0, 1000.0, resumed=True), RunView(run="new")])
    assert (found.learn, found.tokens_per_second) == (100.0, 10.0)
    assert found.prepare == pytest.approx(10.0, abs=0.01)
    assert found.test == pytest.approx(60 * (60.0 + 90.0) / 2 / 30)
    assert expected(None, 60, []).test > 0, "nothing is known: still all three parts are there"
    assert sum(expected(1.0, 1, []).shares) == pytest.approx(1.0)


def test_what_is_done_only_grows_and_the_time_left_counts_all_parts():
    events: list[Any] = [Started(pid=1, time=0.0001), *(stepped(n, 10 + n, 20.0 - n) for n in range(1, 21))]
    ends = [Noted(text="", phase="saving", time=31, step=20), Noted(text="", phase="writing answers", fraction=0.1, time=32, step=20)]
    moments = [(fold("r", events[: n + 1]), (events[n].time or 0) + 0.5) for n in range(len(events))]
    moments += [(fold("r", [*events, *ends]), now) for now in (35.0, 60.0, 80.0, 500.0)]
    found = [run_parts(view, FORETOLD, now) for view, now in moments]
    assert [parts.part for parts in found] == ["prepare", *["learn"] * 19, *["test"] * 5]
    for before, after in pairwise(parts.done for parts in found):
        assert all(b <= a for b, a in zip(before, after, strict=True)), (before, after)
    assert found[0].seconds_left == pytest.approx(159.5, abs=0.1)
    assert found[10].seconds_left == pytest.approx(10 - 0.5 + 50)
    assert (found[-1].seconds_left, found[-1].done[2] < 1) == (0.0, True), "it is late, and does not say that it is done"


@pytest.mark.parametrize(
    ("phase", "left"), [("training", 5 - 1 + 50), ("waiting: the battery is low", 10 + 50), ("asking it the same questions again", 10 + 50)]
)
def test_where_it_says_no_time_itself_the_updates_made_say_it(phase, left):
    view = fold("r", [Started(pid=1, time=0.0001), *(stepped(n, 10 + n, 5.0) for n in range(1, 11)), Noted(text="", phase=phase, time=20)])
    found = run_parts(view, FORETOLD, 21.0)
    assert (found.part, found.seconds_left) == ("learn", pytest.approx(left))


def test_a_run_that_ends_early_is_tested_and_a_busier_computer_takes_longer():
    early = Noted(text="Ended early: enough.", code="ended_early", time=21, step=10)
    steps = [stepped(n, 10 + n, 5.0, speed=5.0) for n in range(1, 11)]
    view = fold("r", [Started(pid=1, time=0.0001), *steps, early])
    found = run_parts(view, FORETOLD.model_copy(update={"tokens_per_second": 10.0}), 22.0)
    assert (found.part, found.done[1], found.seconds_left) == ("test", 1.0, pytest.approx(2 * 50 - 2))


@pytest.mark.parametrize(("outcome", "done"), [("finished", (1.0, 1.0, 1.0)), ("stopped", (1.0, 0.5, 0.0)), ("failed", (1.0, 0.5, 0.0))])
def test_a_run_that_has_ended_says_how_far_it_came(outcome, done):
    steps = [stepped(n, 10 + n) for n in range(1, 21 if outcome == "finished" else 11)]
    found = run_parts(fold("r", [Started(pid=1, time=0.0001), *steps, Ended(outcome=outcome)]), FORETOLD, 99.0)
    assert (found.done, found.seconds_left) == (done, None)
