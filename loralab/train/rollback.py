"""The last good state of a run: what is trained and the optimiser's notes, kept in main memory to go back to.

Invariant: what is gone back to was followed by at least EVERY updates without a sign of trouble, or is the state the run began with.
Two copies are kept, the one to go back to and a younger one on probation. With AdamW that is six times the bytes of what is trained:
75 MB for a rank 16 adapter of 3 million weights, nothing against the model; where all weights learn it is much, and above a quarter of
the free memory no copies are kept and the best version so far, which the run holds anyway, is gone back to.
"""

from __future__ import annotations

from typing import Any

import psutil
from torch import Tensor

from loralab.train.state import GoodState, LastGood, Run

EVERY = 5  # updates in order between two copies, and before one counts as good: trouble shows within three (guard.PATIENCE)
SHARE = 0.25  # of the free main memory that copies may take


def begin(run: Run) -> LastGood:
    """The state a run begins with, where there is memory for it."""
    size = sum(tensor.nbytes for tensor in run.session.state().values())
    return LastGood(_now(run) if 6 * size <= SHARE * psutil.virtual_memory().available else None)


def confirm(run: Run) -> None:
    """An update without a sign of trouble was made: every so often the younger copy has proved itself, and a new one is taken."""
    kept = run.watch.last_good
    newest = kept and (kept.younger or kept.good)
    if kept and newest and run.progress.step - newest.step >= EVERY:
        kept.good, kept.younger = newest, _now(run)


def restore(run: Run, kept: LastGood) -> int:
    """Go back; the updates since then count as made. Returns the update whose state it is, -1 where there is none."""
    kept.younger = None
    state = kept.good
    if state is None and run.best is not None:
        state = GoodState(run.progress.best_step, run.best, None)
    if state is None:
        return -1
    run.session.load_state(state.weights)
    if state.notes is None:
        run.optimizer = run.session.optimizer()
    else:
        run.optimizer.load_state_dict(copied(state.notes))  # a copy: the optimiser goes on writing into what it is given
    run.optimizer.set_base(run.plan.learning_rate)
    return state.step


def _now(run: Run) -> GoodState:
    return GoodState(run.progress.step, copied(run.session.state()), copied(run.optimizer.state_dict()))


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
