"""Memory that runs out in the middle of a run: injected wherever it can, and for real under a limit. The run ends where it would have."""

from __future__ import annotations

import errno
import gc
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from loralab.events import Adjusted, Evaluated, Incident, Noted, Saved, Stepped, adjusted, read
from loralab.records import Plan
from loralab.tasks import parse_plan
from loralab.tasks.full import FullPlan
from loralab.tasks.pretrain import PretrainPlan
from loralab.tasks.text import TextPlan
from loralab.train import loop, oom
from loralab.train.optim import Optimizers, adamw, muon
from loralab.train.run import RunFolder
from loralab.train.session import Batch
from loralab.train.text import TextSession
from tests import models

CPU = "[enforce fail at alloc_cpu.cpp:116] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."
STEPS = 9  # of the runs trained here; 54 examples make one epoch of 7 updates, so the last one lies in another


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.model_folder(tmp_path_factory.mktemp("llama"))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return models.uneven_file(tmp_path_factory.mktemp("data") / "uneven.jsonl")


@pytest.fixture(autouse=True)
def no_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a run is judged by at its end is tested elsewhere and takes longer than these trainings."""
    monkeypatch.setattr(loop, "_judge", lambda run: None)


@pytest.fixture
def train(tmp_path: Path, llama: Path, data: Path) -> Callable[..., RunFolder]:
    """Trains in this process: `train("name", dropout=0.1)` -> its folder; the same name again goes on with the same run."""

    def run(name: str, **settings: Any) -> RunFolder:
        chosen = models.plan(data, **{"max_steps": STEPS, "eval_every": 1, "micro_batch": 8, **settings})
        folder = models.run_folder(tmp_path / name, chosen, llama)
        now = parse_plan(adjusted(folder.job.plan, models.told(folder)))
        assert isinstance(now, TextPlan)
        results[name] = loop.train(TextSession(now, folder), now, folder)
        return folder

    results: dict[str, dict[str, Any]] = {}
    run.results = results  # type: ignore[attr-defined]
    return run


def weights(folder: RunFolder) -> dict[str, torch.Tensor]:
    return load_file(folder.artifacts / "adapter" / "adapter_model.safetensors")


def difference(a: RunFolder, b: RunFolder) -> float:
    """Largest difference of any number of two adapters."""
    ours, theirs = weights(a), weights(b)
    assert ours.keys() == theirs.keys()
    return max((tensor - theirs[name]).abs().max().item() for name, tensor in ours.items())


class Fault:
    """Raises once, at the `count`-th call, before or in the middle of what it stands in for."""

    def __init__(self, count: int, times: int = 1, error: Exception | None = None) -> None:
        self.count, self.times, self.error, self.calls, self.raised = count, times, error, 0, 0

    def __call__(self) -> None:
        self.calls += 1
        if self.calls >= self.count and self.raised < self.times:
            self.raised += 1
            raise self.error or RuntimeError(CPU)


class _Breaking(torch.autograd.Function):
    """Passes a loss through and fails on the way back, when part of the gradient has been made."""

    @staticmethod
    def forward(context: Any, hidden: torch.Tensor, fault: Fault) -> torch.Tensor:
        context.fault = fault
        return hidden.clone()

    @staticmethod
    def backward(context: Any, *gradients: torch.Tensor) -> Any:
        context.fault()
        return gradients[0], None


def in_forward(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    healthy = TextSession.loss

    def loss(self: TextSession, batch: Batch) -> Any:
        found = healthy(self, batch)  # all of it is in memory when it fails
        if torch.is_grad_enabled():
            fault()
        return found

    monkeypatch.setattr(TextSession, "loss", loss)


def in_backward(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the two layers: the upper one's gradients are made already."""
    opened = TextSession.open_model

    def open_model(self: TextSession) -> Any:
        model: Any = opened(self)
        layer = model.get_base_model().model.layers[0]
        layer.register_forward_hook(lambda _m, _i, output: _Breaking.apply(output, fault) if torch.is_grad_enabled() else output)
        return model

    monkeypatch.setattr(TextSession, "open_model", open_model)


