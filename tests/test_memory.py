"""The memory: what it keeps of a run, what survives the run's folder, what travels, and what is forgotten for good."""

from __future__ import annotations

import errno
import json
import os
import random
import shutil
import sqlite3
import time
import zipfile

import pytest

from loralab import runs
from loralab.errors import Unavailable, UserError
from loralab.events import Adjusted, Ended, Evaluated, EventLog, Incident, Noted, Started, Stepped
from loralab.facts import Facts
from loralab.history import History, ledger
from loralab.lab import Lab
from loralab.records import Job
from loralab.tasks.text import TextPlan
from tests.conftest import ended, python

FACTS = Facts(
    data="d1", n_train=100, tokens={"p50": 20, "p95": 60, "max": 90}, architecture="llama", hidden=64, layers=2, vocabulary=500,
    parameters=130_000, trainable=4_000, device="cpu", place="some chip | torch 2", room=10**9,
)  # fmt: skip


@pytest.fixture
def write(home):
    """Writes a text run that has ended, as a worker would have: `write("a", learning_rate=1e-3)` -> its id."""

    def made(run: str, *more: object, outcome: str = "finished", code: str = "", facts: Facts = FACTS, loss: float = 1.5, **settings):
        folder = home / "runs" / run
        folder.mkdir(parents=True)
        plan = TextPlan(base_model="Qwen/Qwen3-0.6B", dataset="/home/anna/secret/mail.csv", title=f"Run {run}").model_copy(update=settings)
        folder.joinpath("job.json").write_text(Job(kind="train", run=run, plan=plan.model_dump()).model_dump_json())
        log, at = EventLog(folder / "events.jsonl"), 1000.0 + len(list((home / "runs").iterdir()))
        log(Started(time=at, pid=1, versions={"torch": "2.13"}))
        log(Noted(time=at, text="100 examples", data={"facts": facts.model_dump()}))
        log(Evaluated(time=at, split="base", loss=3.0, n=10))
        for event in more:
            log(event)
        step = {"grad_norm": 1.0, "learning_rate": 1e-4, "tokens": 50, "tokens_per_second": 100.0, "memory_bytes": 7_000, "epoch": 1.0}
        log(Stepped(time=at + 0.5, step=9, loss=2.0, **step))
        log(Evaluated(time=at + 0.6, step=9, loss=loss, n=10, best=True))
        log(Ended(time=at + 0.7, step=9, outcome=outcome, code=code, what="", result={"seconds": 12.0, "peak_memory_bytes": 9_000}))
        log.close()
        return run

    return made


def oom(at: float = 1001.1, step: int = 3) -> Incident:
    return Incident(time=at, step=step, code="out_of_memory", text="4 examples did not fit.", data={"tokens": 360, "rows": [1, 2, 3, 4]})


def shrunk(at: float = 1001.2) -> Adjusted:
    return Adjusted(time=at, step=3, setting="token_budget", before=0, after=180, reason="memory ran out.")


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
    text = "could not read /home/anna/secret/mail.csv (see C:\\Users\\Anna\\log.txt), 3/4 done"
    write("a", Incident(time=1001.1, step=1, code="x", text=text), base_model="/home/anna/models/mine")
    memories.note_findings("a", [{"rule": "r", "evidence": [{"line": "File /home/anna/x/loop.py failed"}]}])
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
    assert (point.rate, point.place, point.longest, point.versions) == (0.02, FACTS.place, 90, {"torch": "2.13"})
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


def test_findings_actions_and_advice_are_told_once_and_stay(lab, memories, write):
    write("a", outcome="failed", code="diverged")
    finding = {"rule": "diverged", "title": "The corrections were too big", "confidence": 0.9, "evidence": [{"what": "loss", "value": 1.0}]}
    for _ in range(3):
        memories.note_findings("a", [finding])
    action = memories.note_action("a", {"learning_rate": (0.01, 0.002)}, by="person", why="It ran away.", rule="diverged")
    memories.note_result(action, fixed=False, child="b")
    advice = memories.note_advice("a", "Use more examples.", rule="too_few_rows")
    memories.note_taken(advice, taken=True)
    assert sum(b'"found"' in line for line in (lab.home / "memory.jsonl").read_bytes().splitlines()) == 1
    lab.history.rebuild()
    found = memories.of("a")
    assert [(c.rule, c.confidence, c.evidence) for c in found.findings] == [("diverged", 0.9, ({"what": "loss", "value": 1.0},))]
    assert [(a.by, a.fixed, a.child) for a in found.actions] == [("person", False, "b")]
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
    for odd in ("", "*", '"', "AND OR NOT", "a NEAR/3 b", "title:x", "'; drop table memories; --", "(", "é" * 500):
        memories.search(odd)
    assert len(memories.recent()) == 3


