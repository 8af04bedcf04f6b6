"""The keeper: what becomes of a run whose worker, keeper or app dies, through the real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

from loralab.core.events import Adjusted, Ended, Incident, Started, Stepped, read
from loralab.core.jobs import ExportJob
from loralab.core.paths import CHECKOUT
from loralab.core.records import Plan
from loralab.runs import crash, protocol, runs, watch
from loralab.runs.death import Death, Watch, free_memory
from loralab.runs.worker_lock import held, take_lock
from tests.conftest import ended, ending, first_line, forget, gone, python, until, worker_of, worker_pid
from tests.conftest import endings as all_endings

pytestmark = pytest.mark.worker

Kind = TypeVar("Kind", Started, Incident, Adjusted)


def log_of(home, run):
    return read(home / "runs" / run / "events.jsonl")[0]


def of_kind(home, run, kind: type[Kind]) -> list[Kind]:
    return [event for event in log_of(home, run) if isinstance(event, kind)]


# ---- killed for want of memory ---------------------------------------------------------------------------------------------


def test_a_run_killed_for_memory_once_goes_on_by_itself_with_half_the_tokens_at_once(home, fake):
    run = fake(max_steps=6, breaks="starve", breaks_at=4, breaks_above=60, saves_every=1)
    view = ended(home, run)
    assert view.state == "finished"
    (incident,), (adjusted,) = view.incidents, view.adjustments
    assert (incident.code, incident.step, incident.data["exit_code"]) == ("killed_for_memory", 3, -9)
    assert (adjusted.setting, adjusted.before, adjusted.after) == ("token_budget", 0, 50)  # an update read 100
    assert [step.step for step in view.steps] == [1, 2, 3, 4, 5, 6]
    assert [step.tokens for step in view.steps] == [100, 100, 100, 50, 50, 50]
    first, second = of_kind(home, run, Started)
    assert (first.resumed, second.resumed, second.step) == (False, True, 3)
    assert first.pid != second.pid
    assert worker_of(home, run).attempt == 1, "the same keeper started both"


def test_a_budget_that_was_set_is_halved_as_it_now_is(home, fake):
    view = ended(home, fake(token_budget=96, breaks="starve", breaks_at=2, breaks_above=30))
    assert view.state == "finished"
    assert [(a.before, a.after) for a in view.adjustments] == [(96, 48), (48, 24)]


def test_without_a_safety_copy_it_starts_again_from_the_beginning(home, fake):
    run = fake(max_steps=5, breaks="starve", breaks_at=4, breaks_above=60)
    view = ended(home, run)
    assert view.state == "finished"
    assert [step.step for step in view.steps] == [1, 2, 3, 4, 5]
    assert {step.tokens for step in view.steps} == {50}
    assert sum(look.split == "base" for look in view.evaluations) == 1


def test_a_run_killed_for_memory_always_has_two_more_tries_and_then_an_ending_that_says_what_to_do(home, fake):
    run = fake(breaks="starve", saves_every=1)
    view = ended(home, run)
    assert view.state == "killed"
    assert [incident.data["try"] for incident in view.incidents] == [1, 2]
    assert [adjusted.after for adjusted in view.adjustments] == [50, 25]
    assert len(of_kind(home, run, Started)) == 3
    (last,) = all_endings(home, run)
    assert last.code == "out_of_memory"
    assert "twice" in last.what
    assert "smaller model" in last.todo
    assert view.step == 2


def test_a_person_who_resumes_after_that_gets_the_smaller_budget_and_no_third_try(home, fake):
    run = fake(breaks="starve", saves_every=1)
    ended(home, run)
    runs.resume(home, run)
    until(lambda: len(all_endings(home, run)) == 2)
    assert len(of_kind(home, run, Incident)) == 2
    assert ending(home, run).code == "out_of_memory"


def test_a_run_killed_by_nobody_knows_whom_goes_on_as_it_was_and_nothing_is_said_of_memory(home, fake):
    run = fake(max_steps=4, breaks="kill", saves_every=1)
    view = ended(home, run)
    assert view.state == "killed"
    assert [(one.code, one.data["try"], one.data["short"]) for one in view.incidents] == [("killed", 1, False), ("killed", 2, False)]
    assert not view.adjustments, "the plan is not what ended it"
    (last,) = all_endings(home, run)
    assert last.code == "worker_gone"
    for said in (view.incidents[0].text, last.what):
        assert "maybe you, maybe the system" in said
        assert "memory" not in said
    assert view.incidents[0].data["free_bytes"] > 0, "the keeper looked"


GB = 10**9


@pytest.mark.parametrize(
    ("code", "reason", "death", "found"),
    [
        (-9, "", Death(), ""),
        (-9, "", Death(free_bytes=21 * GB, total_bytes=25 * GB), ""),
        (-9, "", Death(free_bytes=1 * GB, total_bytes=25 * GB), "nearly full"),
        (-9, "", Death(oom_kills=1, free_bytes=21 * GB, total_bytes=25 * GB), "full"),
        (137, "", Death(named=True), "full"),
        (0xC0000017, "", Death(), "full"),
        (-6, "terminate called after throwing an instance of 'std::bad_alloc'", Death(), "full"),
        (0, "torch.OutOfMemoryError: CUDA out of memory, and it went on", Death(), ""),
        (-11, "", Death(free_bytes=1, total_bytes=25 * GB), ""),
    ],
)
def test_memory_is_blamed_only_where_something_shows_it(code, reason, death, found):
    assert crash._shortage(code, reason, death) == found


def test_the_keeper_sees_how_much_memory_there_is():
    free, total = free_memory()
    assert 0 < free < total == psutil.virtual_memory().total
    watch = Watch()
    death = watch.seen(os.getpid())
    assert (death.named, death.oom_kills, death.total_bytes) == (False, 0, total)


def test_a_run_asked_to_stop_and_then_killed_does_not_go_on(home, fake):
    run = fake(breaks="hang")
    until(lambda: runs.view(home, run).step == 2)
    (home / "runs" / run / "stop").touch()
    os.kill(worker_pid(home, run), signal.SIGKILL)
    assert ended(home, run).state == "killed"
    assert not of_kind(home, run, Incident)


def test_only_training_goes_on_by_itself(home, fake, tmp_path):
    run = runs.start(home, ExportJob(of="x"))
    assert ended(home, run).state == "failed"  # a healthy keeper passes on what its worker said
    path = home / "runs" / run
    (path / "events.jsonl").write_bytes(b"".join((path / "events.jsonl").read_bytes().splitlines(keepends=True)[:1]))
    forget(home, run)
    assert not crash.settle(str(path), -9, 0, 0, Death(oom_kills=1))
    assert ending(home, run).code == "out_of_memory"


def cgroup(name):
    """A memory cgroup of this test's own, as version 1 or 2 of them makes it; None where that is not allowed."""
    for root, limits in ((Path("/sys/fs/cgroup/memory"), ("memory.limit_in_bytes",)), (Path("/sys/fs/cgroup"), ("memory.max",))):
        folder = root / name
        try:
            folder.mkdir()
        except OSError:
            continue
        if all((folder / limit).exists() for limit in limits):
            return folder, [folder / limit for limit in limits]
        folder.rmdir()
    return None


