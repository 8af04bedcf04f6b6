"""Owns faults put into a training where its memory is asked for, and what two trainings are compared by."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from loralab.runs.run_folder import RunFolder
from loralab.sessions.fast.blocks import Blocks
from loralab.sessions.text import TextSession
from loralab.train.session import Batch

CPU = "[enforce fail at alloc_cpu.cpp:116] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes."


def weights(folder: RunFolder) -> dict[str, torch.Tensor]:
    return load_file(folder.artifacts / "adapter" / "adapter_model.safetensors")


def difference(a: RunFolder, b: RunFolder) -> float:
    """Largest difference of any number of two adapters."""
    ours, theirs = weights(a), weights(b)
    assert ours.keys() == theirs.keys()
    return max((tensor - theirs[name]).abs().max().item() for name, tensor in ours.items())


class Fault:
    """Raises at the calls with these numbers, from 1."""

    def __init__(self, *at: int, error: Exception | None = None) -> None:
        self.at, self.error, self.calls, self.raised = at, error, 0, 0

    def __call__(self) -> None:
        self.calls += 1
        if self.calls in self.at:
            self.raised += 1
            raise self.error or RuntimeError(CPU)


class _Breaking(torch.autograd.Function):
    """Passes a loss through and fails on the way back, when part of the gradient has been made."""

    @staticmethod
    def forward(context: Any, hidden: torch.Tensor, fault: Fault) -> torch.Tensor:
        context.fault = fault
        return hidden.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: torch.Tensor) -> Any:
        ctx.fault()
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
    healthy = Blocks._backward

    def backward(self: Blocks, *arguments: Any, first: bool) -> Any:
        if first:
            fault()
        return healthy(self, *arguments, first=first)

    monkeypatch.setattr(Blocks, "_backward", backward)
    opened = TextSession.open_model

    def open_model(self: TextSession) -> Any:
        model: Any = opened(self)
        if not self.plan.dropout:  # blocks by hand: above
            return model
        layer = model.get_base_model().model.layers[0]
        layer.register_forward_hook(lambda _m, _i, output: _Breaking.apply(output, fault) if torch.is_grad_enabled() else output)
        return model

    monkeypatch.setattr(TextSession, "open_model", open_model)


def in_optimizer(fault: Fault, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where torch has made its notes and counted the step, and the weights are next."""
    healthy = torch._fused_adamw_  # pyright: ignore[reportPrivateImportUsage]

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


def too_large(monkeypatch: pytest.MonkeyPatch, most: int, *, learning: bool = True) -> list[int]:
    """Lets every micro-batch of more than `most` padded tokens fail, while learning or while looking; gives the sizes tried."""
    healthy, tried = TextSession.loss, list[int]()

    def loss(self: TextSession, batch: Batch) -> Any:
        if torch.is_grad_enabled() == learning:
            tried.append(batch.tensors["ids"].numel())
            if tried[-1] > most:
                raise RuntimeError(CPU)
        return healthy(self, batch)

    monkeypatch.setattr(TextSession, "loss", loss)
    return tried


PLACES = {"forward": in_forward, "backward": in_backward, "optimiser": in_optimizer, "evaluation": in_evaluation}
