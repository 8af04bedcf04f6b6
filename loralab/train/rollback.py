"""Owns the last good state of a run: what is trained and the optimiser's notes, kept in main memory to go back to.

Invariant: what is gone back to was followed by at least EVERY updates without a sign of trouble, or is the state the run began with.
Two copies are kept, the one to go back to and a younger one on probation. With AdamW that is six times the bytes of what is trained:
75 MB for a rank 16 adapter of 3 million weights, nothing against the model; where all weights learn it is much, and above a quarter of
the free memory no copies are kept and the best version so far, which the run holds anyway, is gone back to.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import psutil
from torch import Tensor

if TYPE_CHECKING:
    from loralab.train.loop import Run

EVERY = 5  # sound updates between two copies, and before one counts as good: trouble shows within three (guard.PATIENCE)
SHARE = 0.25  # of the free main memory that copies may take


@dataclass
class State:
    """What a run can go back to."""

    step: int
    weights: dict[str, Tensor]
    notes: dict[str, Any] | None  # the optimiser's; None: they start anew


class LastGood:
    """The state to go back to, and the younger one that is to replace it."""

    def __init__(self, run: Run) -> None:
        size = sum(tensor.nbytes for tensor in run.session.state().values())
        self.room = 6 * size <= SHARE * psutil.virtual_memory().available
        self.good: State | None = _now(run) if self.room else None
        self.younger: State | None = None

    def sound(self, run: Run) -> None:
        """An update without a sign of trouble was made: every so often the younger copy has proved itself, and a new one is taken."""
        newest = self.younger or self.good
        if self.room and newest and run.progress.step - newest.step >= EVERY:
            self.good, self.younger = newest, _now(run)

    def restore(self, run: Run) -> int:
        """Go back; the updates since then count as made. Returns the update whose state it is, -1 where there is none."""
        self.younger = None
        state = self.good
        if state is None and run.best is not None:
            state = State(run.progress.best_step, run.best, None)
        if state is None:
            return -1
        run.session.load_state(state.weights)
        if state.notes is None:
            run.optimizer = run.session.optimizer()
        else:
            run.optimizer.load_state_dict(copied(state.notes))  # a copy: the optimiser goes on writing into what it is given
        run.optimizer.set_base(run.plan.learning_rate)
        return state.step


def _now(run: Run) -> State:
    return State(run.progress.step, copied(run.session.state()), copied(run.optimizer.state_dict()))


def copied(value: Any) -> Any:
    """A deep copy in main memory: tensors are detached, and share nothing with what they were copied from."""
    match value:
        case Tensor():
            return value.detach().to("cpu", copy=True)
        case dict():
            return {key: copied(part) for key, part in value.items()}
        case list():
            return [copied(part) for part in value]
        case _:
            return value
