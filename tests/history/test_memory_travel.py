"""The memory brought to another computer, read as a stranger's; and the memory of ten thousand runs."""

from __future__ import annotations

import errno
import json
import time
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

from loralab.core import log
from loralab.core.errors import Unavailable, UserError
from loralab.history import History
from loralab.lab import Lab
from loralab.runs import runs
from tests.support.remembering import oom, shrunk, writer


@pytest.fixture
def write(home):
    return writer(home)


@pytest.fixture
def memories(lab):
    return lab.history.memories


# ---- to another computer -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["memory.jsonl", "memory.zip"])
def test_a_memory_travels_and_is_marked_as_from_elsewhere(tmp_path, memories, write, name):
    write("a", oom(), shrunk())
    memories.note_findings("a", [{"rule": "x", "title": "The corrections were too big"}])
    assert memories.export(tmp_path / name) == 1
    there = Lab(tmp_path / "there").history.memories
    arrived = there.take_in(tmp_path / name)
    assert (arrived.added, arrived.known, arrived.bad) == (1, 0, ())
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
    lines[1] = lines[1].replace(b'"steps":9', b'"steps":"many"')
    lines[2] = lines[2][:-40]
    lines[3] = b'{"type":"lesson","memory":{}}'
    lines[4] = b"[" * 5000
    file.write_bytes(b"\n".join(lines[:6]))
    there = Lab(tmp_path / "there").history.memories
    arrived = there.take_in(file)
    assert [bad.line for bad in arrived.bad] == [2, 3, 4, 5]
    assert arrived.added == 1
    assert "1 run was added" in arrived.words
    assert [one.run for one in there.recent(imported=True)] == ["r4"]


def test_what_a_stranger_made_up_is_refused(tmp_path, memories):
    def line(**memory: object) -> bytes:
        return json.dumps({"type": "lesson", "memory": {"run": "x", "workspace": "abcd", **memory}}).encode()

    made_up = [
        line(asked={"learning_rate": "a lot"}),
        line(asked={"rank": -3}),
        line(moments=[{"code": "x", "changed": {"precision": "fp1"}}]),
        line(outcome="wonderful"),
        line(workspace=""),
        line(run=""),
        line(facts={"data": 7}),
        line(title="x" * 10_000),
    ]
    file = tmp_path / "memory.jsonl"
    file.write_bytes(b"\n".join([b'{"type":"workspace","id":""}', *made_up, line(asked={"rank": 8})]))
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
        patch.setattr(log.os, "write", full)
        with pytest.raises(Unavailable):
            there.take_in(tmp_path / "out.jsonl")
    assert there.recent(imported=True) == ()
    assert [one.words for one in there.advice()] == ["stays"]


# ---- size --------------------------------------------------------------------------------------------------------------------


@pytest.mark.worker
def test_ten_thousand_runs_are_indexed_and_asked_quickly(home, write):
    write("r0", oom(), shrunk())
    whole = home / "runs/r0"
    for n in range(1, 10_000):
        folder = home / "runs" / f"r{n}"
        folder.mkdir()
        (folder / "job.json").write_bytes((whole / "job.json").read_bytes().replace(b'"r0"', b'"r%d"' % n))
        (folder / "events.jsonl").write_bytes((whole / "events.jsonl").read_bytes())
    index, spent = History(home), {}

    def timed(name: str, do: Callable[[], Any]) -> Any:
        began = time.perf_counter()
        found = do()
        spent[name] = time.perf_counter() - began
        return found

    timed("made", index.refresh)
    timed("looked at again", index.refresh)
    assert len(timed("searched", lambda: index.memories.search("ran out of memory qwen"))) == 20
    assert len(timed("points", lambda: index.memories.points("memory"))) == 20_000
    print({name: round(seconds, 2) for name, seconds in spent.items()}, index.path.stat().st_size >> 20, "MiB")
    assert spent["made"] < 300
    assert spent["looked at again"] < 5
    assert runs.list_runs(home)
