"""Every ending of a run, through the real worker process."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from loralab.core.paths import CHECKOUT
from loralab.runs import runs, watch
from loralab.runs.priority import NICE
from tests.conftest import ended, ending, endings, first_line, forget, gone, python, until, worker_of, worker_pid

pytestmark = pytest.mark.worker


def test_a_run_that_does_its_job_is_finished(home, fake):
    run = fake(max_steps=5)
    view = ended(home, run)
    assert view.state == "finished"
    assert [step.step for step in view.steps] == [1, 2, 3, 4, 5]
    assert ending(home, run).result["steps"] == 5
    assert Path(view.trained).is_dir()


def test_a_worker_steps_back_for_other_programs_and_those_keep_their_rank(home, fake):
    own = psutil.Process().nice()
    run = fake(max_steps=1000, step_seconds=0.05)
    until(lambda: runs.view(home, run).step >= 1)
    assert psutil.Process(worker_pid(home, run)).nice() == max(NICE, own)
    assert psutil.Process().nice() == own
    runs.stop(home, run, force=True)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux shares the processor by sessions")
@pytest.mark.parametrize("leader", [True, False])
def test_the_rank_of_a_session_is_lowered_only_where_the_session_is_the_workers_own(tmp_path, leader):
    rank = tmp_path / "autogroup"
    rank.write_text("0")
    step_back = f"from pathlib import Path; from loralab.runs import priority; priority.GROUP = Path({str(rank)!r}); priority.step_back()"
    between = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {step_back!r}], check=True)"
    grandchild = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {between!r}], check=True)"
    code = step_back if leader else grandchild
    subprocess.run([sys.executable, "-c", code], check=True, cwd=CHECKOUT, start_new_session=True)
    assert rank.read_text() == (str(NICE) if leader else "0")


def test_an_exception_fails_the_run_and_leaves_its_traceback_in_the_log(home, fake):
    run = fake(breaks="raise")
    view = ended(home, run)
    assert view.state == "failed"
    assert "told to raise" in ending(home, run).what
    assert "Traceback" in (home / "runs" / run / "worker.log").read_text()
    assert watch.DESK.children[home / "runs" / run].wait(10) == 1


def test_leaving_through_sys_exit_is_a_failure_and_not_a_silence(home, fake):
    view = ended(home, fake(breaks="exit"))
    assert view.state == "failed"


def test_a_killed_worker_is_given_its_ending_by_who_looks(home, fake):
    run = fake(breaks="kill")
    view = ended(home, run)
    assert view.state == "killed"
    assert ending(home, run).code == "worker_gone"  # by whom, nobody knows
    assert ending(home, run).todo
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
        "import sys, time; from pathlib import Path; from loralab.runs import runs; from loralab.core.jobs import TrainJob\n"
        "plan = {'task': 'fake', 'max_steps': 40, 'step_seconds': 0.05}\n"
        "print(runs.start(Path(sys.argv[1]), TrainJob(plan=plan)), flush=True); time.sleep(600)",
        home,
    )
    run = first_line(app)
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
    child = watch.DESK.children[home / "runs" / run]
    forget(home, run)
    child.kill()
    child.wait()
    view = ended(home, run)
    assert view.state == "killed"
    assert ending(home, run).code == "worker_gone"


def test_a_worker_dead_before_its_first_event_does_not_leave_the_run_waiting(home, fake, monkeypatch, tmp_path):
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text(
        "import os, sys\nsys.stderr.write('libcuda is broken here\\n'); sys.stderr.flush(); os._exit(7)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(broken))
    run = fake()
    view = ended(home, run)
    assert view.state == "killed"
    assert ending(home, run).code == "dead_at_start"
    assert "libcuda is broken here" in ending(home, run).what
    monkeypatch.delenv("PYTHONPATH")
    runs.resume(home, run)
    assert ended(home, run).state == "finished"


def test_an_app_that_died_before_it_started_the_worker_leaves_an_ended_run(home):
    folder = home / "runs" / "2026-01-01-lonely-job"
    folder.mkdir(parents=True)
    (folder / "job.json").write_text('{"kind": "train", "run": "2026-01-01-lonely-job"}')
    assert ending(home, folder.name).code == "dead_at_start"


def test_an_unresponsive_run_is_ended_by_force(home, fake):
    run = fake(breaks="hang")
    until(lambda: runs.view(home, run).step == 2)
    pid = worker_of(home, run).pid
    runs.stop(home, run, force=True)
    view = runs.view(home, run)
    assert view.state == "killed"
    assert ending(home, run).code == "ended_by_force"
    assert gone(pid)
