"""Owns the three parts of a run (prepare, learn, test): how long each takes, how far it is, and the time left over all of them.

Invariant: how wide each part is drawn is settled before the run's first update, so that what is shown only grows.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import Literal

from loralab.core.events import RunView
from loralab.core.records import Record

PREPARE_SECONDS = 20.0  # where no run here has shown it: loading a small model and a first look
TEST_SHARE, TEST_LEAST = 0.5, 30.0  # likewise: of the learning, and seconds
LEARN_SECONDS = 180.0  # where nothing is foretold
NARROWEST = 0.06  # of the bar: a part that is there is seen
NEARLY = 0.95  # of a part whose end is only expected
LAST_RUNS = 5  # machines and settings change, so old runs count no more

Part = Literal["prepare", "learn", "test"]


class Expected(Record):
    """Seconds that each part of a run is expected to take, and the speed the last runs had while they were measured."""

    prepare: float
    learn: float
    test: float
    tokens_per_second: float = 0.0

    @property
    def shares(self) -> tuple[float, float, float]:
        """How much of the bar each part is."""
        whole = self.prepare + self.learn + self.test
        wide = [max(NARROWEST, seconds / whole) for seconds in (self.prepare, self.learn, self.test)]
        return wide[0] / sum(wide), wide[1] / sum(wide), wide[2] / sum(wide)


class RunParts(Record):
    """Where a run stands: the part it is in, how much of each is done (0..1), and the seconds left over all of them."""

    part: Part
    done: tuple[float, float, float]
    seconds_left: float | None


def expected(learn: float | None, heldout: int, earlier: Sequence[RunView]) -> Expected:
    """From the plan's own estimate of the learning, and from what the last runs with this model needed for the rest."""
    known = [view for view in earlier if _tested(view)][:LAST_RUNS]
    learning = learn or LEARN_SECONDS
    if not known:
        return Expected(prepare=PREPARE_SECONDS, learn=learning, test=max(TEST_LEAST, TEST_SHARE * learning))
    per_example = median((view.ended - view.steps[-1].time) / _heldout(view) for view in known)
    return Expected(
        prepare=median(view.steps[0].time - view.started for view in known),
        learn=learning,
        test=per_example * (heldout or _heldout(known[0])),
        tokens_per_second=median(_speed(view) for view in known),
    )


def run_parts(view: RunView, foretold: Expected, now: float) -> RunParts:
    """How far a run is. Learning is counted in updates, the rest in seconds of what is expected."""
    if not view.active:
        whole = view.state == "finished"
        learned = 1.0 if whole else view.step / view.total_steps if view.total_steps else 0.0
        done = (1.0 if whole or view.steps else 0.0, learned, 1.0 if whole else 0.0)
        return RunParts(part="test" if whole else "learn", done=done, seconds_left=None)
    if not view.steps:
        spent = now - view.started if view.started else 0.0
        left = max(0.0, foretold.prepare - spent) + foretold.learn + foretold.test
        return RunParts(part="prepare", done=(_waited(spent, foretold.prepare), 0.0, 0.0), seconds_left=left if view.started else None)
    test = foretold.test * _slower(view, foretold)
    last = view.steps[-1].time
    if _learning(view):
        left = view.seconds_left - (now - last) if view.phase == "training" and view.seconds_left else _at_this_pace(view)
        return RunParts(part="learn", done=(1.0, view.step / max(view.total_steps, view.step, 1), 0.0), seconds_left=max(0.0, left) + test)
    return RunParts(part="test", done=(1.0, 1.0, _waited(now - last, test)), seconds_left=max(0.0, test - (now - last)))


def _learning(view: RunView) -> bool:
    """Whether more updates come."""
    ended_early = any(note.code == "ended_early" and note.time >= view.steps[-1].time for note in view.notes)
    return view.step < view.total_steps and not ended_early


def _at_this_pace(view: RunView) -> float:
    """Seconds for the updates that are left, by those that were made; while it waits, saves or answers it says none itself."""
    times = [step.time for step in view.steps[-21:]]
    each = [after - before for before, after in pairwise(times)]
    return (view.total_steps - view.step) * (median(each) if each else 0.0)


def _waited(spent: float, whole: float) -> float:
    """The share of an expected time that has passed; what takes longer than expected comes ever nearer to its end."""
    if spent <= NEARLY * whole:
        return max(0.0, spent / whole)
    over = spent - NEARLY * whole
    return NEARLY + (1 - NEARLY) * over / (over + whole)


def _slower(view: RunView, foretold: Expected) -> float:
    """How many times slower this computer is now than it was when the last runs were tested."""
    speed = _speed(view)
    return min(4.0, max(0.25, foretold.tokens_per_second / speed)) if speed and foretold.tokens_per_second else 1.0


def _speed(view: RunView) -> float:
    return median(step.tokens_per_second for step in view.steps[-20:])


def _heldout(view: RunView) -> int:
    return max(1, view.measured.n_heldout if view.measured else 1)


def _tested(view: RunView) -> bool:
    """Whether a run went through all three parts in one go."""
    judged = any(look.split == "final" for look in view.evaluations)
    resumed = any(note.code == "resumed" for note in view.notes)
    return view.state == "finished" and bool(view.steps and view.started) and judged and not resumed