def in_optimizer(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where torch has made its notes and counted the step, and the weights are next."""
    healthy = torch._fused_adamw_

    def kernel(*arguments: Any, **named: Any) -> Any:
        fault()
        return healthy(*arguments, **named)

    monkeypatch.setattr(torch, "_fused_adamw_", kernel)


def in_evaluation(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    healthy = TextSession.loss

    def loss(self: TextSession, batch: Batch) -> Any:
        found = healthy(self, batch)
        if not torch.is_grad_enabled():
            fault()
        return found

    monkeypatch.setattr(TextSession, "loss", loss)


PLACES = {"forward": in_forward, "backward": in_backward, "optimiser": in_optimizer, "evaluation": in_evaluation}


# ---- a fault anywhere ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, llama: Path, data: Path) -> dict[float, RunFolder]:
    """The same run without a fault, without and with dropout."""
    found = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "_judge", lambda run: None)
        for dropout in (0.0, 0.3):
            chosen = models.plan(data, max_steps=STEPS, eval_every=1, micro_batch=8, dropout=dropout)
            found[dropout] = models.run_folder(tmp_path_factory.mktemp("undisturbed") / "run", chosen, llama)
            loop.train(TextSession(chosen, found[dropout]), chosen, found[dropout])
    return found


@pytest.mark.parametrize("at", [1, 7, STEPS])
@pytest.mark.parametrize("place", PLACES)
def test_a_fault_changes_nothing_in_what_is_learned(
    train: Any, undisturbed: dict[float, RunFolder], monkeypatch: pytest.MonkeyPatch, place: str, at: int
) -> None:
    fault = Fault(at + (place == "evaluation"))  # the first look is before the first update
    PLACES[place](fault, monkeypatch)
    folder, whole = train("run"), undisturbed[0.0]
    assert fault.raised == 1
    steps, expected = models.told(folder, Stepped), models.told(whole, Stepped)
    assert [step.step for step in steps] == list(range(1, STEPS + 1))
    assert [step.tokens for step in steps] == [step.tokens for step in expected]
    assert max(abs(a.loss - b.loss) for a, b in zip(steps, expected, strict=True)) <= 1e-5
    looks = [(look.step, look.n) for look in models.told(folder, Evaluated)]
    assert looks == [(look.step, look.n) for look in models.told(whole, Evaluated)]
    assert difference(folder, whole) <= 1e-5
    [incident] = models.told(folder, Incident)
    assert (incident.code, incident.step) == ("out_of_memory", at if place == "evaluation" else at - 1)
    assert CPU[:40] in incident.data["error"]
    assert [event.setting for event in models.told(folder, Adjusted)] == (["held_out_tokens_at_once"] if place == "evaluation" else [])


@pytest.mark.parametrize("place", ["optimiser", "evaluation"])
def test_dropout_draws_the_same_numbers_where_nothing_was_split(
    train: Any, undisturbed: dict[float, RunFolder], monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    PLACES[place](Fault(4), monkeypatch)
    assert difference(train("run", dropout=0.3), undisturbed[0.3]) == 0


@pytest.mark.parametrize("place", ["forward", "backward"])
def test_one_example_done_again_draws_the_same_numbers(train: Any, monkeypatch: pytest.MonkeyPatch, place: str) -> None:
    """A micro-batch of one cannot be split: it is done again in a thriftier mode, and what is dropped is the same."""
    whole = train("whole", dropout=0.3, micro_batch=1, max_steps=3)
    PLACES[place](Fault(11), monkeypatch)  # the third of the second update
    found = train("run", dropout=0.3, micro_batch=1, max_steps=3)
    assert [event.after for event in models.told(found, Adjusted)] == ["selective"]
    assert difference(found, whole) <= 1e-6


def test_the_update_in_work_is_dropped_whole(train: Any, undisturbed: dict[float, RunFolder], monkeypatch: pytest.MonkeyPatch) -> None:
    """The third of four micro-batches fails on its way back: what the first two and half of the third gave is not counted twice."""
    in_backward(Fault(7), monkeypatch)
    folder = train("run", micro_batch=2)
    assert len(models.told(folder, Incident)) == 1
    assert difference(folder, undisturbed[0.0]) <= 1e-5
