"""Two engines, one training: TRL's SFTTrainer and our loop over the same plan agree update by update, and end in the same ways."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from loralab.core.errors import UserError
from loralab.core.events import Evaluated, Incident, Noted, Previewed, Saved, Stepped
from loralab.sessions import job, text, trl_engine
from loralab.train import clock, loop
from tests.support import models
from tests.support.tiers import grid

pytestmark = [
    pytest.mark.filterwarnings("ignore"),
    pytest.mark.usefixtures("short_answers"),
    pytest.mark.worker,
]  # TRL's and transformers' warnings


def train(path: Path, base: Path, data: Path, **settings: Any) -> tuple[Any, dict[str, Any]]:
    folder = models.run_folder(path, models.plan(data, **settings), base)
    return folder, job.run(folder)


@pytest.mark.parametrize("family", grid(["llama", "gpt2"], {"llama"}))
@pytest.mark.parametrize("micro", grid([3, 8], {3}))
def test_both_engines_agree_update_by_update(tmp_path: Path, data: Path, family: str, micro: int) -> None:
    base = models.model_folder(tmp_path / "base", family)
    settings = {"micro_batch": micro, "schedule": "cosine", "weight_decay": 0.1, "eval_every": 4}
    ours, our_result = train(tmp_path / "ours", base, data, engine="loralab", **settings)
    theirs, their_result = train(tmp_path / "theirs", base, data, engine="trl", **settings)
    mine, others = models.told(ours, Stepped), models.told(theirs, Stepped)
    assert len(mine) == len(others) >= 12
    for a, b in zip(mine, others, strict=True):
        assert b.loss == pytest.approx(a.loss, abs=1e-3)
        assert b.grad_norm == pytest.approx(a.grad_norm, rel=1e-2)
        assert b.learning_rate == pytest.approx(a.learning_rate, rel=1e-6)
        assert (b.step, b.tokens, b.total_steps, b.epoch) == (a.step, a.tokens, a.total_steps, a.epoch)
    assert mine[-1].loss < mine[0].loss - 0.2  # it was a training, not two still lives
    looks, other_looks = models.told(ours, Evaluated), models.told(theirs, Evaluated)
    assert [(look.step, look.split, look.n) for look in looks] == [(look.step, look.split, look.n) for look in other_looks]
    assert [look.loss for look in other_looks] == pytest.approx([look.loss for look in looks], abs=2e-3)
    assert our_result.keys() == their_result.keys()


@pytest.mark.usefixtures("no_verdict")
def test_trl_computes_no_more_at_once_than_the_plan_allows(
    tmp_path: Path, llama: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the fit was foretold for, and what a worker that ran out of memory is started again with."""
    at_once: list[int] = []
    compute = trl_engine.SFTTrainer.compute_loss

    def watched(self: Any, model: Any, inputs: Any, *args: Any, **settings: Any) -> Any:
        at_once.append(inputs["input_ids"].numel())
        return compute(self, model, inputs, *args, **settings)

    monkeypatch.setattr(trl_engine.SFTTrainer, "compute_loss", watched)
    settings = {"token_budget": 130, "micro_batch": 8, "max_steps": 8}
    ours, _ = train(tmp_path / "ours", llama, data, engine="loralab", **settings)
    theirs, _ = train(tmp_path / "theirs", llama, data, engine="trl", **settings)
    assert max(at_once) <= 130
    assert models.losses(theirs) == pytest.approx(models.losses(ours), abs=1e-3)
    assert [step.tokens for step in models.told(theirs, Stepped)] == [step.tokens for step in models.told(ours, Stepped)]


def test_trl_tells_the_same_kinds_of_events_and_saves_an_adapter(tmp_path: Path, llama: Path, data: Path) -> None:
    folder, result = train(tmp_path / "run", llama, data, engine="trl", max_steps=3)
    assert result["steps"] == 3
    kinds = [event.artifact.kind for event in models.told(folder, Saved)]
    assert [kind for kind in kinds if kind != "checkpoint"] == ["adapter", "report"]
    assert [told.share for told in models.told(folder, Previewed)] == [0.0, 0.25, 0.5, 1.0, None]
    assert any("TRL" in note.text for note in models.told(folder, Noted))
    assert (Path(result["adapter"]) / "adapter_model.safetensors").exists()


def weights(result: dict[str, Any]) -> dict[str, torch.Tensor]:
    return load_file(Path(result["adapter"]) / "adapter_model.safetensors")


@pytest.mark.usefixtures("no_verdict")
@pytest.mark.parametrize("engine", ["loralab", "trl"])
def test_a_stopped_run_goes_on_to_the_same_adapter(
    tmp_path: Path, llama: Path, data: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"engine": engine, "dropout": 0.2, "micro_batch": 3, "max_steps": 11}
    _, whole = train(tmp_path / "whole", llama, data, **settings)
    folder = models.run_folder(tmp_path / "parts", models.plan(data, **settings), llama)
    emit = folder.emit

    def stop_after_update_5(event: Any) -> None:
        emit(event)
        if isinstance(event, Stepped) and event.step == 5:
            (folder.path / "stop").touch()

    monkeypatch.setattr(folder, "emit", stop_after_update_5)
    first = job.run(folder)
    assert (first["outcome"], first["steps"]) == ("stopped", 5)
    (folder.path / "stop").unlink()
    second = job.run(models.run_folder(folder.path, models.plan(data, **settings), llama))
    assert [event.step for event in models.told(folder, Stepped)] == list(range(1, 12))
    assert second["steps"] == 11
    for name, tensor in weights(whole).items():
        assert torch.equal(tensor, weights(second)[name]), name


