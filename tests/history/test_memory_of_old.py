"""A workspace, an index and exports that version 0.1.0 wrote (tests/history/old) are read as they were then."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import pytest

from loralab.core.errors import Unavailable
from loralab.history import History, Memory
from tests.support.remembering import writer

OLD = Path(__file__).parent / "old"


@pytest.fixture
def old_home(home):
    """As it was left: the folders of two runs, one deleted, one forgotten, one imported, and one removed by hand with the app closed."""
    write = writer(home)
    for run in ("forgotten", "from-there", "kept"):
        write(run)
    shutil.copy(OLD / "memory.jsonl", home)
    (home / "history.db").write_bytes(gzip.decompress((OLD / "history.db.gz").read_bytes()))
    return home


def test_a_workspace_of_the_version_before_is_remembered_as_it_was(old_home):
    memories = History(old_home).memories
    assert {one.run for one in memories.recent()} == {"kept", "from-there", "deleted", "by-hand"}
    assert memories.counts() == {"run": 2, "kept": 2, "imported": 1}
    deleted = memories.of("deleted")
    assert deleted is not None
    assert [(one.rule, one.title) for one in deleted.findings] == [("diverged", "The corrections were too big")]
    assert [(one.words, one.taken) for one in memories.advice()] == [("Use more examples.", True)]
    assert [one.code for one in deleted.moments] == ["out_of_memory"]
    assert [one.run for one in memories.recent(imported=True)] == ["elsewhere"]
    assert memories.of("forgotten") is None
    assert {point.run for point in memories.points("memory") if not point.ok} == {"deleted"}


def test_what_only_the_old_index_knew_lasts_without_it(old_home):
    History(old_home).refresh()
    (old_home / "history.db").unlink()
    assert "by-hand" in {one.run for one in History(old_home).memories.recent()}
    assert (old_home / "memory.jsonl").read_bytes().count(b'"run":"by-hand"') == 1


def test_an_old_index_stays_where_a_full_disk_would_lose_what_it_knows(old_home, monkeypatch):
    index = History(old_home)

    def full(*_):
        raise Unavailable("The disk is full.", code="disk_full")

    with monkeypatch.context() as patch:
        patch.setattr(index.ledger, "append", full)
        assert {one.run for one in index.memories.recent()} == {"kept", "from-there", "deleted"}
    assert index.memories.of("by-hand") is not None


def test_a_line_that_cannot_be_read_outlives_forgetting_unless_it_speaks_of_the_run(old_home):
    file = old_home / "memory.jsonl"
    file.write_bytes(file.read_bytes() + b'{"type":"from the future","about":"kept"}\n{"type":"torn","run":"deleted"\n')
    memories = History(old_home).memories
    memories.forget("deleted")
    lines = file.read_bytes()
    assert b"from the future" in lines
    assert b'"torn"' not in lines
    assert memories.of("deleted") is None
    assert memories.of("elsewhere") is not None


@pytest.mark.parametrize("name", ["export.jsonl", "export.zip", "memory.jsonl"])
def test_what_the_version_before_exported_comes_in(home, name):
    memories = History(home).memories
    arrived = memories.take_in(OLD / name)
    assert arrived.bad == ()
    found = {one.run: one for one in memories.recent(imported=True)}
    assert set(found) == ({"deleted", "elsewhere"} if name == "memory.jsonl" else {"deleted", "elsewhere", "from-there", "kept"})
    assert all(isinstance(one, Memory) and one.workspace for one in found.values())
    assert [one.code for one in found["deleted"].moments] == ["out_of_memory"]
