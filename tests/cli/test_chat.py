"""A conversation in a terminal: kept for the next time, before and after side by side, stopped at any piece."""

from __future__ import annotations

import io
import json
import sys
from typing import cast

import pytest

from loralab.cli import chat_command
from loralab.cli.chat_command import Talk
from loralab.cli.console import Output
from loralab.core.errors import RunFailed
from loralab.lab import ChatServer


class Server:
    """Answers with what it was asked; `after` pieces somebody presses Ctrl-C."""

    def __init__(self, after=None, broken=False):
        self.asked, self.after, self.broken = [], after, broken

    def stream(self, messages, *, base=False):
        self.asked.append((base, [dict(one) for one in messages]))
        if self.broken:
            raise RunFailed("The answer broke off.", "Ask again.")
        for number, piece in enumerate(("before " if base else "after ", "\x1b[31m**", messages[-1]["content"], "**")):
            if self.after == number:
                raise KeyboardInterrupt
            yield piece


def talk(tmp_path, said, monkeypatch, server=None, **how):
    server = server or Server()
    monkeypatch.setattr(sys, "stdin", io.StringIO(said))
    made = Talk(cast("ChatServer", server), Output(as_json=False), tmp_path / "chats" / "run.json", **how)
    made.open()
    made.go_on()
    return made, server


def test_a_conversation_goes_on_the_next_time_until_it_is_cleared(tmp_path, monkeypatch, capsys):
    first, _ = talk(tmp_path, "red\n", monkeypatch)
    assert [one["content"] for one in first.messages] == ["red", "after [31m**red**"]  # no escape of a model reaches the screen
    assert "\x1b" not in capsys.readouterr().out
    assert first.place.stat().st_mode & 0o077 == 0
    second, server = talk(tmp_path, "/system Be brief.\nblue\n/clear\ngreen\n", monkeypatch)
    assert "go on from the last time (1 question)" in capsys.readouterr().err
    assert [one["content"] for one in server.asked[0][1]] == ["Be brief.", "red", "after [31m**red**", "blue"]
    assert [one["content"] for one in server.asked[1][1]] == ["Be brief.", "green"]
    assert json.loads(second.place.read_text("utf-8"))[0] == {"role": "system", "content": "Be brief."}


def test_both_answers_stand_side_by_side_and_only_the_trained_one_is_remembered(tmp_path, monkeypatch, capsys):
    made, server = talk(tmp_path, "/both\nred\n/base\nblue\n/adapter\ngreen\n", monkeypatch)
    assert [base for base, _ in server.asked] == [True, False, True, False]
    assert "before" in capsys.readouterr().out
    assert made.messages[1]["content"].startswith("after")


def test_ctrl_c_stops_an_answer_and_what_was_written_stays(tmp_path, monkeypatch, capsys):
    made, _ = talk(tmp_path, "red\n", monkeypatch, Server(after=1))
    assert "(stopped)" in capsys.readouterr().err
    assert [one["content"] for one in made.messages] == ["red", "after "]


def test_a_broken_answer_is_told_and_not_remembered(tmp_path, monkeypatch, capsys):
    made, _ = talk(tmp_path, "red\n", monkeypatch, Server(broken=True))
    assert "The answer broke off. Ask again." in capsys.readouterr().err
    assert made.messages == []


def test_in_a_terminal_answers_are_markdown(tmp_path, monkeypatch, capsys):
    rich = pytest.importorskip("rich.console")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    assert rich.Console
    with chat_command._shown(quiet=False) as show:
        show("**red**")
    assert "**" not in capsys.readouterr().out
