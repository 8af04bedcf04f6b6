"""Looking at runs: one ending whoever looks, names and refusals, the worker's surroundings, and what looking costs."""

from __future__ import annotations

import json
import math
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from loralab.core.errors import UserError
from loralab.core.events import Ended, EventLog, Started, Stepped, read
from loralab.core.paths import CHECKOUT
from loralab.runs import process, queue, runs, watch
from tests.conftest import ended, endings, forget, python, until, worker_of, worker_pid

pytestmark = pytest.mark.worker

# ---- one ending, whoever looks ---------------------------------------------------------------------------------------------


def test_many_apps_that_find_a_run_dead_at_once_write_one_ending(home, fake):
    run = fake(breaks="hang")
    until(lambda: runs.view(home, run).step == 2)
    look = (
        "import sys, time; from pathlib import Path; from loralab.runs import runs\n"
        "home, run = Path(sys.argv[1]), sys.argv[2]\n"
        "while runs.view(home, run).active: pass\n"
        "print(runs.view(home, run).state)"
    )
    lookers = [python(look, home, run) for _ in range(4)]
    time.sleep(1.5)  # until they all look
    child = watch.DESK.children[home / "runs" / run]
    child.kill()
    child.wait()
    states = [looker.communicate(timeout=60)[0].strip() for looker in lookers]
    assert states == ["killed"] * 4
    assert len(endings(home, run)) == 1


def test_a_finished_run_is_never_given_a_second_ending(home, fake):
    run = fake()
    ended(home, run)
    for _ in range(3):
        forget(home, run)
        assert runs.view(home, run).state == "finished"
    assert len(endings(home, run)) == 1


def test_a_process_id_used_again_by_a_stranger_is_not_taken_for_the_worker(home, fake):
    run = fake(breaks="kill")
    ended(home, run)
    stranger = process.WorkerProcess(pid=os.getpid(), created=psutil.Process().create_time() - 3600)
    assert not process.alive(stranger, home / "runs" / run)
    assert process.alive(stranger.model_copy(update={"created": psutil.Process().create_time()}), home / "runs" / run)


def test_a_worker_is_still_known_after_the_clock_was_set(home, fake):
    run = fake(breaks="hang")
    until(lambda: runs.view(home, run).step == 2)
    worker = worker_of(home, run)
    assert process.alive(worker.model_copy(update={"created": worker.created + 3600}), home / "runs" / run)


def test_an_ended_child_is_reaped(home, fake):
    run = fake(breaks="kill")
    pid = worker_of(home, run).pid
    ended(home, run)
    until(lambda: runs.view(home, run).ending and not psutil.pid_exists(pid))


# ---- what is refused -------------------------------------------------------------------------------------------------------


def test_a_finished_run_is_not_resumed_and_an_active_one_neither(home, fake):
    done = fake()
    ended(home, done)
    going = fake(max_steps=200, step_seconds=0.05)
    with pytest.raises(UserError, match="still going"):
        runs.resume(home, going)
    with pytest.raises(UserError, match="finished"):
        runs.resume(home, done)
    with pytest.raises(UserError, match="already ended"):
        runs.stop(home, done)
    with pytest.raises(UserError, match="still going"):
        runs.delete(home, going)


@pytest.mark.parametrize("name", ["", "nope", "../runs", "..", "/"])
def test_a_name_that_is_no_run_is_refused_in_words(home, name):
    with pytest.raises(UserError, match="no run called"):
        runs.view(home, name)


def test_a_deleted_run_lies_in_the_trash(home, fake):
    run = fake()
    ended(home, run)
    where = runs.delete(home, run)
    assert (where / "events.jsonl").is_file()
    assert run not in runs.list_runs(home)


# ---- the worker's surroundings ----------------------------------------------------------------------------------------------


def test_a_worker_lives_in_a_session_of_its_own_offline_and_without_busy_threads(home, fake):
    run = fake(breaks="hang")
    until(lambda: runs.view(home, run).step == 2)
    pid, keeper = worker_pid(home, run), worker_of(home, run).pid
    environment = psutil.Process(pid).environ()
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"
    assert environment["HF_HUB_OFFLINE"] == "1"
    assert environment["LORALAB_HOME"] == str(home)
    assert os.getsid(pid) == keeper == psutil.Process(pid).ppid()
    assert Path(psutil.Process(pid).cwd()) == CHECKOUT


def test_no_two_runs_share_a_name(home):
    with ThreadPoolExecutor(16) as pool:
        names = list(pool.map(lambda _: runs.claim(home), range(300)))
    assert len(set(names)) == 300


# ---- looking is cheap ------------------------------------------------------------------------------------------------------


def long_run(home, steps):
    folder = home / "runs" / "2026-01-01-long-run"
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps({"kind": "train", "run": folder.name}))
    log = EventLog(folder / "events.jsonl")
    log(Started(pid=1))
    for step in range(1, steps + 1):
        log(Stepped(step=step, loss=1.0, grad_norm=1.0, learning_rate=1e-3, tokens=1, tokens_per_second=1.0, memory_bytes=1))
    log(Ended(outcome="finished", step=steps))
    return folder.name


def test_two_hundred_readers_of_a_long_log_read_it_once(home, monkeypatch):
    run = long_run(home, 5000)
    times_read, lock = [], threading.Lock()

    def counting(path, offset=0):
        with lock:
            times_read.append(offset)
        return read(path, offset)

    monkeypatch.setattr(watch, "read", counting)
    with ThreadPoolExecutor(200) as pool:
        views = list(pool.map(lambda _: runs.view(home, run), range(200)))
    assert {view.step for view in views} == {5000}
    assert times_read == [0]
    begun = time.perf_counter()
    for _ in range(200):
        runs.view(home, run)
    assert (time.perf_counter() - begun) / 200 < 0.005


def test_only_so_many_runs_are_kept_in_memory(home, monkeypatch):
    monkeypatch.setattr(watch, "KEPT", 3)
    names = [f"2026-01-01-run-{number}" for number in range(8)]
    for name in names:
        folder = home / "runs" / name
        folder.mkdir(parents=True)
        (folder / "job.json").write_text(json.dumps({"kind": "train", "run": name}))
        log = EventLog(folder / "events.jsonl")
        log(Ended(outcome="finished"))
    for name in names * 2:
        assert runs.view(home, name).state == "finished"
    assert len(watch.DESK._seen) <= 3


def test_a_loss_that_is_not_a_number_is_seen_as_it_was(home, fake):
    view = ended(home, fake(nan_at=2))
    assert [math.isnan(step.loss) for step in view.steps] == [False, True, False, False, False]


def test_the_queue_costs_a_look_next_to_nothing_when_nothing_waits(home, fake):
    ended(home, fake())
    begun = time.perf_counter()
    for _ in range(200):
        queue.tend(home)
    assert (time.perf_counter() - begun) / 200 < 0.001
