"""What was seen before training is used again by a run that begins from the very same, and by no other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from loralab.core.events import Evaluated, Previewed
from loralab.sessions import text
from loralab.train import first_look, loop
from tests.support import models

pytestmark = [pytest.mark.usefixtures("short_answers"), pytest.mark.worker]


@pytest.fixture
def begin(tmp_path: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[bool, list[Any]]]:
    """Begin a run with these settings: whether it looked for itself, and what it told."""
    own = tmp_path / "own.jsonl"
    own.write_bytes(data.read_bytes())
    base = models.model_folder(tmp_path / "base")
    looks: list[str] = []
    real = loop.guard.evaluate
    monkeypatch.setattr(loop.guard, "evaluate", lambda run: looks.append("") or real(run))

    def begun(**settings: Any) -> tuple[bool, list[Any]]:
        plan = models.plan(own, **settings)
        path = tmp_path / "home" / "runs" / f"run{len(list(tmp_path.glob('home/runs/*')))}"
        folder, before = models.run_folder(path, plan, base), len(looks)
        session = text.TextSession(plan, folder)
        loop.prepare(session, plan, folder)
        told = [event.model_dump(exclude={"time"}) for event in models.told(folder) if isinstance(event, Evaluated | Previewed)]
        return len(looks) > before, told

    return begun


def test_a_run_that_begins_from_the_same_does_not_look_again(begin: Callable[..., Any]) -> None:
    looked, first = begin()
    again, second = begin(learning_rate=1e-4, warmup=0.2)
    assert (looked, again) == (True, False)
    assert first == second
    assert len(first) == 2


def test_whatever_has_a_say_makes_it_look_again(begin: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begin()
    assert begin(seed=5)[0]
    assert begin(precision="bf16")[0]
    monkeypatch.setattr(text, "LOOK", text.LOOK + 1)
    assert begin()[0]
    assert not begin()[0]
    own, base = tmp_path / "own.jsonl", tmp_path / "base"
    own.write_text(own.read_text("utf-8").replace("green sea", "green tea"), "utf-8")
    assert begin()[0]
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | {"rms_norm_eps": 1e-2}))
    assert begin()[0]
    (tmp_path / "home" / first_look.FILE).write_text("{torn")
    assert begin()[0]
