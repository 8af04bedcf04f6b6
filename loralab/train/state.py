"""The moving parts of one training, and what those who guard it remember between two updates.

Whoever acts on a run imports this; it imports none of them. Invariants: the first reason a run ends for is kept; the plan is changed by
`Run.change` alone, which tells it.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any

from torch import Tensor

from loralab.core.errors import Problem
from loralab.core.events import Adjusted
from loralab.core.records import Plan
from loralab.runs.run_folder import RunFolder
from loralab.train import memory
from loralab.train.checkpoint import Progress
from loralab.train.clock import Clock
from loralab.train.data_parallel import Leader
from loralab.train.optim import factor, warmup_share
from loralab.train.sensors import Sensors
from loralab.train.session import Session

# settings whose change makes a new optimiser necessary
RELEARNED = frozenset({"learning_rate", "precision", "attention", "optimizer"})
ASKED = Problem(code="", what="Stopped as you asked. It can go on from here.")
HISTORY = 50  # updates remembered
QUIET = 10  # updates before the held-out examples are asked again after they said all is well; doubles each time


@dataclass
class GoodState:
    """What a run can go back to."""

    step: int
    weights: dict[str, Tensor]
    notes: dict[str, Any] | None  # the optimiser's; None: they start anew


@dataclass
class LastGood:
    """The state to go back to, and the younger one that is to replace it; neither where there is no memory for copies."""

    good: GoodState | None = None
    younger: GoodState | None = None


@dataclass
class Watch:
    """What the guard remembers between two updates. What must survive a resume is in Progress."""

    last_good: LastGood | None = None
    norms: deque[float] = field(default_factory=lambda: deque(maxlen=HISTORY))  # logarithms, of updates in order
    suspicion: list[tuple[float, bool]] = field(default_factory=list)  # losses from the first sign on, and which were signs
    broken: deque[int] = field(default_factory=deque)  # updates that were not finite though each of their examples is
    back: tuple[int, int] = (-1, -1)  # in which update it last went back, and to which
    empty: int = 0  # updates in a row without anything to learn from
    quiet_until: int = 0
    quiet: int = QUIET
    external_engine: bool = False  # another engine holds model and optimiser: nothing can be changed under it


@dataclass
class OomState:
    """What a run has learned about the memory it has. Costs are what is computed at once, see Batch."""

    last: int | None = None  # update in which memory last ran out
    fitted: int = 0  # the costliest example known to fit
    paces: list[tuple[float, float]] = field(default_factory=list)  # of the last updates, see train/windows_vram.py
    refused: set[str] = field(default_factory=set)  # savings that this model or machine cannot do
    evaluation_cost: int = 0  # most at once while evaluating, 0: whatever comes; never touches the training


@dataclass
class CheckpointState:
    """What a run knows about its checkpoints. Times by its clock."""

    last: float = 0.0  # when one was written, or the run began
    seconds: float = 0.0  # the last one took
    failed: float | None = None  # when the last try failed


@dataclass
class Run:
    """One training, passed between those who act on it."""

    session: Session
    plan: Plan  # as it now is
    folder: RunFolder
    optimizer: Any
    progress: Progress
    total_steps: int
    eval_every: int
    best: dict[str, Tensor] | None = None
    started: float = 0.0  # by its clock, when it began, had it never been interrupted
    why: str = ""  # reason for ending before the last step
    reason: Problem = ASKED  # the same in words, where it stopped or failed
    loaded: int = field(default_factory=memory.used)  # bytes held before the first update: the model, torch and the examples
    oom: OomState = field(default_factory=OomState)
    watch: Watch = field(default_factory=Watch)
    clock: Clock = field(default_factory=Clock)
    checkpoints: CheckpointState = field(default_factory=CheckpointState)
    sensors: Sensors = field(default_factory=Sensors)
    group: Leader | None = None  # the processes that learn with this one; None: it learns alone

    def end(self, why: str, reason: Problem = ASKED) -> None:
        """No update after this one. The first reason stays: what comes after it is no longer about the training."""
        if not self.why:
            self.why, self.reason = why, reason

    def change(self, reason: str, **settings: Any) -> None:
        """Go on with other settings: told as Adjusted events, so that a resume finds them again, and taken up by the session."""
        before, after = self.plan, self.plan.model_copy(update=settings)
        self.session.reconfigure(after)
        self.plan = after
        for name, value in settings.items():
            self.folder.emit(Adjusted(step=self.progress.step, setting=name, before=getattr(before, name), after=value, reason=reason))
        if RELEARNED & settings.keys():
            notes, self.optimizer = self.optimizer.state_dict(), self.session.optimizer()
            self.optimizer.load_state_dict(notes)
            self.optimizer.set_base(self.plan.learning_rate)
            self.optimizer.set_factor(self.rate_factor(self.progress.step))

    def rate_factor(self, step: int) -> float:
        """Share (0..1) of the plan's learning rate for the update after `step` updates; under a time limit it falls with the clock."""
        return factor(self.plan, self.fraction(step), warmup_share(self.plan, self.total_steps))

    def fraction(self, step: int) -> float:
        """Share (0..1) of the run that is behind it after `step` updates; under a time limit the clock may be ahead of them."""
        fraction = step / self.total_steps
        if self.plan.max_minutes:
            fraction = max(fraction, (self.clock.now() - self.started) / (60 * self.plan.max_minutes))
        return min(1.0, fraction)

    def keep_best(self) -> None:
        """What is trained, as it was just looked at, is the best seen so far."""
        with self.optimizer.averaged():
            self.best = {name: tensor.detach().clone() for name, tensor in self.session.state().items()}
