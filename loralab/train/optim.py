"""Owns optimisers and the learning-rate curve. Invariant: a group's learning rate is its own base times one factor in 0..1."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

from loralab.core.errors import Unavailable
from loralab.core.records import Plan
from loralab.train import stepping


class Optimizers:
    """Several torch optimisers stepped as one (Muon for matrices, AdamW for the rest)."""

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        self.parts = parts
        self.done: set[Tensor] = set()  # what a step that failed has finished already
        for group in self.param_groups:
            group["base_lr"] = group["lr"]

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return [group for part in self.parts for group in part.param_groups]

    def set_factor(self, factor: float) -> None:
        """Set every group's learning rate to its base times `factor`."""
        for group in self.param_groups:
            group["lr"] = group["base_lr"] * factor

    def set_base(self, rate: float) -> None:
        """Set the learning rate that factors multiply, of every group."""
        for group in self.param_groups:
            group["base_lr"] = rate

    def step(self) -> None:
        """One step; one that fails leaves no weight half-way, and the next call finishes it."""
        stepping.step(self.parts, self.done)

    def zero_grad(self) -> None:
        self.done.clear()
        for part in self.parts:
            part.zero_grad(set_to_none=True)

    def state_dict(self) -> dict[str, Any]:
        return {"parts": [part.state_dict() for part in self.parts], "kinds": self._kinds}

    @property
    def _kinds(self) -> list[str]:
        return [type(part).__name__ for part in self.parts]

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from `state`; notes of another kind of optimiser (8 bits instead of 32) are of no use and start anew."""
        if state.get("kinds", self._kinds) != self._kinds:
            return
        for part, saved in zip(self.parts, state["parts"], strict=True):
            part.load_state_dict(saved)


def adamw(parameters: Iterable[Tensor], plan: Plan) -> Optimizers:
    """AdamW over adapter weights (Loshchilov & Hutter 2019); fused, because the adapters are many small tensors.

    With `adamw_8bit` its two notes a weight take a byte each (Dettmers 2022); raises Unavailable when bitsandbytes is absent.
    """
    betas = (0.9, 0.99)
    if getattr(plan, "optimizer", "adamw") == "adamw_8bit":
        eight = _bitsandbytes().AdamW8bit(list(parameters), lr=plan.learning_rate, weight_decay=plan.weight_decay, betas=betas)
        return Optimizers(eight)
    return Optimizers(torch.optim.AdamW(list(parameters), lr=plan.learning_rate, weight_decay=plan.weight_decay, betas=betas, fused=True))


def _bitsandbytes() -> Any:
    """The optimisers of bitsandbytes, an optional package."""
    try:
        from bitsandbytes import optim  # noqa: PLC0415  # pyright: ignore[reportMissingImports]  (an optional part)
    except ImportError as error:
        todo = "Install it (pip install bitsandbytes) or choose adamw."
        raise Unavailable(
            "The 8-bit optimiser needs the bitsandbytes package, which is not installed.", todo, code="no_bitsandbytes"
        ) from error
    return optim


def muon(model: nn.Module, plan: Plan) -> Optimizers:
    """Muon (Jordan 2024) for the matrices inside the blocks, AdamW for embeddings and norms.

    Muon's update is rescaled to AdamW's typical size (Moonlight, 2025), so that one learning rate serves both.
    """
    named = [(name, p) for name, p in model.named_parameters() if p.requires_grad]
    matrices = [p for name, p in named if p.ndim == 2 and "embed" not in name and "lm_head" not in name]
    chosen = {id(p) for p in matrices}
    rest = [p for _, p in named if id(p) not in chosen]
    return Optimizers(
        torch.optim.Muon(matrices, lr=plan.learning_rate, weight_decay=plan.weight_decay, momentum=0.95, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(rest, lr=plan.learning_rate, weight_decay=0.0, betas=(0.9, 0.95), fused=True),
    )


def warmup_share(plan: Plan, total_steps: int) -> float:
    """Share of the run that warms up: the plan's, but at least five updates where there are that many to spare."""
    return max(plan.warmup, min(5 / total_steps, 0.2)) if plan.warmup else 0.0


def factor(plan: Plan, fraction: float, warmup: float) -> float:
    """Learning-rate factor (0..1) at `fraction` (0..1) of the run, the first `warmup` of which rises linearly.

    The first update is not made with nothing: it begins at a thousandth of the run, or a tenth of a warm-up that is shorter than that.

    cosine: to zero; linear: to zero; constant; wsd: constant, then linear to zero over the last quarter (Hägele 2024).
    """
    if warmup > 0 and fraction < warmup:
        return max(fraction, min(1e-3, warmup / 10)) / warmup
    position = min(1.0, (fraction - warmup) / max(1e-9, 1 - warmup))
    match plan.schedule:
        case "cosine":
            return 0.5 * (1 + math.cos(math.pi * position))
        case "linear":
            return 1 - position
        case "wsd":
            return min(1.0, max(0.0, (1 - position) / 0.25))
        case "constant":
            return 1.0
