"""The index of runs: derived, cheap to bring up to date, and never the truth."""

from __future__ import annotations

import sqlite3
from concurrent.futures import ThreadPoolExecutor

import pytest

from benchmarks.labfail.make.texts import TEXTS
from loralab.history import History
from loralab.planning.calibration import TELLING
from loralab.planning.duration import speeds
from loralab.runs import runs
from tests.conftest import ended, python, until

pytestmark = pytest.mark.worker

KEYS = {"id", "kind", "title", "task", "state", "model", "dataset", "base_loss", "adapter_loss", "started", "seconds", "steps"}
KEYS |= {"told", "learned", "learned_words", "usable", "usable_words", "but"}


@pytest.fixture
def index(home):
    return History(home)


def test_runs_are_listed_with_what_came_of_them_newest_first_until_they_are_deleted(home, index, fake):
    assert index.runs() == []
    title = "'); drop table runs; --"  # is only a title
    first = fake(title=title, base_model="starter", dataset="a.csv")
    ended(home, first)
    assert index.runs()[0]["title"] == title
    second = fake(max_steps=2)
    ended(home, second)
    newest, older = index.runs()
    assert [newest["id"], older["id"]] == [second, first]
    assert set(older) == KEYS
    assert [older[key] for key in ("title", "task", "model", "dataset", "state")] == [title, "fake", "starter", "a.csv", "finished"]
    assert (older["base_loss"], older["adapter_loss"], older["steps"]) == (5.0, 1.0, 5)
    runs.delete(home, second)
    assert index.runs() == [older]


def test_an_active_run_is_followed_to_its_end(home, index, fake):
    run = fake(max_steps=20, step_seconds=0.03)
    assert index.runs()[0]["state"] in ("waiting", "running")
    ended(home, run)
    assert index.runs()[0]["state"] == "finished"
    assert index.runs()[0]["steps"] == 20


def test_the_list_itself_notices_that_a_worker_died(home, index, fake):
    run = fake(breaks="kill")
    until(lambda: index.runs()[0]["state"] == "killed")
    assert index.runs()[0]["id"] == run


def test_a_resumed_run_is_listed_as_going_on(home, index, fake):
    run = fake(max_steps=100, step_seconds=0.05)
    until(lambda: runs.view(home, run).step >= 1)
    runs.stop(home, run)
    ended(home, run)
    assert index.runs()[0]["state"] == "stopped"
    runs.resume(home, run)
    assert index.runs()[0]["state"] in ("waiting", "running")


def of_a_newer_version(path):
    with sqlite3.connect(path) as db:
        db.execute("pragma user_version = 99")
    db.close()


LETTER = b"this is not a database, it is a letter to my aunt" * 100
SPOILT = {
    "deleted": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "damaged": lambda path: path.write_bytes(LETTER),
    "of a newer version": of_a_newer_version,
}


def test_an_index_that_cannot_be_used_is_made_again_the_same(home, index, fake):
    ended(home, fake())
    ended(home, fake(title="Another"))
    before = index.runs()
    for how, spoil in SPOILT.items():
        spoil(index.path)
        assert index.runs() == before, how


def test_what_has_ended_is_not_read_again(home, index, fake, monkeypatch):
    for _ in range(3):
        ended(home, fake())
    index.runs()
    looked = []
    with monkeypatch.context() as patch:
        patch.setattr(runs, "view", lambda home, run: looked.append(run))
        index.runs()
    assert looked == []


def test_a_run_whose_job_cannot_be_read_is_still_listed(home, index):
    folder = home / "runs" / "2026-01-01-strange-job"
    folder.mkdir(parents=True)
    (folder / "job.json").write_text('{"kind": "train", "run": "x", "from_the_future": 1}')
    (folder / "events.jsonl").write_text('{"type":"ended","outcome":"finished","time":1.0}\n')
    assert "cannot be read" in index.runs()[0]["title"]


def test_many_threads_and_a_second_app_read_the_index_at_once(home, index, fake):
    for _ in range(3):
        ended(home, fake())
    look = "for _ in range(30): n = len(History(Path(sys.argv[1])).runs())"
    other = python(f"import sys; from pathlib import Path; from loralab.history import History\n{look}\nprint(n)", home)
    with ThreadPoolExecutor(8) as pool:
        counts = list(pool.map(lambda _: len(index.runs()), range(60)))
    assert set(counts) == {3}
    assert other.communicate(timeout=60)[0].strip() == "3"


def test_the_speed_of_past_runs_makes_the_next_time_estimate(home, index, fake, lab):
    assert speeds(index.measured()) == {}
    ended(home, fake(max_steps=TELLING - 1, base_model="starter"))
    assert speeds(index.measured()) == {}, "too short a run says little"
    run = fake(max_steps=TELLING, base_model="starter")
    ended(home, run)
    steps = runs.view(home, run).steps
    speed = speeds(index.measured())["starter"]
    assert min(s.tokens_per_second for s in steps) <= speed <= max(s.tokens_per_second for s in steps)
    profile = lab.profile(TEXTS / "poet.jsonl")
    fixed = {"max_length": 448, "epochs": 1.0, "micro_batch": 8}
    found: list[float] = []
    for _ in range(3):
        found.append(lab.propose(profile, **fixed).footprint.seconds or 0.0)
        with sqlite3.connect(index.path) as db:
            db.execute("update runs set tokens_per_second = tokens_per_second / 10")
    assert found[1] - found[0] > 0
    assert found[2] - found[1] == pytest.approx(10 * (found[1] - found[0]), rel=0.01), "the training; the test after it has its own time"


def test_an_index_from_before_speeds_were_kept_is_filled_up(home, index, fake):
    ended(home, fake(max_steps=TELLING, base_model="starter"))
    speed = speeds(index.measured())
    with sqlite3.connect(index.path) as db:
        db.execute("alter table runs drop column tokens_per_second")
        db.execute("pragma user_version = 1")
    assert speeds(index.measured()) == speed
