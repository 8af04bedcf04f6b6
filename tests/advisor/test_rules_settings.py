"""Settings nobody uses are said before the start and are the cause after it; warnings go with their cause; sizes are sizes."""

from __future__ import annotations

import re
from typing import Any

import pytest

from advisor.diagnosis.case import Case
from advisor.diagnosis.diagnose import diagnose
from advisor.diagnosis.findings import Finding, amount
from loralab.core.events import Evaluated, Event
from loralab.core.paths import CHECKOUT
from loralab.core.records import Score
from tests.support.built_cases import case, curve, falling, finished, incident, looks

FLAT = [*curve([3.0] * 60), *looks(3.0, (20, 3.0), (40, 2.995), (60, 2.99)), finished(60)]
WELL = falling()
THROWN = [*curve([3.0, 9.0, 14.0, 14.0] + [4.0] * 56), *looks(3.0, (20, 4.5), (60, 3.9)), finished(60)]


def said(of: Case, rule: str) -> Finding | None:
    return next((finding for finding in diagnose(of).findings if finding.rule == rule), None)


ODD: list[Any] = [  # rule, settings nobody uses, a run they spoil
    pytest.param("heavy_dropout", {"dropout": 0.9}, FLAT, id="dropout 0.9"),
    pytest.param("heavy_dropout", {"dropout": 0.6}, FLAT, id="dropout 0.6"),
    pytest.param("all_warm_up", {"warmup": 1.0}, FLAT, id="a warm-up as long as the run"),
    pytest.param("all_warm_up", {"warmup": 0.6}, FLAT, id="a warm-up of more than half"),
    pytest.param("no_clipping", {"max_grad_norm": 0.0, "learning_rate": 2e-3}, THROWN, id="no clipping at ten times the usual rate"),
    pytest.param("no_clipping", {"max_grad_norm": 0.0, "learning_rate": 7e-4}, THROWN, id="no clipping at three times the usual rate"),
]
USUAL = [
    pytest.param({}, id="as proposed"),
    pytest.param({"dropout": 0.1}, id="some dropout"),
    pytest.param({"warmup": 0.1}, id="a tenth of warm-up"),
    pytest.param({"warmup": 0.0}, id="no warm-up"),
    pytest.param({"max_grad_norm": 0.0}, id="no clipping at a usual rate"),
    pytest.param({"max_grad_norm": 1.0, "learning_rate": 2e-3}, id="a large rate, with clipping"),
]
RULES = ("heavy_dropout", "all_warm_up", "no_clipping")


@pytest.mark.parametrize(("rule", "settings", "run"), ODD)
def test_a_setting_nobody_uses_is_said_before_the_start_and_is_the_cause_after_it(rule: str, settings: dict[str, Any], run: list[Event]):
    before, after = (said(case(events, **settings), rule) for events in (None, run))
    for found in (before, after):
        assert found is not None
        assert found.alarm
        assert found.settings.keys() <= settings.keys(), "the way out is that setting"
        repaired = case(None, **settings | found.settings)
        assert said(repaired, rule) is None
    assert said(case([*curve([2.0] * 8)], **settings), rule) is None, "nothing is said in the middle of a run"


@pytest.mark.parametrize("settings", USUAL)
@pytest.mark.parametrize("events", [None, WELL, FLAT, THROWN])
def test_usual_settings_are_not_blamed(settings: dict[str, Any], events: list[Event] | None):
    assert [rule for rule in RULES if said(case(events, **settings), rule)] == []


@pytest.mark.parametrize(("rule", "settings", "run"), ODD)
def test_where_it_did_well_all_the_same_it_is_only_told(rule: str, settings: dict[str, Any], run: list[Event]):
    found = said(case(WELL, **settings), rule)
    assert found is None or found.alarm == (settings.get("dropout", 0) >= 0.8), "of 0.9 a tenth is left: that is why it got no further"


def test_a_run_that_ended_early_inside_its_warm_up_is_seen():
    """Planned, the warm-up was a fifth; patience ended the run before it was over."""
    ended = [*curve([3.0] * 30, total=300), *looks(3.0, (10, 2.99), (20, 2.99), (30, 3.0)), finished(30)]
    assert said(case(ended, warmup=0.2, epochs=6.0), "all_warm_up") is not None
    assert said(case(None, warmup=0.2, epochs=6.0), "all_warm_up") is None


# ---- warnings that go, and what is no footnote -------------------------------------------------------------------------------
def at(time: float, event: Event) -> Event:
    return event.model_copy(update={"time": time})


def test_the_disk_is_full_no_more_once_the_run_goes_on():
    steps = curve([2.0] * 6, total=60)
    full = at(10.0, incident("disk_full", 3, "The disk is full."))
    before, after = ([at(float(when), step) for when, step in enumerate(part, start)] for part, start in ((steps[:3], 1), (steps[3:], 20)))
    waiting, going = said(case([*before, full]), "disk_full"), said(case([*before, full, *after]), "disk_full")
    assert waiting is not None
    assert waiting.alarm
    assert going is not None
    assert not going.alarm
    assert "went on" in going.words


@pytest.mark.parametrize(("before", "after", "alarm"), [(4.1, 10.7, True), (2.0, 2.9, True), (4.1, 4.9, False), (8.0, 13.0, True)])
def test_forgetting_as_large_as_that_is_an_alarm_whatever_it_knew(before: float, after: float, alarm: bool):
    score = Score(name="forgetting", before=before, after=after, n=100, difference=after - before, verdict="worse", words="")
    found = said(case([*WELL[:-1], Evaluated(step=200, split="final", loss=1.0, n=50, scores=(score,)), finished(200)]), "forgetting")
    assert found is not None
    assert found.alarm == alarm


def test_zero_is_no_size():
    assert [amount("x", count).words for count in (20e6, 1.5e9, 400)] == ["x: 20 MB", "x: 1.5 GB", "x: 400 bytes"]
    bytes_by_hand = re.compile(r"1e9:\.[012]f\} ?GB")
    files = [path for room in ("loralab", "advisor", "ui") for path in (CHECKOUT / room).rglob("*.py")]
    assert bytes_by_hand.search("{x / 1e9:.1f} GB"), "the search itself works"
    assert [str(path) for path in files if bytes_by_hand.search(path.read_text("utf-8"))] == []