def test_similar_runs_are_ranked_by_model_then_by_data(memories, write):
    other, big = (
        FACTS.model_copy(update={"data": "d2", "n_train": 120}),
        FACTS.model_copy(update={"hidden": 1024, "layers": 24, "data": "d2"}),
    )
    strange = big.model_copy(update={"architecture": "gpt2", "plain": True, "n_train": 90_000})
    write("same", learning_rate=1e-4)
    write("same-model", facts=other)
    write("same-kind", facts=other, base_model="x/other")
    write("same-kind-big", facts=big, base_model="x/big")
    write("strange", facts=strange, base_model="x/gpt2")
    write("unmeasured", loss=float("nan"))
    found = memories.similar(FACTS, TextPlan(base_model="Qwen/Qwen3-0.6B"), n=9)
    assert [one.memory.run for one in found] == ["same", "same-model", "same-kind", "same-kind-big", "strange"]
    assert found[0].likeness == 1.0
    assert found[0].words == "same model, the same examples"
    assert found[-1].likeness < 0.05
    assert len(memories.similar(FACTS, TextPlan(), n=2)) == 2


def test_asking_goes_through_a_connection_that_cannot_write(memories, write):
    write("a")
    with memories._reading() as db, pytest.raises(sqlite3.OperationalError, match="readonly"):
        db.conn.execute("delete from memories")


# ---- files are the truth -----------------------------------------------------------------------------------------------------


def test_a_deleted_run_keeps_its_lesson_also_without_the_index(home, lab, memories, write):
    write("a", oom(), shrunk())
    before = memories.of("a")
    lab.delete("a")
    (home / "history.db").unlink()
    assert memories.of("a") == before
    assert memories.counts() == {"run": 0, "kept": 1, "imported": 0}
    assert [p.ok for p in memories.points("memory")] == [False, True]
    assert lab.runs() == []


def test_a_folder_removed_by_hand_keeps_its_lesson_and_its_return_goes_before_it(home, lab, memories, write):
    write("a")
    memories.recent()
    shutil.move(home / "runs/a", home / "a")
    assert memories.counts()["kept"] == 1
    shutil.move(home / "a", home / "runs/a")
    assert memories.counts() == {"run": 1, "kept": 0, "imported": 0}
    assert len(memories.points("rate")) == 1


def test_the_index_comes_back_the_same_from_the_files(lab, memories, write):
    for n in range(5):
        write(f"r{n}", oom(), shrunk())
    memories.note_findings("r1", [{"rule": "x", "title": "y"}])
    lab.delete("r0")
    before = memories.recent(), memories.points("memory"), memories.search("memory")
    lab.history.rebuild()
    assert (memories.recent(), memories.points("memory"), memories.search("memory")) == before


def test_torn_and_damaged_lines_cost_only_themselves(home, lab, memories, write):
    write("a")
    memories.note_findings("a", [{"rule": "x", "title": "first"}])
    file = home / "memory.jsonl"
    file.write_bytes(file.read_bytes() + b'{"type":"from the future","a":1}\n\xff\xfe garbage\n{"type":"found","run":"a","cau')
    memories.note_advice("a", "Use more examples.")
    assert [one.title for one in memories.of("a").findings] == ["first"]
    assert [one.words for one in memories.advice()] == ["Use more examples."]
    assert all(line.endswith(b"}\n") or b"garbage" in line for line in file.read_bytes().splitlines(keepends=True))


def test_a_memory_file_damaged_at_random_places_never_raises(home, lab, memories, write):
    write("a", oom())
    write("b")
    memories.note_findings("a", [{"rule": "x", "title": "y"}])
    lab.delete("b")
    file, draw = home / "memory.jsonl", random.Random(0)
    whole = file.read_bytes()
    for trial in range(60):
        raw = bytearray(whole)
        for _ in range(draw.choice([1, 8, 200])):
            raw[draw.randrange(len(raw))] = draw.randrange(256)
        file.write_bytes(raw[: draw.randrange(len(raw))] if trial % 10 == 0 else raw)
        assert memories.of("a").moments[0].code == "out_of_memory", trial
    file.write_bytes(whole)
    assert [one.run for one in memories.recent()] == ["b", "a"]


def test_a_memory_file_that_is_deleted_takes_only_what_no_folder_tells(home, memories, write, lab):
    write("a")
    write("b")
    memories.note_advice("a", "Use more examples.")
    lab.delete("b")
    (home / "memory.jsonl").unlink()
    assert [one.run for one in memories.recent()] == ["a"]
    assert memories.advice() == ()