@pytest.mark.skipif(sys.platform != "linux", reason="cgroups are Linux's")
def test_a_real_kill_by_the_system_for_want_of_memory_is_told_as_such(home, fake):
    made = cgroup(f"loralab-test-{os.getpid()}")
    if made is None:
        pytest.skip("no memory cgroup may be made here")
    folder, limits = made
    run = fake(breaks="hang", saves_every=1)
    try:
        until(lambda: runs.view(home, run).step == 2)
        plan = home / "runs" / run / "job.json"
        plan.write_text(plan.read_text().replace('"hang"', '"swallow"').replace('"breaks"', '"breaks_above": 60, "breaks"'))
        os.kill(worker_pid(home, run), signal.SIGTERM)  # its next try, by hand, swallows memory at update 3
        assert ended(home, run).state == "killed"
        for limit in limits:
            limit.write_text(str(300 << 20))
        join = "Path(sys.argv[3], 'cgroup.procs').write_text(str(os.getpid())); runs.resume(Path(sys.argv[1]), sys.argv[2])"
        python(f"import os, sys; from pathlib import Path; from loralab.runs import runs; {join}", home, run, folder).wait(60)
        view = ended(home, run)
    finally:
        until(lambda: not (folder / "cgroup.procs").read_text().strip())
        folder.rmdir()
    assert view.state == "finished"
    (incident,) = view.incidents
    assert incident.data["oom_kills"] >= 1
    assert "most likely" not in incident.text
    assert {step.tokens for step in view.steps if step.step > 2} == {50}


