"""The append-only log: a line is whole or it is not there, and what cannot be read costs only itself."""

from __future__ import annotations

import errno

import pytest
from pydantic import TypeAdapter

from loralab.core import log
from loralab.core.log import AppendLog, Unreadable
from loralab.core.records import Message


@pytest.fixture
def kept(tmp_path):
    return AppendLog(tmp_path / "log.jsonl", TypeAdapter(Message))


def said(text):
    return Message(role="user", content=text)


def test_what_is_appended_is_read_from_where_one_left_off(kept):
    kept.append(said("one"))
    first, offset = kept.read()
    kept.append(said("two"), said("three"))
    later, end = kept.read(offset)
    assert (first, later) == ([said("one")], [said("two"), said("three")])
    assert kept.read(end) == ([], end)


def test_a_torn_last_line_is_left_for_later_and_cut_off_before_the_next(kept):
    kept.append(said("one"))
    _, offset = kept.read()
    with kept.path.open("ab") as file:
        file.write(b'{"role":"user","con')
    assert kept.read() == ([said("one")], offset)
    kept.append(said("two"))
    assert kept.read()[0] == [said("one"), said("two")]


def test_a_damaged_line_is_handed_out_in_its_place_and_outlives_a_replacement(kept):
    kept.append(said("one"))
    with kept.path.open("ab") as file:
        file.write(b"\xff garbage\n")
    kept.append(said("two"))
    lines = kept.read()[0]
    assert lines == [said("one"), Unreadable(b"\xff garbage"), said("two")]
    kept.replace(lines[1:])
    assert kept.read()[0] == lines[1:]


def test_a_full_disk_is_an_error_and_leaves_none_of_two_lines(kept, monkeypatch):
    kept.append(said("one"))
    before, whole = kept.path.read_bytes(), log.os.write

    def full(handle, raw):
        if b"two" in raw:
            return whole(handle, raw[: raw.index(b"\n") + 9])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(log.os, "write", full)
        with pytest.raises(OSError, match="No space"):
            kept.append(said("two"), said("three"))
    assert kept.path.read_bytes() == before
