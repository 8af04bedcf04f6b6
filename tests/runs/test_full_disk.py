"""A full disk: what could not be written is said, nothing runs for ever, and nothing is started again without being counted."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from loralab.core.errors import Unavailable
from loralab.core.events import Evaluated, Incident, Noted, Queued, RunView, Started, Stepped, append, fold, read
from loralab.core.jobs import TrainJob
from loralab.core.paths import CHECKOUT
from loralab.lab import Lab
from loralab.runs import crash, runs
from loralab.runs.death import Death
from tests.conftest import ended, endings, fill, gone, until, worker_of, worker_pid

PAGE = 4096  # bytes


def hanging(disk: Path) -> tuple[str, Path]:
    """A run on the small disk that has made two updates and hangs; its id and its folder."""
    run = runs.start(disk, TrainJob(plan={"task": "fake", "breaks": "hang", "saves_every": 1}))
    until(lambda: runs.view(disk, run).step == 2)
    path = disk / "runs" / run
    (path / "reserve").unlink()
    log = path / "events.jsonl"  # up to a whole page, or a line would still have room in the rest of its last one
    append(log, Noted(time=0, text="x" * (PAGE + -log.stat().st_size % PAGE - len(Noted(time=0, text="").model_dump_json()) - 1)))
    assert log.stat().st_size % PAGE == 0
    return run, path


@pytest.mark.parametrize("victim", ["worker", "both"])
def test_a_dead_run_whose_ending_does_not_fit_on_the_disk_is_over_and_says_why(small_disk, fake, victim):
    run, path = hanging(small_disk)
    worker, supervisor = worker_pid(small_disk, run), worker_of(small_disk, run).pid
    ballast = fill(small_disk)
    for pid in (supervisor, worker) if victim == "both" else (worker,):
        os.kill(pid, signal.SIGTERM if victim == "worker" else signal.SIGKILL)
    until(lambda: gone(worker) and gone(supervisor))
    view = ended(small_disk, run)
    assert view.state == "killed"
    assert view.ending is not None
    assert "disk is full" in view.ending.what
    assert "Free some space" in view.ending.todo
    assert not endings(small_disk, run)
    assert all(runs.view(small_disk, run).state == "killed" for _ in range(20)), "between two questions to the system, too"
    ballast.unlink()
    until(lambda: runs.view(small_disk, run) and endings(small_disk, run))
    assert "disk is full" not in runs.view(small_disk, run).ending.what  # pyright: ignore[reportOptionalMemberAccess]
    assert runs.resume(small_disk, run) == run
    assert path.is_dir()
    runs.stop(small_disk, run, force=True)


def test_a_try_that_could_not_be_counted_is_not_begun(small_disk, fake):
    run, path = hanging(small_disk)
    until(lambda: runs.view(small_disk, run).step == 2)
    ballast = fill(small_disk)
    os.kill(worker_pid(small_disk, run), signal.SIGKILL)  # as the system does for want of memory
    until(lambda: gone(worker_of(small_disk, run).pid))
    starts = [event for event in read(path / "events.jsonl")[0] if isinstance(event, Started)]
    assert len(starts) == 1
    assert not crash.settle(str(path), -9, 0, 0, Death(oom_kills=1))
    ballast.unlink()
    assert crash.settle(str(path), -9, 0, 0, Death(oom_kills=1)), "with room it is counted, and begun"
    assert sum(isinstance(event, Incident) for event in read(path / "events.jsonl")[0]) == 1


def test_a_worker_whose_last_line_does_not_fit_leaves_with_a_code_of_its_own(small_disk, fake):
    run = runs.start(small_disk, TrainJob(plan={"task": "fake", "breaks": "hang"}))
    until(lambda: runs.view(small_disk, run).step == 2)
    runs.stop(small_disk, run, force=True)
    path = small_disk / "runs" / run
    job = path / "job.json"
    (path / "stop").unlink()
    job.write_text(job.read_text().replace('"hang"', '"full"'))
    done = subprocess.run([sys.executable, "-m", "loralab.runs.worker", str(path)], cwd=CHECKOUT, check=False, capture_output=True)
    assert done.returncode == 74, done.stderr.decode()[-500:]
    (small_disk / "runs" / run / "ballast").unlink()
    assert not crash.settle(str(path), 74, 0, 0, Death())
    assert endings(small_disk, run)[-1].code == "disk_full"


def test_a_run_that_could_not_be_queued_is_not_there(small_disk, fake):
    hanging(small_disk)
    waiting = {"task": "fake", "title": "second"}
    ballast = fill(small_disk)
    lab = Lab(small_disk)
    with pytest.raises(Unavailable, match="full"):
        lab.start(waiting)
    ballast.unlink()
    assert len(runs.list_runs(small_disk)) == 1
    for run in runs.list_runs(small_disk):
        runs.stop(small_disk, run, force=True)


def test_all_or_none_of_what_belongs_together_is_appended(small_disk):
    path = small_disk / "events.jsonl"
    append(path, Queued())
    ballast = fill(small_disk)
    before = path.read_bytes()
    with pytest.raises(OSError, match="space"):
        append(path, *(Queued() for _ in range(200)))
    assert path.read_bytes() == before
    ballast.unlink()


def test_evaluations_made_again_after_a_damaged_checkpoint_are_there_once():
    def stepped(step: int) -> Stepped:
        return Stepped(step=step, loss=1, grad_norm=1, learning_rate=1, tokens=1, tokens_per_second=1, memory_bytes=1)

    def looked(step: int, loss: float) -> Evaluated:
        return Evaluated(step=step, split="base" if step == 0 else "heldout", loss=loss, n=4)

    first = [Started(pid=1), looked(0, 5), *(stepped(n) for n in range(1, 11)), looked(10, 3), *(stepped(n) for n in range(11, 21))]
    second = [looked(20, 2), Started(pid=2, resumed=True, step=20)]  # the copy of update 20 turns out to be damaged, that of 10 is taken
    again = [*(stepped(n) for n in range(11, 21)), looked(20, 1)]
    view: RunView = fold("r", [*first, *second, *again])
    assert [(look.step, look.loss) for look in view.evaluations] == [(0, 5), (10, 3), (20, 1)]
    assert [step.step for step in view.steps] == list(range(1, 21))
    halfway = fold("r", [*first, *second, *again[:5]])
    assert [look.step for look in halfway.evaluations] == [0, 10], "what will be made again is not there yet"
    nothing = fold("r", [*first, *second, looked(0, 5), *again])  # no copy was whole
    assert [look.step for look in nothing.evaluations].count(0) == 1
