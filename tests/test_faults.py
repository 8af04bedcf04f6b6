"""What may happen to a computer in the middle of a run: a full disk, a read-only one, sleep, heat, a low battery, a damaged index."""

from __future__ import annotations

import contextlib
import random
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from loralab.errors import Unavailable
from loralab.evaluations import _answers
from loralab.events import EventLog, Incident, Noted, Saved, Stepped, read
from loralab.history import History
from loralab.lab import Lab
from loralab.paths import CHECKOUT
from loralab.train import checkpoint, clock, job, loop, pause, safety, text
from loralab.train.clock import Clock
from loralab.train.pause import Reading
from tests import models
from tests.conftest import ended, forget
from tests.test_checkpoint import adapter, same

SETTINGS: dict[str, Any] = {"max_steps": 8, "eval_every": 2, "dropout": 0.1}
Act = Callable[[Any], None]


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_answers, "LONGEST", 4)
    monkeypatch.setattr(text, "MOST_ANSWERS", 3)
    monkeypatch.setattr(safety, "LOOK_EVERY", 0.01)
    monkeypatch.setattr(pause, "LOOK_EVERY", 0.0)
    monkeypatch.setattr(pause, "ANSWER_EVERY", 0.01)


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.model_folder(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.uneven_file(tmp_path_factory.mktemp("data") / "uneven.jsonl", 24)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, llama: Path, data: Path) -> Any:
    return adapter(job.run(models.run_folder(tmp_path_factory.mktemp("whole"), models.plan(data, **SETTINGS), llama)))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real disk of 6 MB. Only root may mount one; the faults injected in test_checkpoint.py run everywhere."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    if mount is None or sys.platform != "linux" or subprocess.call([mount, "-t", "tmpfs", "-o", "size=6m", "tmpfs", place]) != 0:
        pytest.skip("a disk can be mounted by root on Linux only")
    yield place
    subprocess.check_call(["umount", "-l", str(place)])


def fill(place: Path) -> Path:
    """Take all the room there is."""
    block = bytes(4096)
    ballast = place / "ballast"
    with ballast.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while file.write(block):
            pass
    return ballast


def at(monkeypatch: pytest.MonkeyPatch, step: int, act: Act) -> None:
    """Let `act(run)` happen once, right after update `step` was counted."""
    healthy, done = safety.computed, list[int]()

    def computed(run: Any, seconds: float) -> float:
        if run.progress.step == step and not done:
            done.append(step)
            act(run)
        return healthy(run, seconds)

    monkeypatch.setattr(safety, "computed", computed)


def open_run(path: Path, data: Path, llama: Path, **more: Any) -> Any:
    return models.run_folder(path, models.plan(data, **{**SETTINGS, **more}), llama)


# ---- a full disk -------------------------------------------------------------------------------------------------------------