def test_a_full_disk_is_said_and_leaves_no_half_line(home, lab, memories, write, monkeypatch):
    write("a")
    memories.note_advice("a", "first")
    before = (home / "memory.jsonl").read_bytes()
    whole = os.write

    def full(handle: int, raw: bytes) -> int:
        if raw[:1] == b"{":
            return whole(handle, raw[:20])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(ledger.os, "write", full)
        with pytest.raises(Unavailable, match="full"):
            memories.note_advice("a", "second")
    assert (home / "memory.jsonl").read_bytes() == before
    with monkeypatch.context() as patch:
        patch.setattr(ledger.os, "write", full)
        lab.delete("a")  # frees space, and must not fail for want of it; the lesson waits in the index
        assert memories.of("a") is not None
    assert memories.counts()["kept"] == 1
    assert b'"lesson"' in (home / "memory.jsonl").read_bytes()


def test_two_apps_tell_and_ask_at_once(home, memories, write):
    write("a")
    code = (
        "import sys; from loralab.lab import Lab\nmemories = Lab(sys.argv[1]).history.memories\n"
        "for n in range(25): memories.note_advice('a', f'{sys.argv[2]} {n}'); memories.recent()\nprint('done')"
    )
    apps = [python(code, home, name) for name in ("one", "two")]
    for n in range(25):
        memories.note_advice("a", f"three {n}")
    assert [app.communicate(timeout=60)[0].strip() for app in apps] == ["done", "done"]
    assert {one.words for one in memories.advice(100)} == {f"{name} {n}" for name in ("one", "two", "three") for n in range(25)}


# ---- forgetting --------------------------------------------------------------------------------------------------------------


def test_a_forgotten_run_stays_usable_and_is_never_remembered_again(home, lab, memories, write):
    write("a", title="Zanzibar")
    write("b")
    memories.note_findings("a", [{"rule": "x", "title": "Quetzalcoatl"}])
    memories.note_action("b", {"rank": (8, 16)}, by="person", why="more")
    assert memories.forget("a") == 1
    memories.note_findings("a", [{"rule": "x", "title": "Quetzalcoatl"}])
    for _ in range(2):
        assert [one.run for one in memories.recent()] == ["b"]
        assert memories.of("a") is None
        assert {p.run for p in memories.points("memory")} == {"b"}
        lab.history.rebuild()
    assert {row["id"] for row in lab.runs()} == {"a", "b"}
    assert lab.report("a")["outcome"] == "finished"
    assert memories.of("b").actions[0].why == "more"
    bytes_left = b"".join(path.read_bytes() for path in home.iterdir() if path.is_file())
    assert b"Quetzalcoatl" not in bytes_left
    lab.delete("a")
    assert memories.of("a") is None
    with pytest.raises(UserError, match="Nothing is remembered"):
        memories.forget("never heard of")


def test_forgetting_everything_forgets_everything_up_to_now(home, lab, memories, write):
    write("a")
    write("b")
    lab.delete("a")
    memories.note_advice("b", "Use more examples.")
    name = lab.history.ledger.named()
    assert memories.forget() == 2
    assert memories.recent() == memories.advice() == memories.points("memory") == ()
    assert lab.history.ledger.named() != name
    assert lab.history.experience().speeds == {}
    write("c")
    assert [one.run for one in memories.recent()] == ["c"]
    assert b"Use more" not in b"".join(path.read_bytes() for path in home.iterdir() if path.is_file())


# ---- to another computer -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["memory.jsonl", "memory.zip"])
def test_a_memory_travels_and_is_marked_as_from_elsewhere(tmp_path, memories, write, name):
    write("a", oom(), shrunk())
    memories.note_findings("a", [{"rule": "x", "title": "The corrections were too big"}])
    assert memories.export(tmp_path / name) == 1
    there = Lab(tmp_path / "there").history.memories
    arrived = there.take_in(tmp_path / name)
    assert (arrived.added, arrived.known, arrived.bad, arrived.missing) == (1, 0, (), 0)
    assert there.recent() == ()
    (found,) = there.recent(imported=True)
    assert found.imported
    assert found.model_copy(update={"workspace": ""}) == memories.of("a")
    assert all(point.workspace for point in there.points("memory"))
    assert [one.run for one in there.search("corrections too big")] == ["a"]
    again = there.take_in(tmp_path / name)
    assert (again.added, again.known) == (0, 1)
    assert memories.take_in(tmp_path / name).known == 1, "its own memory coming back"
    there.forget("a")
    assert there.take_in(tmp_path / name).forgotten == 1
    assert there.recent(imported=True) == ()


