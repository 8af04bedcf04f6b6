"""Owns an optimiser step that can be interrupted. Invariant: after a step that failed every parameter, with its notes, is either as it
was or fully updated, and the next call does what is left: no weight is ever half-way, and none is updated twice.

A fused optimiser changes all weights in one kernel that allocates nothing, so only what it prepares can fail: notes of the first step
and the counters. Others work tensor by tensor (Muon makes several matrices for each), so they are led tensor by tensor. What a group
counts for all its tensors (the updates of a schedule-free optimiser) is counted once: every tensor finds the step's first numbers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def step(parts: Sequence[torch.optim.Optimizer], done: set[Tensor]) -> None:
    """One step of every optimiser in `parts`. `done` holds what a failed call has finished already; it is emptied at the end."""
    for part in parts:
        if part.defaults.get("fused"):
            _fused(part, done)
        else:
            _one_by_one(part, done)
    done.clear()


def _fused(part: torch.optim.Optimizer, done: set[Tensor]) -> None:
    parameters = [p for group in part.param_groups for p in group["params"]]
    if done.issuperset(parameters):
        return
    counted = {p: notes["step"]._version for p, notes in part.state.items()}  # noqa: SLF001  (torch's name for: has it been written to)
    try:
        part.step()
    except BaseException:
        for p in list(part.state):
            if p not in counted:
                del part.state[p]  # made in this step, perhaps by half
            elif part.state[p]["step"]._version != counted[p]:  # noqa: SLF001
                part.state[p]["step"].sub_(1)
        raise
    done.update(parameters)


def _one_by_one(part: torch.optim.Optimizer, done: set[Tensor]) -> None:
    """`part.step()`, with one parameter at a time in its groups, so that undoing needs a copy of that one only."""
    groups = [(group, list(group["params"])) for group in part.param_groups]
    begun = [{name: value for name, value in group.items() if name != "params"} for group in part.param_groups]

    def as_begun() -> None:
        for (group, _), counted in zip(groups, begun, strict=True):
            group.update(counted)

    try:
        for group, _ in groups:
            group["params"] = []
        for group, parameters in groups:
            for p in parameters:
                if p.grad is not None and p not in done:
                    as_begun()
                    group["params"] = [p]
                    _one(part, p)
                    done.add(p)
            group["params"] = []
    except BaseException:
        as_begun()
        raise
    finally:
        for group, parameters in groups:
            group["params"] = parameters


def _one(part: torch.optim.Optimizer, p: Tensor) -> None:
    value, gradient = p.detach().clone(), None if p.grad is None else p.grad.clone()  # some write into the gradient
    notes: dict[str, Any] | None = None
    if p in part.state:
        notes = {name: note.clone() if isinstance(note, Tensor) else note for name, note in part.state[p].items()}
    try:
        part.step()
    except BaseException:
        with torch.no_grad():
            p.copy_(value)
        p.grad = gradient
        part.state.pop(p, None)
        if notes is not None:
            part.state[p] = notes
        raise
