"""Owns optimisers and the learning-rate curve.

Invariants: a group's learning rate is the run's base times its own ratio times one factor in 0..1; where an optimiser keeps an average of
the weights, the average is what is looked at and kept, and looking changes no bit of what is trained.
"""

from __future__ import annotations

import math
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from typing import Any

import torch
from schedulefree import AdamWScheduleFree, RAdamScheduleFree
from torch import Tensor, nn

from loralab.core import parts
from loralab.core.records import Plan
from loralab.train import stepping

BETAS = (0.9, 0.99)  # of adapters: a run is a few hundred updates, too few for the usual memory of a thousand


class Optimizers:
    """Several torch optimisers stepped as one (Muon for matrices, AdamW for the rest)."""

    def __init__(self, *parts: torch.optim.Optimizer) -> None:
        self.parts = parts
        self.done: set[Tensor] = set()  # what a step that failed has finished already
        for group in self.param_groups:
            group["base_lr"] = group["lr"] * group.get("ratio", 1.0)
        for part in self._averaging:
            part.train()

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        return [group for part in self.parts for group in part.param_groups]

    def set_factor(self, factor: float) -> None:
        """Set every group's learning rate to its base times `factor`."""
        for group in self.param_groups:
            group["lr"] = group["base_lr"] * factor

    def set_base(self, rate: float) -> None:
        """Set the learning rate that factors multiply; a group that learns at a `ratio` of its own keeps it."""
        for group in self.param_groups:
            group["base_lr"] = rate * group.get("ratio", 1.0)

    @property
    def _averaging(self) -> list[Any]:
        return [part for part in self.parts if isinstance(part, AdamWScheduleFree | RAdamScheduleFree)]

    def rest(self) -> None:
        """No step after this one: the weights become their average, where one is kept."""
        for part in self._averaging:
            part.eval()

    @contextmanager
    def averaged(self) -> Generator[None]:
        """The weights as they are looked at and kept: their average, where one is kept. Afterwards they are, bit by bit, what they were.

        Going back by arithmetic would round, and then looking more often would be another run.
        """
        moved = [part for part in self._averaging if part.param_groups[0]["train_mode"]]
        kept = [(p, p.detach().clone()) for part in moved for group in part.param_groups for p in group["params"] if part.state.get(p)]
        for part in moved:
            part.eval()
        try:
            yield
        finally:
            with torch.no_grad():
                for p, value in kept:
                    p.copy_(value)
            for part in moved:
                for group in part.param_groups:
                    group["train_mode"] = True

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


def named(parameters: Iterable[Any], plan: Plan) -> Optimizers:
    """The optimiser that a plan names, over tensors or groups of them."""
    kind = {"schedule_free_adamw": AdamWScheduleFree, "schedule_free_radam": RAdamScheduleFree}.get(getattr(plan, "optimizer", ""))
    if kind is None:
        return adamw(parameters, plan)
    # schedule-free learning (Defazio et al. 2024, arXiv 2405.15682); one tensor at a time, as train/stepping.py leads it
    return Optimizers(kind(list(parameters), lr=plan.learning_rate, weight_decay=plan.weight_decay, betas=BETAS, foreach=False))


def adamw(parameters: Iterable[Any], plan: Plan) -> Optimizers:
    """AdamW over adapter weights (Loshchilov & Hutter 2019); fused, because the adapters are many small tensors.

    With 8 bits its two notes a weight take a byte each (Dettmers 2022), paged ones lie where a card can send them to main memory (Dettmers
    2023; on a processor they are as the others). Raises Unavailable when bitsandbytes is absent.
    """
    usual: dict[str, Any] = {"lr": plan.learning_rate, "weight_decay": plan.weight_decay, "betas": BETAS}
    name, weights = getattr(plan, "optimizer", "adamw"), list(parameters)
    if not name.endswith("bit"):
        return Optimizers(torch.optim.AdamW(weights, **usual, fused=True))
    paged = name.startswith("paged") and torch.cuda.is_available()
    kind = ("PagedAdamW" if paged else "AdamW") + name.rpartition("_")[2]
    return Optimizers(getattr(_bitsandbytes(), kind)(weights, **usual))


def _bitsandbytes() -> Any:
    """The optimisers of bitsandbytes, an optional package."""
    try:
        from bitsandbytes import optim  # noqa: PLC0415  # pyright: ignore[reportMissingImports]  (an optional part)
    except ImportError as error:
        raise parts.unavailable("bitsandbytes", "This optimiser needs a part that is not installed here.") from error
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
