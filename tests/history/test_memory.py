"""The memory: what it keeps of a run, and how it is asked."""

from __future__ import annotations

import json
import sqlite3

import pytest

from loralab.core.errors import UserError
from loralab.core.events import Incident
from tests.conftest import ended
from tests.support.remembering import FACTS, oom, shrunk, writer

pytestmark = pytest.mark.worker


@pytest.fixture
def write(home):
    return writer(home)


@pytest.fixture
def memories(lab):
    return lab.history.memories


# ---- what is kept ------------------------------------------------------------------------------------------------------------


def test_a_run_is_remembered_with_all_that_a_later_one_can_learn_from(memories, write):
    write("a", oom(), shrunk(), rank=8, alpha=16.0, use_rslora=True, learning_rate=1e-3)
    found = memories.of("a")
    assert (found.title, found.model, found.dataset, found.outcome, found.steps) == ("Run a", "Qwen/Qwen3-0.6B", "mail.csv", "finished", 9)
    assert found.facts == FACTS
    assert found.versions == {"torch": "2.13"}
    assert found.asked["token_budget"] == 0
    assert found.changed == {"token_budget": 180}
    assert found.rate == pytest.approx(1e-3 * 16 / 8**0.5)
    assert (found.base_loss, found.best_loss, found.last_loss, found.peak_memory, found.seconds) == (3.0, 1.5, 1.5, 9_000, 12.0)
    assert [(one.code, one.tokens, one.rows, one.changed) for one in found.moments] == [("out_of_memory", 360, 4, {})]
    (act,) = found.actions
    assert (act.by, act.changes, act.rule, act.fixed) == ("guard", {"token_budget": (0, 180)}, "out_of_memory", True)


def test_no_path_example_or_home_folder_is_kept(home, memories, write):
    text = "could not read /Users/anna/secret/mail.csv (see C:\\Users\\Anna\\log.txt), 3/4 done"
    write("a", Incident(time=1001.1, step=1, code="x", text=text), base_model="/Users/anna/models/mine")
    memories.note_findings("a", [{"rule": "r", "evidence": [{"line": "File /Users/anna/x/loop.py failed"}]}])
    found = memories.of("a")
    assert found.model == "mine"
    assert found.moments[0].text == "could not read mail.csv (see log.txt), 3/4 done"
    memories.export(home / "out.jsonl")
    kept = found.model_dump_json() + (home / "memory.jsonl").read_text() + (home / "out.jsonl").read_text()
    assert "anna" not in kept.lower()


def test_a_run_of_a_real_worker_is_remembered_and_one_that_goes_on_is_not(home, memories, fake):
    run = fake(max_steps=3, nan_at=2, title="Small")
    going = fake(max_steps=300, step_seconds=0.05)
    ended(home, run)
    assert memories.of(run).steps == 3
    assert "python" in memories.of(run).versions
    assert memories.of(going) is None


def test_a_failed_and_a_good_run_leave_their_points_and_a_passing_trouble_takes_nothing_back(memories, write):
    write("a", oom(), shrunk())
    write("b", Incident(time=1002.1, step=2, code="diverged", text="away"), outcome="failed", code="diverged", learning_rate=0.01)
    write("c", outcome="killed", code="out_of_memory", micro_batch=64)
    failed = {(p.run, p.kind, p.code, p.settings["token_budget"]) for kind in ("memory", "rate") for p in memories.points(kind) if not p.ok}
    assert failed == {("a", "memory", "out_of_memory", 0), ("b", "rate", "diverged", 0), ("c", "memory", "out_of_memory", 0)}
    good = {(p.run, p.kind, p.settings["token_budget"]) for kind in ("memory", "rate") for p in memories.points(kind) if p.ok}
    assert good == {("a", "memory", 180), ("a", "rate", 180), ("b", "memory", 0)}
    point = next(p for p in memories.points("rate") if p.code == "diverged")
    assert (point.settings["learning_rate"], point.place, point.longest) == (0.01, FACTS.place, 90)
    assert memories.points("rate", "another model") == ()


def test_what_a_retry_was_begun_for_and_what_came_of_it_is_read_from_its_job(home, memories, write):
    write("a", outcome="failed", code="diverged")
    write("b", learning_rate=1e-5)
    job = json.loads((home / "runs/b/job.json").read_text())
    job["options"]["retry"] = {"of": "a", "rule": "diverged", "words": "Smaller corrections.", "settings": {"learning_rate": 1e-5}}
    (home / "runs/b/job.json").write_text(json.dumps(job))
    (act,) = memories.of("a").actions
    assert (act.by, act.child, act.fixed, act.changes) == ("advisor", "b", True, {"learning_rate": (None, 1e-5)})
    assert memories.actions() == (act,)


def test_findings_and_advice_are_told_once_and_stay(lab, memories, write):
    write("a", outcome="failed", code="diverged")
    finding = {"rule": "diverged", "title": "The corrections were too big", "confidence": 0.9, "evidence": [{"what": "loss", "value": 1.0}]}
    for _ in range(3):
        memories.note_findings("a", [finding])
    advice = memories.note_advice("a", "Use more examples.", rule="too_few_rows")
    memories.note_taken(advice, taken=True)
    assert sum(b'"found"' in line for line in (lab.home / "memory.jsonl").read_bytes().splitlines()) == 1
    lab.history.path.unlink()
    found = memories.of("a")
    assert [(c.rule, c.confidence, c.evidence) for c in found.findings] == [("diverged", 0.9, ({"what": "loss", "value": 1.0},))]
    assert [(a.words, a.taken) for a in found.advice] == [("Use more examples.", True)]
    with pytest.raises(UserError, match="no advice"):
        memories.note_taken("unheard of", taken=True)


# ---- asking ------------------------------------------------------------------------------------------------------------------


def test_search_finds_runs_by_the_words_of_a_person(memories, write):
    write("a", oom(), shrunk())
    write("b", base_model="HuggingFaceTB/SmolLM2-135M", title="Poems in German")
    write("c", outcome="failed", code="diverged", base_model="HuggingFaceTB/SmolLM2-135M")
    memories.note_findings("c", [{"rule": "diverged", "title": "The corrections were too big"}])
    assert memories.search("ran out of memory qwen")[0].run == "a"
    assert [one.run for one in memories.search("poem")] == ["b"]
    assert memories.search("corrections too big")[0].run == "c"
    assert {one.run for one in memories.search("smollm2 corrections")} == {"c"}, "all words go before some"
    assert memories.search("giraffe") == ()
    for odd in ("", "*", '"', "AND OR NOT", "a NEAR/3 b", "title:x", "'; drop table memories; --", "(", "é" * 500):
        memories.search(odd)
    assert len(memories.recent()) == 3


def test_asking_goes_through_a_connection_that_cannot_write(memories, write):
    write("a")
    with memories._reading() as db, pytest.raises(sqlite3.OperationalError, match="readonly"):
        db.conn.execute("delete from memories")
