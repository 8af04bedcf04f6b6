"""Owns what was planned against what ran: updates and rounds made, the best look, and what really ended a run.

A plan has up to four bounds (rounds, a limit on updates, a clock, patience), and a person or the system may end it first. A rule that read
the plan's rounds would tell of rounds that were never made, and its way out would set what bounds nothing. So rules ask here, and nothing
in `advisor/rules` reads those settings of a plan by itself.

Invariants: what ran is told by the log alone; a way out sets what really bounds the run, and lifts whatever else would end it before.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

from advisor.diagnosis.findings import Evidence, fact
from loralab.core.events import RunView
from loralab.core.facts import Facts
from loralab.core.records import Plan

Bound = Literal["", "rounds", "updates", "clock", "patience", "stopped", "failed", "killed"]  # empty: before a run, and while it goes on

MOST_EPOCHS = 1000.0  # a plan may have
MEAN_FACTOR = {"cosine": 0.5, "linear": 0.5, "wsd": 0.875}  # of the learning rate over a run (train/optim.py); else 1
SLOW_START = 0.1  # of the run: Google's tuning playbook, 5 to 10 %
LEAST_WARM_UPDATES, MOST_LENT_WARM_UP = 5, 0.2  # a warm-up is at least so many updates, where those are no more of the run (train/optim.py)


@dataclass(frozen=True)
class Course:
    """What a plan asks for and what came of it: `asked` as it was begun, `plan` as it now is."""

    asked: Plan
    plan: Plan
    facts: Facts | None = None
    view: RunView | None = None

    # ---- what was asked for --------------------------------------------------------------------------------------------
    @property
    def asked_rounds(self) -> float:
        """Rounds the plan names, whatever ends it before."""
        return float(self.asked.epochs)

    @property
    def limited(self) -> bool:
        """Whether updates or time are limited beside the rounds."""
        return bool(self.asked.max_steps or self.asked.max_minutes)

    @property
    def most_updates(self) -> int:
        """The limit on updates; 0 where there is none."""
        return self.asked.max_steps

    @property
    def limit_binds(self) -> bool:
        """Whether the limit on updates ends it before its rounds do."""
        return bool(self.asked.max_steps) and (not self._n or self.updates_planned(unlimited=True) > self.asked.max_steps)

    @property
    def minutes(self) -> float:
        """The limit on time; 0 where there is none."""
        return float(self.asked.max_minutes)

    def updates_planned(self, batch: int = 0, *, unlimited: bool = False) -> int:
        """Updates the plan makes with so many examples behind each; 0 where neither examples nor a limit are known."""
        asked = self.asked.model_copy(update={"max_steps": 0}) if unlimited else self.asked
        return asked.updates(self._each_round(batch)) if self._n else asked.max_steps

    @property
    def rounds_planned(self) -> float:
        """Rounds the plan comes to, its limit on updates counted; no more than it names."""
        if not (self._n and self.asked.max_steps):
            return self.asked_rounds
        return min(self.asked_rounds, self.asked.max_steps / self._each_round())

    # ---- what ran --------------------------------------------------------------------------------------------------------
    @cached_property
    def updates(self) -> int:
        """Updates made; 0 before a run."""
        return self.view.step if self.view else 0

    @cached_property
    def rounds(self) -> float:
        """Rounds made; before a run, those the plan comes to."""
        if self.view is None:
            return self.rounds_planned
        return self.rounds_at(self.updates)

    @cached_property
    def best_rounds(self) -> float:
        """Rounds by the best look at the held-out examples; NaN without one."""
        looks = [look for look in self.view.evaluations if look.split == "heldout" and math.isfinite(look.loss)] if self.view else []
        return self.rounds_at(min(looks, key=lambda look: look.loss).step) if looks else math.nan

    def rounds_at(self, step: int) -> float:
        """Rounds over the examples that were made by an update, as the log says; as the plan says where an old log does not."""
        told = next((one.epoch for one in reversed(self.view.steps) if one.step <= step and one.epoch), 0.0) if self.view else 0.0
        if told:
            return told
        if self._n:
            return step / self._each_round()
        total = self.view.total_steps if self.view else 0
        return self.asked_rounds * step / total if total else self.asked_rounds

    @cached_property
    def bound(self) -> Bound:
        """What really ended the run."""
        view = self.view
        if view is None or view.active:
            return ""
        if view.state != "finished":
            return view.state  # pyright: ignore[reportReturnType]  (stopped, failed or killed)
        if view.step < max(view.total_steps, self.updates_planned() if self.asked.max_minutes else 0):
            return "clock" if self.asked.max_minutes and not self._out_of_patience else "patience"
        return "updates" if self.limit_binds else "rounds"

    @property
    def _out_of_patience(self) -> bool:
        losses = [look.loss for look in self.view.evaluations if look.split == "heldout"] if self.view else []
        since = len(losses) - 1 - losses.index(min(losses)) if losses else 0
        return bool(self.asked.patience) and since >= self.asked.patience

    # ---- the beginning ---------------------------------------------------------------------------------------------------
    @property
    def warms_up(self) -> bool:
        """Whether the plan asks for a warm-up at all."""
        return self.asked.warmup > 0

    @property
    def warm_share(self) -> float:
        """Share of the whole plan that its warm-up takes, as it was asked for."""
        return float(self.asked.warmup)

    @cached_property
    def warm_updates(self) -> int:
        """Updates the warm-up takes, of those that were foreseen."""
        total = (self.view.total_steps if self.view else 0) or self.updates_planned()
        least = min(LEAST_WARM_UPDATES / total, MOST_LENT_WARM_UP) if total else 0.0
        return math.ceil(max(self.asked.warmup, least) * total) if self.asked.warmup else 0

    @cached_property
    def warm_part(self) -> float:
        """Share of the updates made (before a run: of those planned) that were warm-up; NaN where none are known."""
        made = self.updates if self.view and not self.view.active else self.updates_planned()
        return min(1.0, self.warm_updates / made) if made else math.nan

    # ---- ways out ----------------------------------------------------------------------------------------------------------
    def slow_start(self) -> dict[str, Any]:
        """A warm-up of a tenth of the run; one that is longer already stays."""
        return {"warmup": max(self.plan.warmup, SLOW_START)}

    def go_over(self, rounds: float) -> dict[str, Any]:
        """Settings under which a run makes so many rounds; a limit on updates, and patience that ended it, are lifted."""
        lifted: dict[str, Any] = {"max_steps": 0} if self.asked.max_steps else {}
        lifted |= {"patience": 0} if self.bound == "patience" and rounds > self.rounds else {}
        return {"epochs": min(MOST_EPOCHS, rounds), **lifted}

    def unlimited(self) -> dict[str, Any]:
        """Settings under which rounds alone, or patience, end it."""
        return {"max_steps": 0, "max_minutes": 0.0}

    def enough_rounds(self) -> float:
        """Rounds that move the model as far as it had moved by its best look, in tenths, at least one.

        A run that is planned shorter slows down sooner. So not the rounds by then are what is needed, but as many as have the same sum of
        learning rates: twice as many where the whole run was far longer and falls like a cosine.
        """
        rounds = self.best_rounds
        if math.isnan(rounds) or self.view is None:
            return self.fewer()
        best = min((e for e in self.view.evaluations if e.split == "heldout" and math.isfinite(e.loss)), key=lambda e: e.loss).step
        full = sum(one.learning_rate for one in self.view.steps if one.step <= best) / self.asked.learning_rate
        needed = full / MEAN_FACTOR.get(self.asked.schedule, 1.0)
        return max(1.0, round(rounds * max(1.0, needed / max(1, best)), 1))

    def fewer(self, share: float = 0.5) -> float:
        """A share of the rounds that were made, at least one, in tenths."""
        return max(1.0, round(self.rounds * share, 1))

    def longer(self, times: float = 2.0) -> dict[str, Any]:
        """Settings under which it trains so many times as long: what ended it is raised, and what would end it before that."""
        match self.bound:
            case "updates":
                return self.make(round(times * self.most_updates))
            case "clock":
                rounds = self._enough_rounds(times * self.rounds)
                return {"max_minutes": times * self.minutes, **rounds}
            case _:
                return {"epochs": min(MOST_EPOCHS, max(float(self.plan.epochs), round(times * self.rounds, 1))), **self._no_limit(times)}

    def make(self, updates: int) -> dict[str, Any]:
        """Settings under which a plan with a limit makes so many updates: the limit, and the rounds where those would end it before."""
        return {"max_steps": updates, **(self._enough_rounds(updates / self._each_round()) if self._n and self.asked.max_steps else {})}

    def _no_limit(self, times: float) -> dict[str, Any]:
        """A limit on updates, put higher where so much more would meet it."""
        limit = self.asked.max_steps
        return {"max_steps": round(times * limit)} if limit and limit < times * max(self.updates, self.updates_planned()) else {}

    def _enough_rounds(self, rounds: float) -> dict[str, Any]:
        needed = math.ceil(round(rounds, 6))
        return {"epochs": min(float(needed), MOST_EPOCHS)} if needed > self.plan.epochs else {}

    # ---- as evidence -------------------------------------------------------------------------------------------------------
    def told_rounds(self, what: str = "examples") -> Evidence:
        """Rounds that were made (before a run: planned) as a fact."""
        return fact(f"rounds over the {what}", float(f"{self.rounds:.3g}"))

    # ---- counting ----------------------------------------------------------------------------------------------------------
    @property
    def _n(self) -> int:
        return self.facts.n_train if self.facts else 0

    def _each_round(self, batch: int = 0) -> int:
        """Updates of a round."""
        return max(1, math.ceil(self._n / (batch or self.asked.effective_batch)))
