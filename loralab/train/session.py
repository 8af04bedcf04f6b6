"""The contract between the one loop and a kind of training. What differs between text and pictures stands behind it.

Invariant: the loop counts costs and names rows; what a cost is of (tokens, pixels) and how it is made smaller only the session knows.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from torch import Tensor

from loralab.core.judgement import Judgement, Note
from loralab.core.records import Artifact, Plan, Sample


@dataclass
class Batch:
    """A micro-batch: what is computed at once. `tensors` are what the session's loss needs."""

    tensors: dict[str, Tensor]
    n_units: int  # what is really read, padding not counted
    n_targets: int  # what is learned from: positions, pictures
    rows: tuple[int, ...] = ()  # which examples these are, so that an incident can name them
    costs: tuple[int, ...] = ()  # of each row alone

    @property
    def cost(self) -> int:
        """What is computed at once: all rows are padded to the largest."""
        return len(self.costs) * self.largest

    @property
    def largest(self) -> int:
        """Cost of the costliest row."""
        return max(self.costs, default=0)


class Session(Protocol):
    """What a kind of training gives the loop. `loss` is a sum with its count: accumulated micro-batches equal one big batch exactly."""

    model: Any  # a torch module
    unit: str  # what costs are counted in, in words: tokens
    safe_rate: float  # highest learning rate to go on with after running away; inf: whatever is left of the plan's

    @property
    def plan(self) -> Plan:
        """As it now is: settings may change while running."""
        ...

    def reconfigure(self, plan: Plan) -> None:
        """Go on with a changed plan: cost at once, recomputation, precision, attention. What was learned so far stays."""
        ...

    def split(self, batch: Batch) -> tuple[Batch, Batch] | None:
        """The same examples in two smaller micro-batches; None for a single example."""
        ...

    @property
    def cost_limit(self) -> int:
        """Most cost at once under the plan as it is; 0 where only the number of rows bounds it."""
        ...

    def limit_cost(self, cost: int) -> dict[str, Any]:
        """Settings under which no micro-batch costs more than `cost`, but for a single example that does. The result stays the same."""
        ...

    def smaller_words(self, cost: int) -> str:
        """What a person can do so that no example costs more than `cost`, as the first half of a sentence."""
        ...

    def worst_batch(self, cost: int = 0) -> Batch | None:
        """The costliest micro-batch of an epoch, or one of at most `cost`; None where there is nothing to try out."""
        ...

    def predicted_bytes(self, batch: Batch, *, again: bool = False) -> float:
        """What a micro-batch will hold by the model's own measures; `again`: gradients of another are there already.

        Raises Unavailable, with the reason, where this model's cannot be told.
        """
        ...

    def steps_per_epoch(self) -> int:
        """Optimiser updates in one epoch."""
        ...

    def steps(self, epoch: int, start: int = 0) -> Iterator[Sequence[Batch]]:
        """Updates of an epoch in their seeded order, from the `start`-th on; each is the micro-batches of one effective batch,
        none costlier than the plan allows (but for a single example that is).
        """
        ...

    def leave_out(self, heldout_rows: Collection[int]) -> None:
        """Held-out examples (as a person counts them) that are never to be looked at or judged on again."""
        ...

    def starting_point(self) -> str:
        """A digest of all that decides what is seen before the first update (model, held-out examples, settings, machine, versions);
        empty where it cannot be told, and then it is always looked at.
        """
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

    def preview(self, most: int, stop: Callable[[], bool]) -> tuple[Sample, ...]:
        """The first few of the same held-out examples as they are answered now (`after`); stopped, those whose answer is whole.

        Nothing where this kind of training, or this run, has no answers worth watching.
        """
        ...

    def save(self, folder: Path) -> Artifact:
        """Write what was learned in the form others can load."""
        ...


@runtime_checkable
class Growing(Protocol):
    """A session whose trained tensors may change their shapes as a run goes on."""

    def grow(self, step: int, fraction: float, total: int, optimizer: Any) -> None:
        """Before the update after `step` of `total`, with `fraction` (0..1) of the run behind it: take the shapes that are due.

        What is decided follows from weights, notes and step alone, so that a resumed run decides alike; tensors stay the same objects, and
        `optimizer` is left with notes of their new shapes. `load_state` takes a state of any earlier shape.
        """
        ...


def accumulate(session: Session, micro_batches: Iterable[Batch]) -> tuple[float, int]:
    """Add the gradient of the summed loss over all of `micro_batches` to what is trained: (that loss, number of targets)."""
    total, count = 0.0, 0
    for batch in micro_batches:
        loss, n = session.loss(batch)
        loss.backward()
        total += loss.item()
        count += n
    return total, count
