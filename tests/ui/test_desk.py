"""What one changed setting costs: one proposal, one look at the machine; and what the answer says about each setting."""

from __future__ import annotations

from collections import Counter
from threading import Event

import pytest

import loralab.lab.workspace
from advisor.advisor import Advisor
from loralab.lab import Lab
from loralab.planning import estimate, preferences
from ui.desk import Desk
from ui.long_reading import LongReadings
from ui.page import ASKED_ELSEWHERE


@pytest.fixture
def asked(monkeypatch):
    """How often each dear thing was done."""
    counted: Counter[str] = Counter()

    def counting(name, real):
        def call(*args, **more):
            counted[name] += 1
            return real(*args, **more)

        return call

    for module, name in ((preferences, "propose"), (loralab.lab.workspace, "measure_machine"), (estimate, "footprint")):
        monkeypatch.setattr(module, name, counting(name, getattr(module, name)))
    return counted


def test_one_changed_setting_is_one_proposal_and_one_measurement_of_the_machine(home, asked):
    desk = Desk(Advisor(Lab(home)))
    data = str(desk.lab.samples()[0].path)
    own = desk.propose(data, "starter", "answer")
    assert (asked["propose"], asked["measure_machine"]) == (1, 1)
    form = {name: value for name, value in own.plan.items() if name not in ASKED_ELSEWHERE}
    for change in ({"rank": 8}, {"rank": 8, "epochs": 2.0}):
        asked.clear()
        found = desk.weigh(data, "starter", "answer", form | change)
        assert (asked["propose"], asked["measure_machine"]) == (1, 1)
        assert asked["footprint"] <= 2
        assert {name for name, why in found.reasons.items() if why == "You chose this."} - {"learn_from"} == change.keys()
        assert found.reasons["learning_rate"] == own.reasons["learning_rate"]
    asked.clear()
    assert desk.weighed(data, "starter", "answer", form | change) == found
    assert not asked, "who comes after the form changed asks nobody"


def test_who_stops_waiting_for_a_file_stops_nobody_else():
    readings, let_go = LongReadings(), Event()
    seen: dict[str, bool] = {}

    def work(name: str):
        def read(watch):
            let_go.wait(20)
            seen[name] = watch.stop()

        return read

    windows = {name: readings.follow(name, work(name)) for name in ("one", "other")}
    for window in windows.values():
        next(window)
    readings.stop("one")
    readings.stop("a window that waits for nothing")
    let_go.set()
    for window in windows.values():
        list(window)
    assert (seen, readings.going) == ({"one": True, "other": False}, {})


def test_what_draws_learns_from_pictures_with_words_and_nothing_else_does(home):
    lab = Lab(home)
    desk = Desk(Advisor(lab))
    path = str(next(sample.path for sample in lab.samples() if sample.name == "ink_and_candy"))
    for chosen in ("starter", "vision-starter", "smollm2-135m"):
        assert desk.learner(path, chosen, "draw") == "drawing-starter"
        assert desk.propose(path, chosen, "draw").plan["base_model"] == "drawing-starter"
    assert desk.learner(path, "stable-diffusion-1.5", "draw") == "stable-diffusion-1.5"
    larger = desk.propose(path, "stable-diffusion-1.5", "draw")
    assert larger.plan["base_model"] == "stable-diffusion-1.5"
    assert "not_downloaded" in {problem.code for problem in larger.problems}
