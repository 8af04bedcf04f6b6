"""A kill teaches nothing without a sign of want of memory, and what older versions wrote of one is read again that way."""

from __future__ import annotations

from typing import Any

import pytest

from advisor.advisor import Advisor
from loralab.core.events import Incident
from tests.support.remembering import writer

NOTHING = [
    pytest.param({"exit_code": -9}, id="a kill -9, as older versions wrote it"),
    pytest.param({"exit_code": 137}, id="the same through a shell"),
    pytest.param({"exit_code": 9}, id="ended by another program"),
    pytest.param({"exit_code": -9, "oom_kills": 0}, id="nothing was counted"),
    pytest.param({"exit_code": -9, "short": False}, id="memory was there"),
]
MEMORY = [
    pytest.param({"exit_code": -9, "oom_kills": 1}, id="the system counted it"),
    pytest.param({"exit_code": -9, "short": True}, id="hardly any was free"),
    pytest.param({"exit_code": -6}, id="the worker's own last words"),
]


def killed(data: dict[str, Any]) -> Incident:
    return Incident(time=1001.1, step=3, code="killed_for_memory", text="The system ended it.", data=data)


@pytest.mark.parametrize("data", NOTHING)
def test_a_kill_without_a_sign_teaches_nothing(lab, data: dict[str, Any]):
    """Two kill -9 with 20 GB free were told as “memory full”, and from then on what was proposed was refused, on any file."""
    writer(lab.home)("old", killed(data), outcome="killed", code="worker_gone")
    assert [point for point in lab.history.memories.points("memory") if not point.ok] == []
    assert Advisor(lab).limits().failed == ()


@pytest.mark.parametrize("data", MEMORY)
def test_a_kill_with_one_does(lab, data: dict[str, Any]):
    writer(lab.home)("old", killed(data), outcome="killed", code="worker_gone")
    assert [point.code for point in lab.history.memories.points("memory") if not point.ok] == ["killed_for_memory"]
    assert len(Advisor(lab).limits().failed) == 1


@pytest.mark.parametrize(("data", "sure"), [(NOTHING[0].values[0], False), (MEMORY[0].values[0], True), (MEMORY[1].values[0], True)])
def test_the_advisor_blames_memory_only_where_something_shows_it(lab, data: dict[str, Any], sure: bool):
    writer(lab.home)("old", killed(data), outcome="finished")
    found = next(one for one in Advisor(lab).diagnose("old").findings if one.rule == "killed_for_memory")
    assert ("maybe you" in found.words) != sure
    assert (found.action == "retry") == sure
