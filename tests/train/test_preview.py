"""The same questions while it learns: asked at each quarter, once, within a small share of the time, and never noticed by the training."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file

from loralab.core.errors import LabError
from loralab.core.events import Previewed
from loralab.runs.run_folder import RunFolder
from loralab.sessions import job
from loralab.sessions.text import TextSession
from loralab.train import preview
from tests.support import models

pytestmark = [pytest.mark.usefixtures("short_answers", "no_verdict"), pytest.mark.worker]
SETTINGS: dict[str, Any] = {"dropout": 0.1, "max_steps": 8, "eval_every": 4}


@pytest.fixture(autouse=True)
def _time_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    """However busy this computer is."""
    monkeypatch.setattr(preview, "LEAST_SECONDS", 60.0)


def opened(path: Path, llama: Path, data: Path, **settings: Any) -> RunFolder:
    return models.run_folder(path, models.plan(data, **(SETTINGS | settings)), llama)


def asked(folder: RunFolder) -> list[tuple[float | None, int]]:
    return [(told.share, told.step) for told in models.told(folder, Previewed)]


def test_asking_changes_no_number_of_the_training(tmp_path: Path, llama: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched, alone = opened(tmp_path / "watched", llama, data), opened(tmp_path / "alone", llama, data)
    first = job.run(watched)
    assert asked(watched) == [(0.0, 0), (0.25, 2), (0.5, 4), (0.75, 6), (1.0, 8)]
    prompts = {tuple(sample.prompt for sample in told.samples) for told in models.told(watched, Previewed)}
    assert [len(questions) for questions in prompts] == [preview.MOST]
    monkeypatch.setattr(TextSession, "preview", lambda *_: ())
    second = job.run(alone)
    assert asked(alone) == []
    assert models.losses(watched) == models.losses(alone)
    ours, theirs = (load_file(Path(result["adapter"]) / "adapter_model.safetensors") for result in (first, second))
    assert all(ours[name].equal(theirs[name]) for name in ours)


def test_a_run_that_was_stopped_is_not_asked_twice(tmp_path: Path, llama: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = opened(tmp_path / "run", llama, data)
    real = RunFolder.stop_asked
    monkeypatch.setattr(RunFolder, "stop_asked", property(lambda self: len(asked(self)) == 3))
    assert job.run(folder)["outcome"] == "stopped"
    monkeypatch.setattr(RunFolder, "stop_asked", real)
    job.run(folder)
    assert [share for share, _ in asked(folder)] == list(preview.SHARES)


def _slow(self: TextSession, most: int, stop: Any) -> tuple[Any, ...]:
    while not stop():
        time.sleep(0.01)
    return ()


def _broken(self: TextSession, most: int, stop: Any) -> tuple[Any, ...]:
    raise LabError("The model's numbers broke while it was answering.", "")


def _no_room(self: TextSession, most: int, stop: Any) -> tuple[Any, ...]:
    raise MemoryError


@pytest.mark.parametrize("trouble", [_slow, _broken, _no_room])
def test_what_costs_too_much_or_cannot_be_had_is_left(
    tmp_path: Path, llama: Path, data: Path, monkeypatch: pytest.MonkeyPatch, trouble: Any
) -> None:
    monkeypatch.setattr(preview, "LEAST_SECONDS", 0.1)
    monkeypatch.setattr(TextSession, "preview", trouble)
    folder = opened(tmp_path / "run", llama, data, max_steps=4)
    assert job.run(folder)["steps"] == 4
    assert asked(folder) == []
