"""Owns the contract between the one loop and a kind of training. Text and image differ only in what stands behind it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor

from loralab.core.records import Artifact, Plan
from loralab.evaluations import Note
from loralab.evaluations.shared.verdict import Judgement


@dataclass
class Batch:
    """A micro-batch: what is computed at once. `tensors` are what the session's loss needs."""

    tensors: dict[str, Tensor]
    n_tokens: int  # real tokens read, padding not counted
    n_targets: int  # positions learned from
    rows: tuple[int, ...] = ()  # which examples these are, so that an incident can name them
    sizes: tuple[int, ...] = ()  # tokens of each row, padding not counted


class Session(Protocol):
    """What a kind of training gives the loop. `loss` is a sum with its count: accumulated micro-batches equal one big batch exactly."""

    model: Any  # a torch module

    @property
    def plan(self) -> Plan:
        """As it now is: settings may change while running."""
        ...

    def reconfigure(self, plan: Plan) -> None:
        """Go on with a changed plan: token budget, recomputation, precision, attention. What was learned so far stays."""
        ...

    def split(self, batch: Batch) -> tuple[Batch, Batch] | None:
        """The same examples in two smaller micro-batches; None for a single example."""
        ...

    def steps_per_epoch(self) -> int:
        """Optimiser updates in one epoch."""
        ...

    def steps(self, epoch: int, start: int = 0) -> Iterator[Sequence[Batch]]:
        """Updates of an epoch in their seeded order, from the `start`-th on; each is the micro-batches of one effective batch,
        none larger than the plan's token budget (but for a single example that is).
        """
        ...

    def leave_out(self, heldout_rows: Collection[int]) -> None:
        """Held-out examples (as a person counts them) that are never to be looked at or judged on again."""
        ...

    def heldout(self) -> Iterator[Batch]:
        """The held-out examples, always the same, in a fixed order."""
        ...

    def loss(self, batch: Batch) -> tuple[Tensor, int]:
        """Summed loss over the batch's targets (scalar, differentiable) and how many targets there are."""
        ...

    def optimizer(self) -> Any:
        """A torch optimiser over what is trained (parameter groups carry their own `lr` as a multiple of the plan's)."""
        ...

    def state(self) -> dict[str, Tensor]:
        """What is trained, by name: for checkpoints, best-so-far and rollback."""
        ...

    def load_state(self, state: dict[str, Tensor]) -> None: ...

    def verdict(self, note: Note, stop: Callable[[], bool]) -> Judgement:
        """Base against trained on the held-out examples, paired per row, in this process; stopped, it gives what it has."""
        ...

    def save(self, folder: Path) -> Artifact:
        """Write what was learned in the form others can load."""
        ...
