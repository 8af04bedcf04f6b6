"""Owns the tests of what an open app does by itself: a run is begun once, and each window that watched is taken along."""

from __future__ import annotations

from advisor.advisor import Advisor
from loralab.core.jobs import AfterTrials, Retry
from loralab.lab import Lab
from loralab.tasks.text import TextPlan
from tests.advisor.test_tries import put, wrecked
from ui.live import tending
from ui.live.tending import TRIED, Tending


def test_a_run_is_begun_once_and_all_windows_are_taken_along(home, monkeypatch):
    advisor = Advisor(Lab(home))
    put(advisor.lab, "wild", TextPlan(dataset="a.csv"), wrecked("wild", 0.5, 1000.0))
    why = Retry(of="wild", first="wild", number=1, rule="diverged", words="Smaller steps.")
    put(advisor.lab, "next", TextPlan(dataset="a.csv"), wrecked("next", 0.1, 1010.0), why)
    begun = iter([("next",)])
    monkeypatch.setattr(Advisor, "tend", lambda self: next(begun, ()))
    app = Tending(advisor)
    assert (app.successor("wild"), app.news) == ("", "")
    app.look()
    app.look()  # finds nothing to begin
    assert app.news == f"next\n{TRIED}"
    assert [app.successor("wild"), app.successor("wild"), app.successor("other")] == ["next", "next", ""]
    later = tending.time.monotonic() + tending.FRESH + 1
    monkeypatch.setattr(tending.time, "monotonic", lambda: later)
    assert app.successor("wild") == ""  # who looks back at the failed run stays there


def test_what_the_tests_came_to_is_told(home, monkeypatch):
    advisor = Advisor(Lab(home))
    origin = AfterTrials(group="group", words="In the test 0.006 did <better>.")
    put(advisor.lab, "whole", TextPlan(dataset="a.csv"), wrecked("whole", 0.1, 1000.0), origin)
    monkeypatch.setattr(Advisor, "tend", lambda self: ("whole",))
    app = Tending(advisor)
    app.look()
    assert app.news == "whole\nIn the test 0.006 did &lt;better&gt;. The whole run begins."
