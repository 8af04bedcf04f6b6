"""The signals of a run: what its curves say, in numbers that rules share.

Invariants: computed from the event log alone; a signal that was not measured is NaN, never 0; no number here depends on a rule.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from loralab.core.events import Evaluated, Incident, RunView
from loralab.core.records import Score

Series = npt.NDArray[np.float64]

WINDOW_SHARE = 0.1  # of the run: what “the beginning” and “the end” of a curve mean
MIN_WINDOW = 3  # updates in such a window, at least
SHORT_WINDOW = 8  # updates that tell what is usual just before one
HISTORY_UPDATES, JUMP_DEVIATIONS = 20, 4.0  # updates that make a history of gradients, and how many deviations above it is a jump


class Signals:
    """What a run's curves say. Cheap to make; each signal is computed when it is asked for, once."""

    def __init__(self, view: RunView) -> None:
        self.view = view

    # ---- curves ----------------------------------------------------------------------------------------------------------
    @cached_property
    def steps(self) -> Series:
        return np.array([step.step for step in self.view.steps], float)

    @cached_property
    def losses(self) -> Series:
        """Loss per learned token of each update, raw: NaN and Inf are in it."""
        return np.array([step.loss for step in self.view.steps], float)

    @cached_property
    def norms(self) -> Series:
        """Length of each update's gradient before clipping."""
        return np.array([step.grad_norm for step in self.view.steps], float)

    @cached_property
    def looks(self) -> tuple[Evaluated, ...]:
        """Looks at the held-out examples during the run, in order; before it and the verdict are not among them."""
        return tuple(e for e in self.view.evaluations if e.split == "heldout")

    @cached_property
    def heldout(self) -> Series:
        return np.array([look.loss for look in self.looks], float)

    # ---- levels ----------------------------------------------------------------------------------------------------------
    @cached_property
    def base(self) -> float:
        """Held-out loss before the first update."""
        return next((e.loss for e in self.view.evaluations if e.split == "base"), math.nan)

    @cached_property
    def best(self) -> float:
        finite = self.heldout[np.isfinite(self.heldout)]
        return float(finite.min()) if len(finite) else math.nan

    @cached_property
    def worst(self) -> float:
        """The highest held-out loss of the run."""
        finite = self.heldout[np.isfinite(self.heldout)]
        return float(finite.max()) if len(finite) else math.nan

    @cached_property
    def best_step(self) -> int:
        at = [look.step for look in self.looks if look.loss == self.best]
        return at[0] if at else 0

    @cached_property
    def last(self) -> float:
        return float(self.heldout[-1]) if len(self.heldout) else math.nan

    @cached_property
    def first_loss(self) -> float:
        return _mean(self.losses[: self._window])

    @cached_property
    def last_loss(self) -> float:
        return _mean(self.losses[-self._window :]) if len(self.losses) else math.nan

    @property
    def _window(self) -> int:
        return max(MIN_WINDOW, round(WINDOW_SHARE * len(self.losses)))

    # ---- shapes ----------------------------------------------------------------------------------------------------------
    @cached_property
    def noise(self) -> float:
        """How much the loss jumps from one update to the next: a robust deviation, in nats."""
        jumps = np.diff(self.losses[np.isfinite(self.losses)])
        return float(1.4826 * np.median(np.abs(jumps - np.median(jumps))) / math.sqrt(2)) if len(jumps) else math.nan

    @cached_property
    def rises(self) -> int:
        """Looks in a row, up to the last, each worse than the one before."""
        count = 0
        for before, after in zip(self.heldout[-2::-1], self.heldout[:0:-1], strict=False):
            if not after > before:
                break
            count += 1
        return count

    @cached_property
    def since_best(self) -> int:
        """Looks after the best one."""
        return len(self.heldout) - 1 - int(np.nanargmin(self.heldout)) if np.isfinite(self.heldout).any() else 0

    @cached_property
    def train_slope(self) -> float:
        """Change of the smoothed training loss over the last third of the run, as a share of its level; negative is falling."""
        return _slope(self.losses)

    @cached_property
    def heldout_slope(self) -> float:
        return _slope(self.heldout)

    @cached_property
    def fall(self) -> float:
        """How much the held-out loss fell over the last third of the run, smoothed, as a share of where it began."""
        tail = self.heldout[-max(MIN_WINDOW, len(self.heldout) // 3) :]
        return -self.heldout_slope * _mean(tail) / abs(self.base) if self.base else math.nan

    @cached_property
    def gap(self) -> float:
        """Held-out loss minus training loss at the end, in nats."""
        return self.last - self.last_loss

    def clipped(self, limit: float) -> float:
        """Share of updates whose gradient was longer than `limit`; NaN without clipping or updates."""
        finite = self.norms[np.isfinite(self.norms)]
        return float((finite > limit).mean()) if limit > 0 and len(finite) else math.nan

    @cached_property
    def spikes(self) -> tuple[int, ...]:
        """Updates whose loss was twice what was usual just before, and whose neighbours after were not."""
        finite = np.isfinite(self.losses)
        losses, steps = self.losses[finite], self.steps[finite]
        if len(losses) < SHORT_WINDOW + MIN_WINDOW + 1:
            return ()
        usual = np.median(_windows(losses, SHORT_WINDOW)[: -MIN_WINDOW - 1], axis=1)  # of the updates before each
        after = np.median(_windows(losses, MIN_WINDOW)[SHORT_WINDOW + 1 :], axis=1)
        level = np.maximum(2 * usual, usual + max(0.5, 6 * self.noise))
        at = losses[SHORT_WINDOW:-MIN_WINDOW]
        return tuple(int(step) for step in steps[SHORT_WINDOW:-MIN_WINDOW][(at > level) & (after < level)])

    @cached_property
    def gain(self) -> float:
        """How much better the held-out examples became at best, in nats; negative where they only got worse."""
        return self.base - self.best

    @cached_property
    def reach(self) -> float:
        """The sum of all learning rates: about how far AdamW can have moved a single weight, whatever its gradients were."""
        return float(sum(step.learning_rate for step in self.view.steps))

    @cached_property
    def jumps(self) -> int:
        """Updates whose gradient was far longer than those before: a z of its logarithm above JUMP_DEVIATIONS, by median and MAD."""
        sound = self.norms[np.isfinite(self.norms) & (self.norms > 0)]
        if len(sound) <= HISTORY_UPDATES:
            return 0
        logs = np.log(sound)
        before = _windows(logs, HISTORY_UPDATES)[:-1]
        middle = np.median(before, axis=1)
        spread = np.maximum(1.4826 * np.median(np.abs(before - middle[:, None]), axis=1), 0.1)
        return int(np.sum((logs[HISTORY_UPDATES:] - middle) / spread > JUMP_DEVIATIONS))

    @cached_property
    def rebound(self) -> float:
        """How far the training loss ends above its own lowest level, in nats, both smoothed: near 0 where it only ever fell."""
        finite = self.losses[np.isfinite(self.losses)]
        width = self._window
        if len(finite) < 3 * width:
            return math.nan
        levels = np.mean(_windows(finite, width), axis=1)
        return float(levels[-1] - levels.min())

    @cached_property
    def overshoot(self) -> float:
        """How far the run was above its start at its worst, in nats: its training loss, smoothed, or its held-out loss; negative: never."""
        finite = self.losses[np.isfinite(self.losses)]
        highest = float(np.mean(_windows(finite, self._window), axis=1).max()) if len(finite) >= self._window else math.nan
        return float(np.fmax(highest, self.worst)) - self.base

    @cached_property
    def back(self) -> float:
        """Share of the run after which the smoothed training loss was last above the start: 0 where it never was."""
        finite = self.losses[np.isfinite(self.losses)]
        if len(finite) < self._window:
            return math.nan
        above = np.nonzero(np.mean(_windows(finite, self._window), axis=1) > self.base)[0]
        return float((above[-1] + 1) / (len(finite) - self._window + 1)) if len(above) else 0.0

    @cached_property
    def late(self) -> float:
        """Share of all that was gained by its end which the second half of the run brought; NaN where nothing was gained."""
        if not len(self.steps) or not self.base - self.last > 0:
            return math.nan
        at = [0.0, *(float(look.step) for look in self.looks)]
        middle = float(np.interp(self.steps[-1] / 2, at, [self.base, *self.heldout]))
        return (middle - self.last) / (self.base - self.last)

    def growth_before(self, step: int) -> float:
        """By how many times the gradient had grown in the updates just before `step`, over what was usual earlier; NaN where too few."""
        finite = [s.grad_norm for s in self.view.steps if s.step < step and math.isfinite(s.grad_norm) and s.grad_norm > 0]
        if len(finite) < 2 * MIN_WINDOW:
            return math.nan
        return float(max(finite[-MIN_WINDOW:]) / np.median(finite[:-MIN_WINDOW]))

    # ---- trouble ---------------------------------------------------------------------------------------------------------
    def incidents(self, *codes: str) -> tuple[Incident, ...]:
        """Incidents of these codes, in order."""
        return tuple(incident for incident in self.view.incidents if incident.code in codes)

    @property
    def code(self) -> str:
        """Code of the run's ending, empty where it ended well or has not."""
        return self.view.ending.code if self.view.ending else ""

    def changed(self, setting: str) -> tuple[Any, Any] | None:
        """What a setting was before it was first changed while running, and what it is now."""
        events = [event for event in self.view.adjustments if event.setting == setting]
        return (events[0].before, events[-1].after) if events else None

    # ---- verdict ---------------------------------------------------------------------------------------------------------
    @cached_property
    def final(self) -> Evaluated | None:
        return next((e for e in reversed(self.view.evaluations) if e.split == "final"), None)

    def score(self, name: str) -> Score | None:
        """A measure of the verdict by its name."""
        return next((score for score in self.final.scores if score.name == name), None) if self.final else None


def _windows(values: Series, width: int) -> Series:
    """All stretches of `width` values in order, one a row; nothing is copied."""
    return np.lib.stride_tricks.sliding_window_view(values, width)


def _mean(values: Series) -> float:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else math.nan


def _slope(values: Sequence[float] | Series) -> float:
    """Least squares over the last third, as change over that third relative to its mean. NaN with fewer than three values."""
    tail = np.asarray(values, float)[-max(MIN_WINDOW, len(values) // 3) :]
    tail = tail[np.isfinite(tail)]
    if len(tail) < MIN_WINDOW or not tail.mean():
        return math.nan
    slope = np.polyfit(np.arange(len(tail)), tail, 1)[0]
    return float(slope * (len(tail) - 1) / abs(tail.mean()))
