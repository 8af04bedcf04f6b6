"""Owns what tests of disturbed runs share: a short run, and something that happens in the middle of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from loralab.evaluations.shared import answers
from loralab.sessions import job, text
from loralab.train import checkpointing, loop, pause
from tests.support import models

SETTINGS: dict[str, Any] = {"max_steps": 8, "eval_every": 2, "dropout": 0.1}
Act = Callable[[Any], None]


class Killed(BaseException):
    """Stands for kill -9: nothing catches it on its way out."""


def at(monkeypatch: pytest.MonkeyPatch, step: int, act: Act) -> None:
    """Let `act(run)` happen once, right after update `step` was counted."""
    healthy, done = checkpointing.computed, list[int]()

    def computed(run: Any, seconds: float) -> float:
        if run.progress.step == step and not done:
            done.append(step)
            act(run)
        return healthy(run, seconds)

    monkeypatch.setattr(checkpointing, "computed", computed)


def open_run(path: Path, data: Path, llama: Path, **more: Any) -> Any:
    return models.run_folder(path, models.plan(data, **{**SETTINGS, **more}), llama)


def adapter(result: dict[str, Any]) -> dict[str, torch.Tensor]:
    return load_file(Path(result["adapter"]) / "adapter_model.safetensors")


def same(ours: dict[str, torch.Tensor], theirs: dict[str, torch.Tensor]) -> bool:
    return ours.keys() == theirs.keys() and all(torch.equal(tensor, theirs[name]) for name, tensor in ours.items())


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "LONGEST", 4)
    monkeypatch.setattr(text, "MOST_ANSWERS", 3)
    monkeypatch.setattr(checkpointing, "RETRY_EVERY", 0.01)
    monkeypatch.setattr(pause, "READ_EVERY", 0.0)
    monkeypatch.setattr(pause, "ANSWER_EVERY", 0.01)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.uneven_file(tmp_path_factory.mktemp("data") / "uneven.jsonl", 24)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, llama: Path, data: Path) -> Any:
    """The adapter of the run that nothing happens to; nobody asks for its verdict."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_judge", lambda run: None)
        return adapter(job.run(models.run_folder(tmp_path_factory.mktemp("whole"), models.plan(data, **SETTINGS), llama)))
