"""An optimiser step that fails anywhere leaves no weight half-way, and the next call ends where an undisturbed step does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.optim import _muon

from loralab.core.records import Plan
from loralab.tasks.pretrain import PretrainPlan
from loralab.tasks.text import TextPlan
from loralab.train.optim import Optimizers, adamw, muon, named
from tests.support.faults import Fault

SHAPES = ((8, 16), (16, 8), (24, 8), (8,), (16,))


class _Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.weights = nn.ParameterList([nn.Parameter(torch.randn(*shape)) for shape in SHAPES])


class _Separate(torch.optim.AdamW):
    """Stands for optimisers that make their notes and change their weights tensor by tensor, as those in 8 bits do."""


def _separate(net: nn.Module) -> Optimizers:
    return Optimizers(_Separate(net.parameters(), lr=0.01, foreach=False))


KINDS: dict[str, Callable[[nn.Module], Optimizers]] = {
    "fused AdamW": lambda net: adamw(net.parameters(), Plan(learning_rate=0.01, weight_decay=0.1)),
    "Muon and AdamW": lambda net: muon(net, PretrainPlan(learning_rate=0.01, weight_decay=0.1)),
    "tensor by tensor": _separate,
    "schedule-free": lambda net: named(net.parameters(), TextPlan(learning_rate=0.01, weight_decay=0.1, optimizer="schedule_free_adamw")),
}


def _take_gradients(net: nn.Module, step: int) -> None:
    generator = torch.Generator().manual_seed(step)
    for p in net.parameters():
        p.grad = torch.randn(p.shape, generator=generator)


def _numbers(net: nn.Module, optimizer: Optimizers) -> list[Tensor]:
    """Weights and all notes of the optimiser."""
    notes: list[Tensor] = []
    for part in optimizer.parts:
        for p in net.parameters():
            notes += [part.state[p][name].clone() for name in sorted(part.state.get(p, {}))]
    return [p.detach().clone() for p in net.parameters()] + notes


def _steps(kind: str, count: int) -> list[Tensor]:
    net = _Net()
    optimizer = KINDS[kind](net)
    for step in range(count):
        _take_gradients(net, step)
        optimizer.step()
    return _numbers(net, optimizer)


def _break(monkeypatch: pytest.MonkeyPatch, kind: str, where: str, fault: Fault) -> None:
    """Before the kernel that changes weights, in the making of notes, or in the middle of the matrices."""

    def faulty(module: Any, name: str) -> None:
        healthy = getattr(module, name)
        monkeypatch.setattr(module, name, lambda *a, **k: (fault(), healthy(*a, **k))[1])

    match where:
        case "notes":
            faulty(torch, "zeros_like")
        case "kernel" if kind == "schedule-free":
            faulty(Tensor, "lerp_")
        case "kernel" if kind == "tensor by tensor":
            faulty(Tensor, "addcdiv_")
        case "kernel":
            faulty(torch, "_fused_adamw_")
        case "matrices":
            faulty(_muon, "_zeropower_via_newtonschulz")


@pytest.mark.parametrize(
    ("kind", "where", "call", "step"),
    [
        ("fused AdamW", "notes", 1, 0),
        ("fused AdamW", "notes", 4, 0),
        ("fused AdamW", "notes", 10, 0),
        ("fused AdamW", "kernel", 1, 0),
        ("fused AdamW", "kernel", 1, 2),
        ("Muon and AdamW", "notes", 2, 0),
        ("Muon and AdamW", "matrices", 1, 0),
        ("Muon and AdamW", "matrices", 3, 2),
        ("Muon and AdamW", "kernel", 1, 2),
        ("tensor by tensor", "notes", 6, 0),
        ("tensor by tensor", "kernel", 3, 2),
        ("schedule-free", "notes", 3, 0),
        ("schedule-free", "kernel", 3, 2),
    ],
)
def test_a_step_that_failed_is_finished_by_the_next_call(
    monkeypatch: pytest.MonkeyPatch, kind: str, where: str, call: int, step: int
) -> None:
    expected = _steps(kind, 4)
    net = _Net()
    optimizer = KINDS[kind](net)
    for number in range(4):
        _take_gradients(net, number)
        if number == step:
            before = [p.detach().clone() for p in net.parameters()]
            groups = [list(group["params"]) for group in optimizer.param_groups]
            with monkeypatch.context() as patch:
                _break(patch, kind, where, Fault(call))
                with pytest.raises(RuntimeError, match="allocate"):
                    optimizer.step()
            assert [list(group["params"]) for group in optimizer.param_groups] == groups
            touched = [not torch.equal(p, old) for p, old in zip(net.parameters(), before, strict=True)]
            assert sum(touched) == len(optimizer.done)
        optimizer.step()
    found = _numbers(net, optimizer)
    assert len(found) == len(expected)
    assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))


@pytest.mark.parametrize("kind", KINDS)
def test_an_undisturbed_step_is_torchs_own(kind: str) -> None:
    """Bit for bit, though Muon is led tensor by tensor."""
    net = _Net()
    optimizer = KINDS[kind](net)
    for step in range(3):
        _take_gradients(net, step)
        for part in optimizer.parts:
            part.step()
    assert all(torch.equal(a, b) for a, b in zip(_numbers(net, optimizer), _steps(kind, 3), strict=True))


def test_an_update_given_up_is_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    net = _Net()
    optimizer = KINDS["Muon and AdamW"](net)
    _take_gradients(net, 0)
    with monkeypatch.context() as patch:
        _break(patch, "Muon and AdamW", "matrices", Fault(2))
        with pytest.raises(RuntimeError, match="allocate"):
            optimizer.step()
    assert len(optimizer.done) == 1
    optimizer.zero_grad()
    assert not optimizer.done
