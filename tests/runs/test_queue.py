"""The queue: one job on the machine at a time, whoever starts, looks, dies or changes the order."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import signal
import time

import pytest

from loralab.core import paths
from loralab.core.errors import UserError
from loralab.core.events import Ended, Started, read
from loralab.core.jobs import DownloadJob, EvaluateJob, ExportJob, ServeJob
from loralab.history import History
from loralab.runs import process, queue, runs
from tests.conftest import ended, ending, endings, first_line, forget, python, until, worker_of, worker_pid

pytestmark = pytest.mark.worker

SLOW = {"max_steps": 400, "step_seconds": 0.05}


@pytest.fixture
def going(home, fake):
    """A run that has the machine until it is stopped."""
    run = fake(**SLOW)
    until(lambda: runs.view(home, run).step >= 1)
    return run


def order(home):
    return [(turn.run, turn.position) for turn in queue.listed(home)]


def kinds(home, run):
    return [event.type for event in read(home / "runs" / run / "events.jsonl")[0]]


def lives(home, run):
    """When the workers of a run lived: (first word, last word) of each."""
    events = read(home / "runs" / run / "events.jsonl")[0]
    begun = [event.time for event in events if isinstance(event, Started)]
    return list(zip(begun, [event.time for event in events if isinstance(event, Ended)], strict=True))


# ---- waiting and being started -----------------------------------------------------------------------------------------------


def test_a_run_that_finds_the_machine_free_starts_at_once_and_its_log_says_nothing_of_a_queue(home, fake):
    run = fake()
    assert ended(home, run).state == "finished"
    assert kinds(home, run)[0] == "started"
    assert order(home) == []


def test_what_is_started_meanwhile_waits_and_is_told_its_place(home, fake, going):
    second, third = fake(), fake()
    assert (runs.view(home, second).state, runs.view(home, second).phase) == ("waiting", "waiting for its turn (1st)")
    assert runs.view(home, third).phase == "waiting for its turn (2nd)"
    assert runs.view(home, third).active
    assert order(home) == [(going, 0), (second, 1), (third, 2)]
    assert not (home / "runs" / second / "worker.json").exists(), "it takes no process and no memory"
    assert {row["id"]: row["state"] for row in History(home).runs()} == {going: "running", second: "waiting", third: "waiting"}


def test_the_next_starts_when_the_one_before_has_ended_though_nobody_looks(home, fake):
    names = [fake(max_steps=3), fake(max_steps=3), fake(breaks="crash"), fake(breaks="raise"), fake(max_steps=3)]
    until(lambda: all(endings(home, name) for name in names))  # reads the files only
    assert [runs.view(home, name).state for name in names] == ["finished", "finished", "killed", "failed", "finished"]
    spans = [lives(home, name)[0] for name in names]
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
    assert kinds(home, names[1])[:2] == ["queued", "started"]
    assert order(home) == []


def test_a_run_killed_for_want_of_memory_keeps_the_machine_for_its_next_try(home, fake):
    first, second = fake(breaks="starve", breaks_above=60, saves_every=1), fake()
    assert ended(home, second).state == "finished"
    assert [runs.view(home, run).state for run in (first, second)] == ["finished", "finished"]
    begun = [event.time for event in read(home / "runs" / second / "events.jsonl")[0] if isinstance(event, Started)]
    assert begun[0] >= endings(home, first)[0].time


def test_an_evaluation_and_an_export_wait_a_download_and_a_chat_do_not(home, going):
    waiting = [runs.start(home, job) for job in (EvaluateJob(of=going), ExportJob(of=going))]
    free = [runs.start(home, job) for job in (DownloadJob(model="", folder=str(home / "x")), ServeJob(model=""))]
    assert [runs.view(home, run).queued for run in waiting] == [True, True]
    assert [turn.title for turn in queue.listed(home)][1:] == [going, going]
    assert [ended(home, run).state for run in free] == ["failed", "failed"]  # there is no such model, and they said so at once
    assert runs.view(home, going).active


# ---- changing the order --------------------------------------------------------------------------------------------------------


def test_the_order_can_be_changed(home, fake, going):
    a, b, c = fake(), fake(), fake()
    queue.move(home, c, 1)
    assert order(home)[1:] == [(c, 1), (a, 2), (b, 3)]
    queue.move(home, c, 99)
    assert order(home)[1:] == [(a, 1), (b, 2), (c, 3)]
    queue.move(home, a, 2)
    assert order(home)[1:] == [(b, 1), (a, 2), (c, 3)]
    with pytest.raises(UserError, match="not waiting"):
        queue.move(home, going, 1)
    runs.stop(home, going)
    ended(home, c)
    assert lives(home, b)[0][0] < lives(home, a)[0][0] < lives(home, c)[0][0]


def test_a_waiting_run_taken_out_is_stopped_and_queues_again_when_it_is_resumed(home, fake, going):
    a, b = fake(), fake()
    runs.unqueue(home, a)
    assert (runs.view(home, a).state, ending(home, a).code) == ("stopped", "unqueued")
    assert runs.view(home, b).phase == "waiting for its turn (1st)"
    with pytest.raises(UserError, match="not waiting"):
        runs.unqueue(home, a)
    runs.resume(home, a)
    assert (runs.view(home, a).state, runs.view(home, a).ending) == ("waiting", None)
    assert order(home) == [(going, 0), (b, 1), (a, 2)]
    with pytest.raises(UserError, match="still going"):
        runs.resume(home, a)
    with pytest.raises(UserError, match="still going"):
        runs.delete(home, a)
    runs.stop(home, b)  # a stop request on a waiting run is the same
    assert ending(home, b).code == "unqueued"
    runs.stop(home, going)
    assert ended(home, a).state == "finished"


def test_a_stopped_run_resumed_while_another_works_waits_and_then_goes_on_from_its_safety_copy(home, fake, going):
    runs.stop(home, going)
    stopped_at = ended(home, going).step
    other = fake(max_steps=30, step_seconds=0.05)
    runs.resume(home, going)
    view = runs.view(home, going)
    assert (view.state, view.queued, view.step) == ("waiting", True, stopped_at)
    ended(home, other)
    until(lambda: runs.view(home, going).step > stopped_at + 1)
    assert [step.step for step in runs.view(home, going).steps][:stopped_at] == list(range(1, stopped_at + 1))


# ---- dying ---------------------------------------------------------------------------------------------------------------------


def test_after_a_power_cut_the_next_look_starts_the_next_run(home, fake, going):
    second, third = fake(), fake()
    for pid in (worker_of(home, going).pid, worker_pid(home, going)):
        os.kill(pid, signal.SIGKILL)
    forget(home, going)
    assert [row["id"] for row in History(home).runs()] == [third, second, going]  # a new app lists what there is
    assert [ended(home, run).state for run in (second, third)] == ["finished", "finished"]
    assert ending(home, going).code == "worker_gone"


def test_ending_the_running_one_by_force_starts_the_next(home, fake, going):
    second = fake()
    runs.stop(home, going, force=True)
    until(lambda: endings(home, second))
    assert [last.outcome for last in endings(home, second)] == ["finished"]


def test_an_app_that_dies_while_it_starts_the_next_run_loses_nothing(home, fake, going):
    second, third = fake(), fake()
    for pid in (worker_of(home, going).pid, worker_pid(home, going)):
        os.kill(pid, signal.SIGKILL)
    app = python(
        "import os, sys, time; from pathlib import Path; from loralab.runs import process; from loralab.runs.runs import queue\n"
        "process.spawn = lambda *given, **named: os._exit(9)\n"
        "while True: queue.tend(Path(sys.argv[1])); time.sleep(0.05)",
        home,
    )
    assert app.wait(60) == 9
    assert json.loads((home / "queue.json").read_text())["running"] == second
    assert not (home / "runs" / second / "worker.json").exists()
    assert [ended(home, run).state for run in (second, third)] == ["finished", "finished"]
    assert lives(home, second)[0][1] <= lives(home, third)[0][0]


@pytest.mark.parametrize("damage", ["", "not json", '{"running": 5}', '{"waiting": ["gone"], "running": "also gone"}', None])
def test_a_lost_or_damaged_order_is_made_again_from_the_runs(home, fake, going, damage):
    old = fake()
    runs.unqueue(home, old)
    a, b = fake(), fake()
    path = home / "queue.json"
    if damage is None:
        path.unlink()
    else:
        path.write_text(damage)
    assert [runs.view(home, run).phase for run in (a, b)] == ["waiting for its turn (1st)", "waiting for its turn (2nd)"]
    assert order(home) == [(going, 0), (a, 1), (b, 2)]
    third = fake()
    assert runs.view(home, third).queued, "and nothing is started beside the one that works"
    assert runs.view(home, going).active


def test_a_waiting_run_whose_folder_was_removed_by_hand_holds_up_nobody(home, fake, going):
    gone, kept = fake(), fake()
    shutil.rmtree(home / "runs" / gone)
    assert [run for run, _ in order(home)] == [going, kept]
    runs.stop(home, going)
    assert ended(home, kept).state == "finished"


def test_a_waiting_run_whose_job_was_damaged_ends_with_words_and_the_next_goes_on(home, fake, going):
    broken, kept = fake(), fake()
    (home / "runs" / broken / "job.json").write_text('{"kind": "train", "run": 5')
    runs.stop(home, going)
    assert ended(home, kept).state == "finished"
    assert ended(home, broken).state == "failed"


# ---- many at once ----------------------------------------------------------------------------------------------------------------


def at_once(count, code, *arguments):
    """That many apps, which have said that they are ready and been let go together."""
    apps = [python(code, *arguments, stdin=True) for _ in range(count)]
    assert [first_line(app) for app in apps] == ["ready"] * count
    for app in apps:
        assert app.stdin is not None
        app.stdin.write("go\n")
        app.stdin.flush()
    return apps


def test_several_apps_that_start_look_and_die_at_once_never_run_two(home, fake):
    code = (
        "import sys, time; from pathlib import Path; from loralab.runs import runs; from loralab.core.jobs import TrainJob\n"
        "home = Path(sys.argv[1])\n"
        "plan = {'task': 'fake', 'max_steps': 3, 'step_seconds': 0.02}\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "names = [runs.start(home, TrainJob(plan=plan)) for _ in range(3)]\n"
        "limit = time.monotonic() + 60\n"
        "while any(runs.view(home, name).active for name in names) and time.monotonic() < limit: time.sleep(0.01)"
    )
    apps = at_once(4, code, home)
    until(lambda: len(runs.list_runs(home)) == 12)
    apps[0].kill()
    for app in apps:
        app.wait(90)
    names = runs.list_runs(home)
    assert [ended(home, name).state for name in names] == ["finished"] * 12
    spans = sorted(span for name in names for span in lives(home, name))
    assert len(spans) == 12, "each was started once"
    assert all(before[1] <= after[0] for before, after in itertools.pairwise(spans))
    assert [len(endings(home, name)) for name in names] == [1] * 12


def test_two_apps_that_resume_the_same_run_at_once_start_it_once(home, fake):
    run = fake(breaks="hang")
    until(lambda: runs.view(home, run).step == 2)
    runs.stop(home, run, force=True)
    code = (
        "import sys; from pathlib import Path; from loralab.runs import runs; from loralab.core.errors import UserError\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
        "try: runs.resume(Path(sys.argv[1]), sys.argv[2]); print('started', flush=True)\n"
        "except UserError as error: print(error.problem.code, flush=True)"
    )
    apps = at_once(3, code, home, run)
    assert sorted(first_line(app) for app in apps) == ["started", "still_running", "still_running"]
    until(lambda: kinds(home, run).count("started") == 2)
    time.sleep(0.5)
    assert kinds(home, run).count("started") == 2


# ---- manners -------------------------------------------------------------------------------------------------------------------


def test_a_chat_is_asked_to_go_when_a_queued_run_begins_and_not_before(home, fake, going):
    chat = home / "runs" / "2026-01-01-quiet-chat"
    chat.mkdir()
    (chat / "job.json").write_text(json.dumps({"kind": "serve", "run": chat.name}))
    paths.write_atomic(chat / "server.json", "{}")
    second = fake(breaks="hang")
    assert not (chat / "stop").exists()
    runs.stop(home, going)
    until(lambda: runs.view(home, second).step == 2)
    assert (chat / "stop").exists()


def test_a_process_that_cannot_be_started_is_tried_again(home, fake, going, monkeypatch):
    second = fake()
    real = process.spawn

    def full(*given, **named):
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(process, "spawn", full)
    for pid in (worker_of(home, going).pid, worker_pid(home, going)):
        os.kill(pid, signal.SIGKILL)
    ended(home, going)
    assert runs.view(home, second).queued
    monkeypatch.setattr(process, "spawn", real)
    assert ended(home, second).state == "finished"


def test_places_are_said_as_people_say_them():
    said = [queue._ordinal(number) for number in (1, 2, 3, 4, 11, 12, 13, 21, 22, 101, 111)]
    assert said == ["1st", "2nd", "3rd", "4th", "11th", "12th", "13th", "21st", "22nd", "101st", "111th"]
