"""Safety copies: whole or absent, sealed, the right ones kept; a run that goes on from any of them ends the same, bit for bit."""

from __future__ import annotations

import errno
import os
import pickle
import signal
import zipfile
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from loralab.core.errors import RunFailed
from loralab.core.events import Saved, Stepped
from loralab.core.records import Plan
from loralab.sessions import job
from loralab.train import checkpoint, checkpointing, loop
from loralab.train.checkpoint import Progress
from loralab.train.optim import adamw
from tests.support import models
from tests.support.disturbed import Killed, adapter, same
from tests.support.tiers import grid

pytestmark = pytest.mark.usefixtures("no_verdict")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.uneven_file(tmp_path_factory.mktemp("data") / "uneven.jsonl", 24)


class Small:
    """A weight with its optimiser, to be saved."""

    def __init__(self, size: int = 400) -> None:
        self.weight = torch.nn.Parameter(torch.zeros(size))
        self.optimizer = adamw([self.weight], Plan())

    def save(self, folder: Path, step: int, best_step: int = 0, best: torch.Tensor | None = None) -> Path:
        self.weight.data.fill_(step)
        self.weight.grad = torch.ones_like(self.weight)
        self.optimizer.step()
        kept = None if best is None else {"w": best}
        return checkpoint.save(folder, Progress(step=step, best_step=best_step), {"w": self.weight}, kept, self.optimizer)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


# ---- which are kept --------------------------------------------------------------------------------------------------------


def test_the_newest_two_and_the_best_are_kept(tmp_path: Path) -> None:
    small = Small()
    for step in range(1, 8):
        small.save(tmp_path, step, best_step=3)
    assert names(tmp_path) == ["step-3.pt", "step-6.pt", "step-7.pt"]
    small.save(tmp_path, 8, best_step=8)
    assert names(tmp_path) == ["step-7.pt", "step-8.pt"]


def test_what_is_also_the_best_is_written_once_and_read_twice(tmp_path: Path) -> None:
    small = Small(100_000)
    apart = small.save(tmp_path, 1, best=torch.ones(100_000)).stat().st_size
    small.weight.data.fill_(2)
    content: dict[str, torch.Tensor] = {"w": small.weight}
    path = checkpoint.save(tmp_path, Progress(step=2), content, {"w": small.weight.detach().clone()}, small.optimizer)
    assert path.stat().st_size < apart - 4 * 90_000
    saved = checkpoint.newest(tmp_path)
    assert saved is not None
    assert torch.equal(saved["best"]["w"], saved["state"]["w"])


def test_files_of_other_names_are_left_alone(tmp_path: Path) -> None:
    for name in ("step-x.pt", "step-.pt", "step--1.pt", "step-9999999999999999999.pt", "notes.pt"):
        (tmp_path / name).write_bytes(b"x")
    Small().save(tmp_path, 1)
    saved = checkpoint.newest(tmp_path)
    assert saved is not None
    assert saved["progress"]["step"] == 1
    assert (tmp_path / "step-x.pt").exists()


def test_a_note_of_a_later_version_does_not_keep_a_run_from_going_on(tmp_path: Path) -> None:
    path = Small().save(tmp_path, 4)
    content = torch.load(path, weights_only=True)
    content["progress"]["from_the_future"] = 1
    torch.save(content, path)  # without a seal, as the first versions wrote it
    saved = checkpoint.newest(tmp_path)
    assert saved is not None
    assert Progress(**saved["progress"]).step == 4


# ---- what is not written ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["weight", "notes"])
def test_a_number_that_is_not_finite_is_never_written(tmp_path: Path, where: str) -> None:
    small = Small()
    small.save(tmp_path, 1)
    notes = small.optimizer.parts[0].state[small.weight]
    (small.weight.data if where == "weight" else notes["exp_avg"])[7] = float("nan")
    with pytest.raises(RunFailed, match="not finite"):
        checkpoint.save(tmp_path, Progress(step=2), {"w": small.weight}, None, small.optimizer)
    assert names(tmp_path) == ["step-1.pt"]


class _Full:
    """A file on a disk that takes `room` writes."""

    def __init__(self, file: Any, room: int, code: int) -> None:
        self.file, self.room, self.code = file, room, code

    def write(self, data: bytes) -> int:
        if self.room <= 0:
            raise OSError(self.code, os.strerror(self.code))
        self.room -= 1
        return self.file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)


def refusal(small: Small, folder: Path) -> int | None:
    """The error number with which saving failed."""
    try:
        small.save(folder, 2)
    except OSError as error:
        return error.errno
    return None


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_disk_that_is_full_at_any_write_leaves_the_copies_before_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    small, healthy, failed = Small(), checkpoint._Digesting, 0
    small.save(tmp_path, 1)
    for room in range(200):
        monkeypatch.setattr(checkpoint, "_Digesting", lambda file, room=room: healthy(_Full(file, room, code)))  # type: ignore[arg-type]
        if (found := refusal(small, tmp_path)) is None:
            break
        assert found == code, room
        assert names(tmp_path) == ["step-1.pt"]
        failed += 1
    assert failed > 10, "it was to fail at every one of many writes"
    saved = checkpoint.newest(tmp_path)
    assert saved is not None
    assert saved["progress"]["step"] == 2
    monkeypatch.undo()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.worker
