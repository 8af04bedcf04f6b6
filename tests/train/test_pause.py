"""What may happen to a computer in the middle of a run: sleep, clocks that jump, a low battery, heat."""

from __future__ import annotations

import random
import time
from pathlib import Path
from typing import Any

import pytest

from loralab.core.events import Noted, Saved, Stepped
from loralab.sessions import job
from loralab.train import clock, gradient, pause, sensors
from loralab.train.clock import Clock
from loralab.train.sensors import Reading
from tests.support import models
from tests.support.disturbed import adapter, at, data, open_run, same, short, undisturbed

__all__ = ["data", "short", "undisturbed"]

pytestmark = [pytest.mark.usefixtures("no_verdict"), pytest.mark.worker]

# ---- sleep and clocks ----------------------------------------------------------------------------------------------------------


class Times:
    """Clocks of a computer, to be set."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.steady, self.slept = 1000.0, 50.0
        monkeypatch.setattr(clock.time, "monotonic", lambda: self.steady)
        monkeypatch.setattr(clock, "asleep", lambda: self.slept)


def test_a_steady_clock_that_ran_on_through_a_sleep_is_set_right(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        times = Times(patch)
        watch = Clock()
        for _ in range(10):
            times.steady += 2
            assert watch.lost(2.0) == (0.0, 0.0)
        before = watch.now()
        times.steady += 3602
        still, told = watch.lost(3602.0)
        assert still == told == 3600
        assert watch.now() - before == 2


def test_a_steady_clock_that_stood_still_needs_no_setting_and_the_sleep_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        times = Times(patch)
        watch = Clock()
        before = watch.now()
        times.steady, times.slept = times.steady + 2, times.slept + 3600
        assert watch.lost(2.0) == (0.0, 3600.0)
        assert watch.now() - before == 2
        assert watch.lost(2.0) == (0.0, 0.0)


def test_slow_and_uneven_updates_are_no_sleep() -> None:
    watch, draw = Clock(), random.Random(0)
    for _ in range(500):
        assert watch.lost(draw.uniform(3, 59)) == (0.0, 0.0)
    slow = Clock()
    for _ in range(50):
        assert slow.lost(draw.uniform(200, 900))[0] == 0.0


def test_a_run_that_slept_tells_it_and_its_speed_and_time_left_stay_true(
    tmp_path: Path, data: Path, llama: Path, undisturbed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both clocks at once: an hour of sleep, and the wall clock set back by a year."""
    folder, hour, wall = open_run(tmp_path / "run", data, llama), list[float](), time.time
    monkeypatch.setattr(clock, "asleep", lambda: sum(hour))

    def sleep(_: Any) -> None:
        hour.append(3600.0)
        monkeypatch.setattr(time, "time", lambda: wall() - 3e7)

    at(monkeypatch, 5, sleep)
    result = job.run(folder)
    told = [event for event in models.told(folder, Noted) if "slept" in event.text]
    assert [event.step for event in told] == [5]
    assert "1 h 0 min" in told[0].text
    assert result["seconds"] < 600
    assert all((event.seconds_left or 0) < 600 for event in models.told(folder, Stepped))
    assert min(event.tokens_per_second for event in models.told(folder, Stepped)) > 1
    assert same(adapter(result), undisturbed)


def test_an_hour_in_which_nothing_was_computed_does_not_count(
    tmp_path: Path, data: Path, llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stopped process, or Windows' sleep: the steady clock itself runs on."""
    folder, hour, steady = open_run(tmp_path / "run", data, llama, max_steps=12), list[float](), time.monotonic
    monkeypatch.setattr(clock.time, "monotonic", lambda: steady() + sum(hour))
    healthy = gradient.backward

    def backward(session: Any, *rest: Any) -> Any:
        if len(models.told(folder, Stepped)) == 8 and not hour:
            hour.append(3600.0)
        return healthy(session, *rest)

    monkeypatch.setattr(gradient, "backward", backward)
    result = job.run(folder)
    assert hour
    assert [event.step for event in models.told(folder, Noted) if "stood still" in event.text] == [9 - 1]
    assert result["seconds"] < 600
    assert min(event.tokens_per_second for event in models.told(folder, Stepped)) > 1


# ---- battery and heat ----------------------------------------------------------------------------------------------------------


def readings(monkeypatch: pytest.MonkeyPatch, *given: Reading) -> list[Reading]:
    """Sensors that say `given` one after the other, then the last for ever."""
    left = list(given)
    monkeypatch.setattr(
        sensors.Sensors,
        "__init__",
        lambda self: self.__dict__.update(last_read=-1e9, read=lambda: left.pop(0) if len(left) > 1 else left[0]),
    )
    return left


def test_a_run_waits_while_the_battery_is_low_and_goes_on_by_itself(
    tmp_path: Path, data: Path, llama: Path, undisturbed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    well, low = Reading(battery=80), Reading(battery=15)
    left = readings(monkeypatch, well, well, low, low, Reading(battery=22), Reading(battery=None))
    folder = open_run(tmp_path / "run", data, llama, pause_below_battery=20)
    result = job.run(folder)
    assert len(left) == 1, "22 % is above the limit, but not by enough to go on"
    words = [event.text for event in models.told(folder, Noted) if "aiting" in event.text]
    assert len(words) == 2
    assert "battery is at 15 % (your limit is 20 %)" in words[0]
    assert "Going on" in words[1]
    assert 3 in [event.artifact.step for event in models.told(folder, Saved)], "saved before it waited"
    assert same(adapter(result), undisturbed)


def test_a_hot_machine_waits_and_a_stop_is_answered_while_it_does(
    tmp_path: Path, data: Path, llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readings(monkeypatch, Reading(temperature=60), Reading(temperature=97))
    folder = open_run(tmp_path / "run", data, llama, pause_above_temperature=90)
    monkeypatch.setattr(pause.time, "sleep", lambda _: (folder.path / "stop").touch())
    monkeypatch.setattr(pause, "READ_EVERY", 0.05)
    result = job.run(folder)
    assert result["outcome"] == "stopped"
    assert result["steps"] < 8
    assert any("97 °C" in event.phase for event in models.told(folder, Noted))


@pytest.mark.parametrize(
    "reading",
    [Reading(), Reading(battery=80, temperature=60), Reading(battery=20, temperature=90), Reading(battery=None, temperature=None)],
)
def test_a_machine_that_is_well_or_not_known_never_waits(reading: Reading) -> None:
    plan = models.plan(Path("x"), pause_below_battery=20, pause_above_temperature=90)
    assert pause.why(plan, reading) == ""


def test_no_limit_no_reading(tmp_path: Path, data: Path, llama: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def never() -> Reading:
        raise AssertionError("nobody asked for it")

    monkeypatch.setattr(sensors.Sensors, "__init__", lambda self: self.__dict__.update(last_read=-1e9, read=never))
    assert job.run(open_run(tmp_path / "run", data, llama))["steps"] == 8


def test_broken_sensors_are_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sensors._hottest([-1, 255, 65_261, float("nan"), 0]) is None
    assert sensors._hottest([-1, 48.5, 255]) == 48.5

    def broken() -> Any:
        raise OSError("the driver is gone")

    monkeypatch.setattr(sensors.psutil, "sensors_battery", broken, raising=False)
    monkeypatch.setattr(sensors.psutil, "sensors_temperatures", broken, raising=False)
    assert sensors._battery() is None
    assert sensors._processor() == []
    reading = sensors.read()
    assert reading.battery is None
