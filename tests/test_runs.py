"""Every ending of a run, through the real worker process."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from loralab import process, runs
from loralab.errors import UserError
from loralab.events import Ended, EventLog, Started, Stepped, read
from loralab.paths import CHECKOUT
from tests.conftest import ended, until


def endings(home, run):
    return [event for event in read(home / "runs" / run / "events.jsonl")[0] if isinstance(event, Ended)]


def worker_of(home, run):
    return process.WorkerProcess.model_validate_json((home / "runs" / run / "worker.json").read_bytes())


def forget(home, run):
    """As after a restart of the app: nothing in memory, no child of ours."""
    runs._DESK.forget(home / "runs" / run)


def python(code, *arguments, **environment):
    """Another process as the app: runs `code` with the checkout as its folder."""
    return subprocess.Popen(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=CHECKOUT, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True
    )


# ---- the endings -----------------------------------------------------------------------------------------------------------


def test_a_run_that_does_its_job_is_finished(home, fake):
    run = fake(max_steps=5)
    view = ended(home, run)
    assert view.state == "finished"
    assert [step.step for step in view.steps] == [1, 2, 3, 4, 5]
    assert view.ending.result["steps"] == 5
    assert Path(view.adapter).is_dir()


def test_an_exception_fails_the_run_and_leaves_its_traceback_in_the_log(home, fake):
    run = fake(breaks="raise")
    view = ended(home, run)
    assert view.state == "failed"
    assert "told to raise" in view.ending.what
    assert "Traceback" in (home / "runs" / run / "worker.log").read_text()
    assert runs._DESK.children[home / "runs" / run].wait(10) == 1


def test_leaving_through_sys_exit_is_a_failure_and_not_a_silence(home, fake):
    view = ended(home, fake(breaks="exit"))
    assert view.state == "failed"


def test_a_killed_worker_is_given_its_ending_by_who_looks(home, fake):
    run = fake(breaks="kill")
    view = ended(home, run)
    assert view.state == "killed"
    assert view.ending.code == "out_of_memory"  # killed by the system and by nobody we know
    assert view.ending.todo
    assert view.step == 2


def test_a_torn_last_line_is_cut_off_before_the_ending_is_written(home, fake):
    run = fake(breaks="tear")
    view = ended(home, run)
    lines = (home / "runs" / run / "events.jsonl").read_text().splitlines()
    assert view.state == "killed"
    assert [json.loads(line)["type"] for line in lines][-2:] == ["stepped", "ended"]
    assert not any("could not be read" in note.text for note in view.notes)


def test_a_polite_stop_saves_and_resume_goes_on_from_there(home, fake):
    run = fake(max_steps=30, step_seconds=0.05)
    until(lambda: runs.view(home, run).step >= 3)
    runs.stop(home, run)
    stopped = ended(home, run)
    assert stopped.state == "stopped"
    assert 3 <= stopped.step < 30
    runs.resume(home, run)
    assert runs.view(home, run).active
    assert runs.view(home, run).ending is None
    view = ended(home, run)
    assert view.state == "finished"
    assert [step.step for step in view.steps] == list(range(1, 31))
    assert [event.outcome for event in endings(home, run)] == ["stopped", "finished"]
    assert worker_of(home, run).attempt == 2


def test_a_killed_run_is_resumed_and_what_came_after_the_checkpoint_is_done_again(home, fake):
    run = fake(max_steps=6, breaks="kill", breaks_at=4)
    assert ended(home, run).state == "killed"
    job = home / "runs" / run / "job.json"
    job.write_text(job.read_text().replace('"breaks": "kill"', '"breaks": ""'))
    runs.resume(home, run)
    view = ended(home, run)
    assert view.state == "finished"
    assert [step.step for step in view.steps][-6:] == [1, 2, 3, 4, 5, 6]  # the fake task only saves when it is stopped


def test_a_run_goes_on_when_the_app_is_killed_and_a_new_app_attaches(home, fake):
    app = python(
        "import sys, time; from pathlib import Path; from loralab import runs\n"
        "print(runs.start(Path(sys.argv[1]), 'train', {'task': 'fake', 'max_steps': 40, 'step_seconds': 0.05}), flush=True); time.sleep(600)",
        home,
    )
    run = app.stdout.readline().strip()
    until(lambda: runs.view(home, run).step >= 2)
    app.kill()
    app.wait()
    before = runs.view(home, run).step
    view = ended(home, run)
    assert before < 40
    assert view.state == "finished"
    assert len(view.steps) == 40


def test_a_worker_killed_while_no_app_was_there_is_found_dead_by_the_next(home, fake):
    run = fake(breaks="hang")
    until(lambda: runs.view(home, run).step == 2)
    child = runs._DESK.children[home / "runs" / run]
    forget(home, run)
    child.kill()
    child.wait()
    view = ended(home, run)
    assert view.state == "killed"
    assert view.ending.code == "worker_gone"


def test_a_worker_dead_before_its_first_event_does_not_leave_the_run_waiting(home, fake, monkeypatch, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text("import os, sys\nsys.stderr.write('libcuda is broken here\\n'); sys.stderr.flush(); os._exit(7)\n")
    monkeypatch.setenv("PYTHONPATH", str(broken))
    run = fake()
    view = ended(home, run)
    assert view.state == "killed"
    assert view.ending.code == "dead_at_start"
    assert "libcuda is broken here" in view.ending.what
    monkeypatch.delenv("PYTHONPATH")
    runs.resume(home, run)
    assert ended(home, run).state == "finished"


def test_an_app_that_died_before_it_started_the_worker_leaves_an_ended_run(home):
    folder = home / "runs" / "2026-01-01-lonely-job"
    folder.mkdir(parents=True)
    (folder / "job.json").write_text('{"kind": "train", "run": "2026-01-01-lonely-job"}')
    assert ended(home, folder.name).ending.code == "dead_at_start"


def test_an_unresponsive_run_is_ended_by_force(home, fake):
    run = fake(breaks="hang")
    until(lambda: runs.view(home, run).step == 2)
    pid = worker_of(home, run).pid
    runs.stop(home, run, force=True)
    view = runs.view(home, run)
    assert view.state == "killed"
    assert view.ending.code == "ended_by_force"
    assert not psutil.pid_exists(pid)


# ---- one ending, whoever looks ---------------------------------------------------------------------------------------------


def test_many_apps_that_find_a_worker_dead_at_once_write_one_ending(home, fake):
    run = fake(breaks="hang")
    until(lambda: runs.view(home, run).step == 2)
    look = (
        "import sys, time; from pathlib import Path; from loralab import runs\n"
        "home, run = Path(sys.argv[1]), sys.argv[2]\n"
        "while runs.view(home, run).active: pass\n"
        "print(runs.view(home, run).state)"
    )
    lookers = [python(look, home, run) for _ in range(4)]
    time.sleep(1.5)  # until they all look
    child = runs._DESK.children[home / "runs" / run]
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
    assert not psutil.pid_exists(pid)


# ---- what is refused -------------------------------------------------------------------------------------------------------


def test_a_finished_run_is_not_resumed_and_an_active_one_neither(home, fake):
    going = fake(max_steps=200, step_seconds=0.05)
    with pytest.raises(UserError, match="still going"):
        runs.resume(home, going)
    done = fake()
    ended(home, done)
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
    pid = worker_of(home, run).pid
    environment = psutil.Process(pid).environ()
    assert environment["OMP_WAIT_POLICY"] == "PASSIVE"
    assert environment["HF_HUB_OFFLINE"] == "1"
    assert environment["LORALAB_HOME"] == str(home)
    assert os.getsid(pid) == pid
    assert Path(psutil.Process(pid).cwd()) == CHECKOUT


def test_two_runs_train_at_the_same_time(home, fake):
    first, second = fake(max_steps=40, step_seconds=0.05), fake(max_steps=3)
    assert ended(home, second).state == "finished"
    assert runs.view(home, first).active
    assert ended(home, first).state == "finished"


def test_no_two_runs_share_a_name(home):
    with ThreadPoolExecutor(16) as pool:
        names = list(pool.map(lambda _: runs._claim(home), range(300)))
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
    log.close()
    return folder.name


def test_two_hundred_readers_of_a_long_log_read_it_once(home, monkeypatch):
    run = long_run(home, 5000)
    times_read, lock = [], threading.Lock()

    def counting(path, offset=0):
        with lock:
            times_read.append(offset)
        return read(path, offset)

    monkeypatch.setattr(runs, "read", counting)
    with ThreadPoolExecutor(200) as pool:
        views = list(pool.map(lambda _: runs.view(home, run), range(200)))
    assert {view.step for view in views} == {5000}
    assert times_read == [0]
    begun = time.perf_counter()
    for _ in range(200):
        runs.view(home, run)
    assert (time.perf_counter() - begun) / 200 < 0.005


def test_a_loss_that_is_not_a_number_is_seen_as_it_was(home, fake):
    view = ended(home, fake(nan_at=2))
    assert [math.isnan(step.loss) for step in view.steps] == [False, True, False, False, False]
