"""Owns what tests of judging share: a real text session on the tiny model, and the judging of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loralab.core.events import EventLog
from loralab.core.jobs import TrainJob
from loralab.evaluations import Judging
from loralab.runs.run_folder import RunFolder
from loralab.tasks import parse_plan
from tests.support import tiny


def open_session(folder: Path, **changes: Any) -> Any:
    """A real text session on the tiny model, its adapter fresh (and so without effect)."""
    from loralab.sessions.text import TextSession

    folder.mkdir(parents=True, exist_ok=True)
    base = tiny.model_folder(folder / "base")
    data = tiny.examples_file(folder / "colours.jsonl")
    plan = parse_plan({"dataset": str(data), "max_length": 64, "rank": 4, **changes})
    job = TrainJob(run="tiny", plan=plan.model_dump(), model=str(base))
    return TextSession(plan, RunFolder(folder, job, EventLog(folder / "events.jsonl")))  # type: ignore[arg-type]


def push(session: Any) -> dict[str, Any]:
    """Make the session's adapter do something; returns what it was before."""
    import torch

    before = {name: tensor.detach().clone() for name, tensor in session.state().items()}
    torch.manual_seed(3)
    with torch.no_grad():
        for name, parameter in session.state().items():
            if "lora_B" in name:
                parameter.normal_(std=0.5)
    return before


def judging(session: Any, **changes: Any) -> Judging:
    return Judging(session, session.plan, **changes)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return open_session(tmp_path_factory.mktemp("session"))


@pytest.fixture
def pushed(session: Any) -> Any:
    """The session with an adapter that does something; put back afterwards."""
    before = push(session)
    yield session
    session.load_state(before)
