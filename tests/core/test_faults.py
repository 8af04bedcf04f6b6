"""What may happen to a disk in the middle of a run: full, read-only, an index damaged."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from loralab.core.errors import Unavailable
from loralab.core.events import EventLog, Incident, Noted, Stepped, read
from loralab.core.paths import CHECKOUT
from loralab.history import History
from loralab.lab import Lab
from loralab.sessions import job
from loralab.train import checkpoint, checkpointing
from tests.conftest import ended, fill, forget
from tests.support import models
from tests.support.disturbed import adapter, at, data, open_run, same, short, undisturbed

pytestmark = pytest.mark.worker

__all__ = ["data", "short", "undisturbed"]


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
    monkeypatch.setattr(checkpointing.time, "sleep", sleep)
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
    monkeypatch.setattr(checkpointing.time, "sleep", sleep)
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
    monkeypatch.setattr(checkpointing, "AGAIN", 0.0)
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


def test_the_log_keeps_its_order_where_a_disk_takes_half_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, write = tmp_path / "events.jsonl", os.write
    for room in range(0, 400, 7):
        left = [room]

        def narrow(handle: int, data: bytes, left: list[int] = left) -> int:
            if not left[0]:
                raise OSError(28, "No space left on device")
            taken = write(handle, data[: left[0]])
            left[0] -= taken
            return taken

        path.unlink(missing_ok=True)
        monkeypatch.setattr(os, "write", narrow)
        log = EventLog(path)
        for number in range(5):
            log(Noted(step=number, text="a line"))
        assert [event.step for event in read(path)[0]] == list(range(len(read(path)[0])))
        left[0] = 10_000
        assert log.flush()
        assert [event.step for event in read(path)[0]] == [0, 1, 2, 3, 4]
        monkeypatch.undo()


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
    index.path.unlink(missing_ok=True)
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