@pytest.mark.parametrize(
    ("budget", "seen", "before"),
    [(0, (), 8 * 512), (0, (100, 300, 200), 300), (96, (300,), 96), (4000, (300,), 300), (0, (10**6,), 8 * 512)],
)
def test_the_next_try_splits_a_micro_batch_that_was_seen(budget, seen, before):
    step = Stepped(loss=1.0, grad_norm=1.0, learning_rate=1.0, tokens=1, tokens_per_second=1.0, memory_bytes=1)
    view = watch.RunView(run="r", steps=tuple(step.model_copy(update={"tokens": tokens}) for tokens in seen))
    assert min(budget or crash.MANY, crash._at_once(Plan(), view)) == before


# ---- other silent deaths -----------------------------------------------------------------------------------------------------


def test_a_crash_of_native_code_gets_its_ending_at_once_and_nobody_needs_to_look(home, fake):
    run = fake(breaks="crash")
    until(lambda: all_endings(home, run))  # reads the file: no app looks
    (last,) = all_endings(home, run)
    assert (last.outcome, last.code) == ("killed", "crashed")
    assert "segmentation fault" in last.what.lower()
    assert runs.view(home, run).state == "killed"
    assert runs.view(home, run).step == 2


def test_leaving_with_exit_code_0_and_no_word_is_not_taken_for_success(home, fake):
    run = fake(breaks="vanish")
    assert ended(home, run).state == "killed"
    assert ending(home, run).code == "crashed"


def test_a_torn_last_line_does_not_hinder_the_next_try(home, fake):
    view = ended(home, fake(breaks="tear", breaks_above=60, saves_every=1))
    assert view.state == "finished"
    assert not any("could not be read" in note.text for note in view.notes)
    assert [step.step for step in view.steps] == [1, 2, 3, 4, 5]


def test_the_worker_dies_with_its_keeper_and_the_next_look_offers_to_resume(home, fake):
    run = fake(breaks="hang", saves_every=1)
    until(lambda: runs.view(home, run).step == 2)
    worker = worker_pid(home, run)
    os.kill(worker_of(home, run).pid, signal.SIGKILL)
    view = ended(home, run)
    assert (view.state, ending(home, run).code) == ("killed", "worker_gone")
    assert "Resume" in ending(home, run).todo
    assert gone(worker)
    assert not of_kind(home, run, Adjusted), "nobody was there to know why"
    job = home / "runs" / run / "job.json"
    job.write_text(job.read_text().replace('"hang"', '""'))
    runs.resume(home, run)
    assert ended(home, run).state == "finished"
    assert len(runs.view(home, run).steps) == 5