def test_bad_lines_are_told_and_the_sound_ones_come_in(tmp_path, memories, write):
    for n in range(6):
        write(f"r{n}")
    file = tmp_path / "memory.jsonl"
    memories.export(file)
    lines = file.read_bytes().splitlines()
    lines[1] = lines[1].replace(b'"steps":9', b'"steps":8')
    lines[2] = lines[2][:-40]
    lines[3] = b'{"sha256":"' + b"0" * 64 + b'","memory":{}}'
    lines[4] = b"[" * 5000
    file.write_bytes(b"\n".join(lines[:6]))
    there = Lab(tmp_path / "there").history.memories
    arrived = there.take_in(file)
    assert [bad.line for bad in arrived.bad] == [2, 3, 4, 5]
    assert (arrived.added, arrived.missing) == (1, 1)
    assert "1 run was added" in arrived.words
    assert [one.run for one in there.recent(imported=True)] == ["r4"]


def test_what_a_stranger_made_up_is_refused(tmp_path, memories):
    from loralab.history.travel import _digest

    def line(**memory: object) -> bytes:
        body = json.dumps({"run": "x", "workspace": "abcd", **memory}).encode()
        return b'{"sha256":"' + _digest(body) + b'","memory":' + body + b"}"

    made_up = [
        line(asked={"learning_rate": "a lot"}), line(asked={"rank": -3}), line(moments=[{"code": "x", "changed": {"precision": "fp1"}}]),
        line(outcome="wonderful"), line(workspace=""), line(run=""), line(facts={"data": 7}), line(title="x" * 10_000),
    ]  # fmt: skip
    file = tmp_path / "memory.jsonl"
    file.write_bytes(b"\n".join([b'{"loralab_memory":1,"memories":9}', *made_up, line(asked={"rank": 8})]))
    arrived = memories.take_in(file)
    assert (arrived.added, len(arrived.bad)) == (1, len(made_up))


@pytest.mark.parametrize(
    ("content", "code"),
    [(b"", "not_a_memory"), (b"a letter", "not_a_memory"), (b'{"loralab_memory":99,"memories":1}', "newer_version"), (None, "no_file")],
)
def test_a_file_that_is_no_memory_is_said_to_be_none(tmp_path, memories, content, code):
    if content is not None:
        (tmp_path / "x").write_bytes(content)
    with pytest.raises(UserError) as told:
        memories.take_in(tmp_path / "x")
    assert told.value.problem.code == code


def test_an_archive_without_a_memory_is_refused(tmp_path, memories):
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("../memory.jsonl", b"{}")
    with pytest.raises(UserError, match="no memory in"):
        memories.take_in(tmp_path / "x.zip")


def test_an_import_that_breaks_off_adds_nothing(tmp_path, memories, write, monkeypatch):
    write("a")
    memories.export(tmp_path / "out.jsonl")
    there = Lab(tmp_path / "there").history.memories
    there.note_advice("", "stays")

    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    with monkeypatch.context() as patch:
        patch.setattr(ledger.paths.os, "replace", full)
        with pytest.raises(Unavailable):
            there.take_in(tmp_path / "out.jsonl")
    assert there.recent(imported=True) == ()
    assert [one.words for one in there.advice()] == ["stays"]


# ---- size --------------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_ten_thousand_runs_are_indexed_and_asked_quickly(home, write):
    write("r0", oom(), shrunk())
    whole = home / "runs/r0"
    for n in range(1, 10_000):
        folder = home / "runs" / f"r{n}"
        folder.mkdir()
        (folder / "job.json").write_bytes((whole / "job.json").read_bytes().replace(b'"r0"', b'"r%d"' % n))
        (folder / "events.jsonl").write_bytes((whole / "events.jsonl").read_bytes())
    index, spent = History(home), {}

    def timed(name: str, do: object) -> object:
        began = time.perf_counter()
        found = do()  # type: ignore[operator]
        spent[name] = time.perf_counter() - began
        return found

    timed("made", index.refresh)
    timed("looked at again", index.refresh)
    assert len(timed("searched", lambda: index.memories.search("ran out of memory qwen"))) == 20
    assert len(timed("similar", lambda: index.memories.similar(FACTS, TextPlan()))) == 8
    assert len(timed("points", lambda: index.memories.points("memory"))) == 20_000
    print({name: round(seconds, 2) for name, seconds in spent.items()}, index.path.stat().st_size >> 20, "MiB")  # noqa: T201
    assert spent["made"] < 300
    assert spent["looked at again"] < 5
    assert runs.list_runs(home)