def test_a_process_killed_while_it_writes_leaves_a_whole_copy(tmp_path: Path) -> None:
    """The child saves as fast as it can and is killed at forty moments; there is always a copy to go on from.

    Every second one is killed when half a copy is seen: where a fork or a disk is slow, chance finds no such moment.
    """
    import random
    import time

    def half() -> bool:
        return any(name.endswith(".writing") for name in names(tmp_path))

    Small().save(tmp_path, 1)
    halves = 0
    for trial in range(40):
        child = os.fork()
        if child == 0:
            small, step = Small(50_000), 1
            while True:
                step += 1
                small.save(tmp_path, step)
        patience = time.monotonic() + 10
        while trial % 2 and not half() and time.monotonic() < patience:
            pass
        time.sleep(random.Random(trial).uniform(0.0, 0.001 if trial % 2 else 0.03))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        halves += half()
        saved = checkpoint.newest(tmp_path)
        assert saved is not None
        assert bool((saved["state"]["w"] != 0).any())
        assert not any("damaged" in name for name in names(tmp_path))
    assert halves > 4, "no kill fell into the middle of a save"


# ---- what is not read ------------------------------------------------------------------------------------------------------


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.floats(0, 1), flip=st.integers(1, 255))
@example(place=-checkpoint.SEAL - 2, flip=checkpoint.SEAL)  # the length of the seal becomes none
@example(place=-checkpoint.SEAL - 2, flip=1)  # or more than there is
@example(place=-checkpoint.SEAL - 1, flip=1)
def test_a_single_changed_byte_anywhere_is_noticed(tmp_path: Path, place: float, flip: int) -> None:
    folder = tmp_path / "copies"
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    small = Small()
    small.save(folder, 1)
    path = small.save(folder, 2)
    raw = bytearray(path.read_bytes())
    raw[min(int(place * len(raw)), len(raw) - 1) if place >= 0 else int(place)] ^= flip
    path.write_bytes(bytes(raw))
    saved = checkpoint.newest(folder)
    assert saved is not None
    assert saved["progress"]["step"] == 1


class _Program:
    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.system, ("touch /tmp/loralab-was-here",)


def test_a_program_hidden_in_a_copy_is_not_run(tmp_path: Path) -> None:
    mark = Path("/tmp/loralab-was-here")
    mark.unlink(missing_ok=True)
    Small().save(tmp_path, 1)
    (tmp_path / "step-2.pt").write_bytes(pickle.dumps(_Program()))
    torch.save({"progress": _Program()}, tmp_path / "step-3.pt")
    saved = checkpoint.newest(tmp_path)
    assert saved is not None
    assert saved["progress"]["step"] == 1
    assert not mark.exists()


def test_a_copy_that_unpacks_to_more_than_it_is_is_not_opened(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "step-9.pt", "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("archive/data/0", bytes(10_000_000))
    assert checkpoint.newest(tmp_path) is None


# ---- going on --------------------------------------------------------------------------------------------------------------

PLAN: dict[str, Any] = {"dropout": 0.2, "max_steps": 8, "eval_every": 3, "checkpoint_minutes": 60.0}


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, llama: Path, data: Path) -> tuple[dict[str, torch.Tensor], list[float]]:
    whole = models.run_folder(tmp_path_factory.mktemp("whole"), models.plan(data, **PLAN), llama)
    with pytest.MonkeyPatch.context() as patch:  # a module's fixture is made before what each test uses
        patch.setattr(loop, "_judge", lambda run: None)
        return adapter(job.run(whole)), models.losses(whole)


@pytest.mark.worker
@pytest.mark.parametrize("step", grid(range(1, 9), (1, 4, 8)))
def test_a_run_killed_at_any_update_and_resumed_ends_the_same_bit_for_bit(
    tmp_path: Path, llama: Path, data: Path, undisturbed: Any, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    expected, losses = undisturbed
    folder = models.run_folder(tmp_path / "run", models.plan(data, **PLAN), llama)
    healthy = checkpointing.wait_for_room

    def kill(run: Any) -> None:  # the first thing after an update
        if run.progress.step == step:
            raise Killed
        healthy(run)

    with monkeypatch.context() as patch:
        patch.setattr(checkpointing, "wait_for_room", kill)
        with pytest.raises(Killed):
            job.run(folder)
    torch.manual_seed(step)  # another process has other random numbers
    assert same(adapter(job.run(models.run_folder(tmp_path / "run", models.plan(data, **PLAN), llama))), expected)
    saved = (step - 1) // 3 * 3  # the last look before
    assert [event.step for event in models.told(folder, Stepped)] == [*range(1, step + 1), *range(saved + 1, 9)]
    assert models.losses(folder)[:step] + models.losses(folder)[-(8 - step) or 99 :] == losses


def test_a_run_that_stopped_early_and_was_killed_while_being_judged_does_not_go_on_training(
    tmp_path: Path, llama: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan = models.plan(data, max_steps=40, eval_every=1, patience=1, learning_rate=0.5, schedule="constant", warmup=0.0)
    folder = models.run_folder(tmp_path / "run", plan, llama)

    def killed(*_: Any) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("loralab.train.loop._judge", killed)
        with pytest.raises(Killed):
            job.run(folder)
    done = [event.step for event in models.told(folder, Stepped)]
    assert len(done) < 40, "it was to stop early"
    result = job.run(folder)
    assert [event.step for event in models.told(folder, Stepped)] == done
    assert result["steps"] == done[-1]


def test_a_copy_is_told_with_what_it_weighs(tmp_path: Path, llama: Path, data: Path) -> None:
    folder = models.run_folder(tmp_path / "run", models.plan(data, **PLAN), llama)
    job.run(folder)
    copies = [event.artifact for event in models.told(folder, Saved) if event.artifact.kind == "checkpoint"]
    assert [copy.step for copy in copies] == [3, 6, 8]
    assert all(copy.bytes == Path(copy.path).stat().st_size for copy in copies if Path(copy.path).exists())
    assert len(names(folder.checkpoints)) in (2, 3)
