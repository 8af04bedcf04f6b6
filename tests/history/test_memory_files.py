"""The memory is an index of files: what survives a run's folder, a damaged line, a full disk, and what is forgotten for good."""

from __future__ import annotations

import errno
import os
import random
import shutil

import pytest

from loralab.core import log
from loralab.core.errors import Unavailable, UserError
from tests.conftest import python
from tests.support.remembering import oom, shrunk, writer


@pytest.fixture
def write(home):
    return writer(home)


@pytest.fixture
def memories(lab):
    return lab.history.memories


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
    lab.history.path.unlink()
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
        patch.setattr(log.os, "write", full)
        with pytest.raises(Unavailable, match="full"):
            memories.note_advice("a", "second")
    assert (home / "memory.jsonl").read_bytes() == before
    with monkeypatch.context() as patch:
        patch.setattr(log.os, "write", full)
        lab.delete("a")  # frees space, and must not fail for want of it; the lesson waits in the index
        assert memories.of("a") is not None
    assert memories.counts()["kept"] == 1
    assert b'"lesson"' in (home / "memory.jsonl").read_bytes()


@pytest.mark.worker
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
    memories.note_findings("b", [{"rule": "x", "title": "stays"}])
    assert memories.forget("a") == 1
    memories.note_findings("a", [{"rule": "x", "title": "Quetzalcoatl"}])
    for _ in range(2):
        assert [one.run for one in memories.recent()] == ["b"]
        assert memories.of("a") is None
        assert {p.run for p in memories.points("memory")} == {"b"}
        lab.history.path.unlink()
    assert {row["id"] for row in lab.runs()} == {"a", "b"}
    assert lab.report("a")["outcome"] == "finished"
    assert memories.of("b").findings[0].title == "stays"
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
    assert lab.history.measured() == []
    write("c")
    assert [one.run for one in memories.recent()] == ["c"]
    assert b"Use more" not in b"".join(path.read_bytes() for path in home.iterdir() if path.is_file())