def test_where_the_system_kills_no_orphans_the_worker_notices_saves_and_stops(home, fake, monkeypatch, tmp_path):
    deaf = tmp_path / "deaf"
    deaf.mkdir()
    (deaf / "sitecustomize.py").write_text(
        "import ctypes\ndef refuse(*given, **named): raise OSError('no such library')\nctypes.CDLL = refuse\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(deaf))
    run = fake(max_steps=400, step_seconds=0.1)
    until(lambda: runs.view(home, run).step >= 2)
    os.kill(worker_of(home, run).pid, signal.SIGKILL)
    assert held(home / "runs" / run)
    assert runs.view(home, run).active, "the worker still lives: nobody may speak for it"
    view = ended(home, run)
    assert view.state == "stopped"
    assert "watched over it" in ending(home, run).what
    assert len(all_endings(home, run)) == 1


def test_keeper_and_worker_killed_at_once_as_by_a_power_cut(home, fake):
    run = fake(breaks="hang")
    until(lambda: runs.view(home, run).step == 2)
    pids = worker_of(home, run).pid, worker_pid(home, run)
    forget(home, run)
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    assert ended(home, run).state == "killed"
    assert [last.code for last in all_endings(home, run)] == ["worker_gone"]


def test_with_the_app_gone_a_killed_worker_still_goes_on_and_a_new_app_sees_it_all(home, fake):
    app = python(
        "import sys, time; from pathlib import Path; from loralab.runs import runs; from loralab.core.jobs import TrainJob\n"
        "plan = {'task': 'fake', 'max_steps': 8, 'step_seconds': 0.05, 'breaks': 'starve', 'breaks_above': 60, 'breaks_at': 4}\n"
        "print(runs.start(Path(sys.argv[1]), TrainJob(plan=plan)), flush=True); time.sleep(600)",
        home,
    )
    run = first_line(app)
    app.kill()
    app.wait()
    until(lambda: all_endings(home, run))
    view = runs.view(home, run)
    assert (view.state, len(view.incidents), len(view.steps)) == ("finished", 1, 8)


def test_ended_by_force_is_not_taken_for_want_of_memory(home, fake):
    run = fake(breaks="hang")
    until(lambda: runs.view(home, run).step == 2)
    pids = worker_of(home, run).pid, worker_pid(home, run)
    runs.stop(home, run, force=True)
    assert [last.code for last in all_endings(home, run)] == ["ended_by_force"]
    assert all(map(gone, pids))
    assert not of_kind(home, run, Incident)
    time.sleep(0.5)
    assert isinstance(log_of(home, run)[-1], Ended), "nothing came back to life"


# ---- never two -----------------------------------------------------------------------------------------------------------------


def test_a_second_worker_of_the_same_run_leaves_without_a_word(home, fake, monkeypatch):
    run = fake(breaks="hang")
    until(lambda: runs.view(home, run).step == 2)
    path, lines = home / "runs" / run, len(log_of(home, run))
    code = "import sys; from loralab.runs import worker; worker.LOCK_SECONDS = 0.2; sys.exit(worker.main(sys.argv[1:]))"
    done = subprocess.run([sys.executable, "-c", code, str(path)], cwd=CHECKOUT, check=False, capture_output=True)
    assert done.returncode == protocol.TAKEN
    assert len(log_of(home, run)) == lines
    assert runs.view(home, run).active


def test_the_lock_is_one_and_is_given_back(tmp_path):
    first = take_lock(tmp_path)
    assert first is not None
    assert take_lock(tmp_path) is None
    assert held(tmp_path)
    first.close()
    assert not held(tmp_path)


# ---- its price -------------------------------------------------------------------------------------------------------------------


def test_a_keeper_is_small_and_imports_nothing_heavy_while_all_is_well(home, fake):
    code = "import sys, loralab.runs.supervisor; print([m for m in sys.modules if m in ('pydantic', 'psutil', 'typing')])"
    done = subprocess.run([sys.executable, "-c", code], cwd=CHECKOUT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    run = fake(breaks="hang")
    until(lambda: runs.view(home, run).step == 2)
    assert psutil.Process(worker_of(home, run).pid).memory_info().rss < 20e6