@pytest.mark.usefixtures("no_verdict")
@pytest.mark.parametrize("engine", ["loralab", "trl"])
def test_a_broken_update_never_reaches_the_weights(
    tmp_path: Path, llama: Path, data: Path, engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Update 2 of a run of 2 is poisoned: the adapter must be the one update 1 left."""
    _, sound = train(tmp_path / "sound", llama, data, engine=engine, max_steps=1, schedule="constant", warmup=0.0)
    poison(monkeypatch, engine, at=2)
    folder, result = train(tmp_path / "poisoned", llama, data, engine=engine, max_steps=2, schedule="constant", warmup=0.0)
    assert not math.isfinite(models.losses(folder)[1])
    (incident,) = models.told(folder, Incident)
    assert (incident.code, incident.step) == ("non_finite", 2)
    assert len(incident.data["rows"]) == 8
    for name, tensor in weights(sound).items():
        assert torch.equal(tensor, weights(result)[name]), name


def poison(monkeypatch: pytest.MonkeyPatch, engine: str, at: int) -> None:
    """Make one micro-batch of update `at` compute a NaN, in the loss each engine computes."""
    calls = {"n": 0}
    if engine == "loralab":
        healthy = text.TextSession.loss

        def loss(self: Any, batch: Any) -> tuple[torch.Tensor, int]:
            value, count = healthy(self, batch)
            calls["n"] += torch.is_grad_enabled()
            return (value * math.nan if torch.is_grad_enabled() and calls["n"] == 2 * at else value), count

        monkeypatch.setattr(text.TextSession, "loss", loss)
        return
    other = trl_engine.SFTTrainer.compute_loss

    def compute_loss(self: Any, *args: Any, **settings: Any) -> Any:
        calls["n"] += 1
        return other(self, *args, **settings) * (math.nan if calls["n"] == 2 * at else 1.0)

    monkeypatch.setattr(trl_engine.SFTTrainer, "compute_loss", compute_loss)


@pytest.mark.usefixtures("no_verdict")
@pytest.mark.parametrize("engine", ["loralab", "trl"])
def test_a_healthy_run_has_no_incident(tmp_path: Path, llama: Path, data: Path, engine: str) -> None:
    folder, _ = train(tmp_path / "run", llama, data, engine=engine, max_steps=4)
    assert models.told(folder, Incident) == []


@pytest.mark.parametrize("engine", ["loralab", "trl"])
def test_early_stopping_keeps_the_best_version(tmp_path: Path, llama: Path, data: Path, engine: str) -> None:
    """A learning rate that wrecks the model: the version from the best look is what is kept."""
    settings = {
        "engine": engine,
        "learning_rate": 0.5,
        "schedule": "constant",
        "warmup": 0.0,
        "epochs": 20.0,
        "eval_every": 1,
        "patience": 2,
    }
    folder, result = train(tmp_path / "run", llama, data, **settings)
    looks = [event for event in models.told(folder, Evaluated) if event.split == "heldout"]
    best = min(looks, key=lambda look: look.loss)
    assert result["best_step"] == best.step == result["steps"] - 2
    final = models.told(folder, Evaluated)[-1]
    assert (final.split, final.loss) == ("final", pytest.approx(best.loss, rel=1e-4))
    assert any("Ended early" in note.text for note in models.told(folder, Noted))


@pytest.mark.parametrize("engine", ["loralab", "trl"])
def test_a_time_limit_ends_the_run_in_time(tmp_path: Path, llama: Path, data: Path, engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a clock that goes on by a hundredth of a second whenever it is read: a busy machine changes nothing."""
    ticks = itertools.count()
    steady = SimpleNamespace(monotonic=lambda: next(ticks) / 100)
    for module in (loop, trl_engine, clock):
        monkeypatch.setattr(module, "time", steady)
    monkeypatch.setattr(clock, "asleep", lambda: 0.0)
    folder, result = train(tmp_path / "run", llama, data, engine=engine, epochs=1000.0, max_minutes=0.02)
    steps = models.told(folder, Stepped)
    assert 5 < result["steps"] < steps[0].total_steps
    assert 1.2 - 0.1 <= result["seconds"] < 1.2 + 0.1
    assert steps[-1].learning_rate < 0.1 * max(step.learning_rate for step in steps)  # slowed down before it ended
    assert models.told(folder, Evaluated)[-2].step == result["steps"]  # the last version was looked at


def test_a_task_without_the_engine_says_so(tmp_path: Path, llama: Path, data: Path) -> None:
    chosen = {**models.plan(data).model_dump(), "task": "full", "engine": "trl"}
    folder = models.run_folder(tmp_path / "run", models.plan(data), llama)
    folder.job = folder.job.model_copy(update={"plan": chosen})
    with pytest.raises(UserError, match="trl"):
        job.run(folder)
