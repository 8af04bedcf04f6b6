"""Owns the tests of what an open app does by itself: begun once, told once, and each window that watched is taken along at once."""

from __future__ import annotations

from advisor.advisor import Advisor
from loralab.core.jobs import AfterTrials, Retry
from loralab.lab import Lab
from loralab.tasks.text import TextPlan
from tests.advisor.test_tries import put, wrecked
from ui.advisor import retries
from ui.advisor.retries import TRIED, AutoRetry


def test_all_windows_are_taken_along_and_only_one_is_told(home, monkeypatch):
    advisor = Advisor(Lab(home))
    put(advisor.lab, "wild", TextPlan(dataset="a.csv"), wrecked("wild", 0.5, 1000.0))
    why = Retry(of="wild", first="wild", number=1, rule="diverged", words="Smaller steps.")
    put(advisor.lab, "next", TextPlan(dataset="a.csv"), wrecked("next", 0.1, 1010.0), why)
    begun = iter([("next",)])
    monkeypatch.setattr(Advisor, "tend", lambda self: next(begun, ()))
    app = AutoRetry(advisor)
    assert app.successor("wild") == ""
    assert app.start_due() == TRIED
    assert app.start_due() == ""  # the second window's look finds nothing to begin
    assert [app.successor("wild"), app.successor("wild"), app.successor("other")] == ["next", "next", ""]
    later = retries.time.monotonic() + retries.FRESH + 1
    monkeypatch.setattr(retries.time, "monotonic", lambda: later)
    assert app.successor("wild") == ""  # who looks back at the failed run stays there


def test_what_the_tests_came_to_is_told(home, monkeypatch):
    advisor = Advisor(Lab(home))
    origin = AfterTrials(group="group", words="In the test 0.006 did <better>.")
    put(advisor.lab, "whole", TextPlan(dataset="a.csv"), wrecked("whole", 0.1, 1000.0), origin)
    monkeypatch.setattr(Advisor, "tend", lambda self: ("whole",))
    assert AutoRetry(advisor).start_due() == "In the test 0.006 did &lt;better&gt;. The whole run begins."
