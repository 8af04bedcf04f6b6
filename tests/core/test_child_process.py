"""A child that is asked: what it answers, and what its parent is told when it refuses, dies or says nothing."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from loralab.core.child_process import Child, receive, send, serve
from loralab.core.errors import LabError

pytestmark = pytest.mark.worker


class Backend:
    version = "test 1"

    def add(self, a: int, b: int) -> int:
        sys.stdout.write("a library that talks\n")
        sys.stdout.flush()
        return a + b

    def turned(self, payload: bytes) -> bytes:
        return payload[::-1]

    def refuse(self) -> None:
        raise ValueError("not today")

    def die(self) -> None:
        sys.stderr.write("the last thing it said\n")
        sys.stderr.flush()
        os._exit(3)

    def sleep(self) -> None:
        time.sleep(60)


@pytest.fixture
def child() -> Iterator[Child]:
    found = Child("tests.core.test_child_process", name="The test", code="test", todo="Try again.")
    yield found
    found.close()


def test_it_answers_with_values_and_bytes_whatever_a_library_prints(child: Child) -> None:
    assert child.version == "test 1"
    assert child.ask("add", a=1, b=2) == (3, b"")
    assert child.ask("turned", b"abc") == (None, b"cba")


def test_a_no_is_told_and_the_child_lives_on(child: Child) -> None:
    with pytest.raises(LabError, match="not today") as told:
        child.ask("refuse")
    assert told.value.problem.code == "test_refused"
    assert child.ask("add", a=1, b=2)[0] == 3


def test_its_death_is_a_sentence_with_its_last_words(child: Child) -> None:
    with pytest.raises(LabError, match=r"The test broke down \(code 3; the last thing it said\)") as told:
        child.ask("die")
    assert told.value.problem.code == "test_crashed"
    with pytest.raises(LabError, match="broke down"):
        child.ask("add", a=1, b=2)


def test_silence_is_ended_and_called_by_its_name(child: Child) -> None:
    child.seconds = 0.3
    with pytest.raises(LabError, match=r"no answer within 0\.3 seconds"):
        child.ask("sleep")
    child.close()
    child.close()


def test_what_does_not_start_says_so() -> None:
    with pytest.raises(LabError, match="No module named"):
        Child("tests.core.no_such_module", name="The test", code="test", todo="Try again.")


def test_a_message_is_whole_or_the_other_end_has_gone(tmp_path: Path) -> None:
    with (tmp_path / "pipe").open("w+b") as pipe:
        send(pipe, {"do": "it"}, b"12345")
        size = pipe.tell()
        pipe.seek(0)
        assert receive(pipe) == ({"do": "it"}, b"12345")
        for cut in (size - 1, 5, 0):
            pipe.truncate(cut)
            pipe.seek(0)
            with pytest.raises(EOFError):
                receive(pipe)


if __name__ == "__main__":
    serve(Backend)