def test_a_run_waits_on_a_full_disk_and_ends_as_if_nothing_had_been(
    small_disk: Path, data: Path, llama: Path, undisturbed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, ballast, waited = open_run(small_disk / "run", data, llama), list[Path](), list[float]()
    healthy = time.sleep

    def sleep(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 5:
            ballast[0].unlink()
        healthy(seconds)

    def full(run: Any) -> None:
        run.folder.reserve.give()
        ballast.append(fill(small_disk))

    at(monkeypatch, 4, full)
    monkeypatch.setattr(safety.time, "sleep", sleep)
    result = job.run(folder)
    assert len(waited) >= 5
    assert [event.step for event in models.told(folder, Stepped)] == list(range(1, 9)), "no line was lost and none was torn"
    assert not any("could not be read" in event.text for event in models.told(folder, Noted))
    assert [event.code for event in models.told(folder, Incident)] == ["disk_full"]
    assert same(adapter(result), undisturbed)


def test_the_reserve_lets_a_run_say_that_the_disk_is_full_while_it_is(
    small_disk: Path, data: Path, llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody else fills the disk; what the run writes then is readable at once, and a stop is answered."""
    folder, seen = open_run(small_disk / "run", data, llama), list[list[str]]()

    def sleep(_: float) -> None:
        seen.append([event.code for event in models.told(folder, Incident)])
        (folder.path / "stop").touch()

    def full(run: Any) -> None:
        fill(small_disk)
        with (folder.path / "events.jsonl").open("rb") as log:  # until the last page of the log is full, too
            left = -len(log.read()) % 4096
        run.folder.emit(Noted(text="x" * left))

    at(monkeypatch, 4, full)
    monkeypatch.setattr(safety.time, "sleep", sleep)
    result = job.run(folder)
    assert seen
    assert "disk_full" in seen[0]
    assert result["outcome"] == "stopped"
    (small_disk / "ballast").unlink()
    (folder.path / "stop").unlink()
    assert open_run(small_disk / "run", data, llama) is not None
    assert job.run(open_run(small_disk / "run", data, llama))["steps"] == 8


def test_a_copy_that_cannot_be_written_is_told_once_and_tried_again(
    tmp_path: Path, data: Path, llama: Path, undisturbed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy, tries = checkpoint.save, list[int]()

    def save(folder: Path, progress: Any, *rest: Any) -> Path:
        tries.append(progress.step)
        if progress.step in (4, 6):
            raise OSError(28, "No space left on device")
        return healthy(folder, progress, *rest)

    monkeypatch.setattr(checkpoint, "save", save)
    monkeypatch.setattr(safety, "AGAIN", 0.0)
    folder = open_run(tmp_path / "run", data, llama)
    result = job.run(folder)
    assert tries == [2, 4, 5, 6, 7, 8]
    assert [(event.step, event.code) for event in models.told(folder, Incident)] == [(4, "disk_full"), (6, "disk_full")]
    assert sum("can be written again" in event.text for event in models.told(folder, Noted)) == 2
    assert same(adapter(result), undisturbed)


def test_a_stop_on_a_full_disk_says_from_where_it_will_go_on(
    tmp_path: Path, data: Path, llama: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    healthy = checkpoint.save

    def save(folder: Path, progress: Any, *rest: Any) -> Path:
        if progress.step > 4:
            raise OSError(28, "No space left on device")
        return healthy(folder, progress, *rest)

    folder = open_run(tmp_path / "run", data, llama)
    at(monkeypatch, 6, lambda run: (run.folder.path / "stop").touch())
    monkeypatch.setattr(checkpoint, "save", save)
    result = job.run(folder)
    assert result["outcome"] == "stopped"
    assert "go on from update 4" in result["what"]


def test_the_log_keeps_its_order_where_a_disk_takes_half_a_line(tmp_path: Path) -> None:
    class Narrow:
        def __init__(self, file: Any, room: int) -> None:
            self.file, self.room = file, room

        def write(self, data: bytes) -> int:
            if not self.room:
                raise OSError(28, "No space left on device")
            taken = self.file.write(data[: self.room])
            self.room -= taken
            return taken

    path = tmp_path / "events.jsonl"
    for room in range(0, 400, 7):
        path.unlink(missing_ok=True)
        log = EventLog(path)
        narrow = Narrow(log._file, room)
        log._file = narrow  # type: ignore[assignment]
        for number in range(5):
            log(Noted(step=number, text="a line"))
        assert [event.step for event in read(path)[0]] == list(range(len(read(path)[0])))
        narrow.room = 10_000
        assert log.flush()
        assert [event.step for event in read(path)[0]] == [0, 1, 2, 3, 4]


# ---- a place that cannot be written to -----------------------------------------------------------------------------------------


def test_a_read_only_workspace_is_said_before_a_run_starts_and_can_be_looked_at(small_disk: Path, fake: Any, home: Path) -> None:
    ended(home, fake())
    shutil.copytree(home / "runs", small_disk / "runs")
    lab = Lab(small_disk)
    listed = lab.runs()
    assert len(listed) == 1
    subprocess.check_call(["mount", "-o", "remount,ro", str(small_disk)])
    with pytest.raises(Unavailable, match="cannot be written to"):
        lab.start({"task": "fake"})
    with pytest.raises(Unavailable, match="cannot be written to"):
        lab.resume(listed[0]["id"])
    assert lab.runs() == listed
    assert lab.view(listed[0]["id"]).state == "finished"
    (tmp := home / "none").write_text("a file, not a folder")
    with pytest.raises(Unavailable):
        Lab(tmp)


def test_a_full_disk_is_said_before_a_run_starts(small_disk: Path, fake: Any) -> None:
    lab = Lab(small_disk)
    lab.runs()
    fill(small_disk)
    with pytest.raises(Unavailable, match="full"):
        lab.start({"task": "fake"})
    assert lab.runs() == []


def test_the_command_line_says_so_in_a_sentence(small_disk: Path) -> None:
    subprocess.check_call(["mount", "-o", "remount,ro", str(small_disk)])
    command = [sys.executable, "-m", "loralab", "runs", "--home", str(small_disk / "new")]
    said = subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)
    assert said.returncode == 1
    assert "cannot be written to" in said.stderr
    assert "Traceback" not in said.stderr


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
    healthy = loop.backward

    def backward(session: Any, *rest: Any) -> Any:
        if len(models.told(folder, Stepped)) == 8 and not hour:
            hour.append(3600.0)
        return healthy(session, *rest)

    monkeypatch.setattr(loop, "backward", backward)
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
        pause.Sensors, "__init__", lambda self: self.__dict__.update(looked=-1e9, read=lambda: left.pop(0) if len(left) > 1 else left[0])
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
    monkeypatch.setattr(pause, "LOOK_EVERY", 0.05)
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

    monkeypatch.setattr(pause, "read", never)
    assert job.run(open_run(tmp_path / "run", data, llama))["steps"] == 8


def test_broken_sensors_are_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert pause._hottest([-1, 255, 65_261, float("nan"), 0]) is None
    assert pause._hottest([-1, 48.5, 255]) == 48.5

    def broken() -> Any:
        raise OSError("the driver is gone")

    monkeypatch.setattr(pause.psutil, "sensors_battery", broken, raising=False)
    monkeypatch.setattr(pause.psutil, "sensors_temperatures", broken, raising=False)
    assert pause._battery() is None
    assert pause._processor() == []
    reading = pause.read()
    assert reading.battery is None


# ---- a damaged index -----------------------------------------------------------------------------------------------------------


def test_a_history_damaged_at_random_places_never_raises_and_is_made_again(home: Path, fake: Any) -> None:
    for _ in range(3):
        ended(home, fake(max_steps=2))
    index, draw = History(home), random.Random(0)
    before = index.runs()
    whole = index.path.read_bytes()
    for trial in range(150):
        raw = bytearray(whole)
        for _ in range(draw.choice([1, 4, 64, 1024])):
            raw[draw.randrange(len(raw))] ^= draw.randrange(1, 256)
        raw = raw[: draw.randrange(len(raw))] if trial % 10 == 0 else raw
        for suffix in ("-wal", "-shm"):
            Path(f"{index.path}{suffix}").unlink(missing_ok=True)
        index.path.write_bytes(bytes(raw))
        found = index.runs()
        assert {row["id"] for row in found} == {row["id"] for row in before}, trial
    index.rebuild()
    assert index.runs() == before


def test_a_run_folder_damaged_at_random_places_is_still_listed(home: Path, fake: Any) -> None:
    run = fake(max_steps=3)
    ended(home, run)
    log, draw = home / "runs" / run / "events.jsonl", random.Random(1)
    whole = log.read_bytes()
    for _ in range(60):
        raw = bytearray(whole)
        for _ in range(draw.choice([1, 16, 200])):
            raw[draw.randrange(len(raw))] = draw.randrange(256)
        log.write_bytes(bytes(raw))
        (home / "history.db").unlink(missing_ok=True)
        forget(home, run)
        assert [row["id"] for row in Lab(home).runs()] == [run]
