"""Owns what earlier runs of the same model on the same examples came to, as facts that rules, planner and story cite.

Invariants: pure; only runs that came to their end and were measured are compared, and only where they are alike in every other setting that
moves the loss; a difference within MIN_DIFFERENCE is noise and told as none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from loralab.core.records import Record

ALIKE = (
    *("learning_rate", "epochs", "effective_batch", "max_steps", "rank", "alpha", "targets", "learn_from", "max_length"),
    *("warmup", "dropout", "weight_decay", "schedule", "max_grad_norm", "optimizer", "adapter"),
    *("image_size", "augmentation", "class_weights", "probe_rounds"),  # of pictures
)
UNBOUNDED = ("token_budget", "max_steps", "max_minutes")  # settings of which 0 means: as much as there is
SAME_SHARE = 0.02  # by which two settings may differ and count as the same
MIN_DIFFERENCE = 0.01  # of the loss: a smaller difference between two runs that differ in a setting is noise

WORDS = {  # setting: fewer or smaller, more or larger
    "epochs": ("fewer rounds", "more rounds"),
    "max_steps": ("fewer updates", "more updates"),
    "max_minutes": ("less time", "more time"),
    "learning_rate": ("a smaller learning rate", "a larger learning rate"),
    "effective_batch": ("fewer examples per update", "more examples per update"),
    "rank": ("a smaller rank", "a larger rank"),
    "dropout": ("less dropout", "more dropout"),
    "warmup": ("a shorter warm-up", "a longer warm-up"),
    "weight_decay": ("less weight decay", "more weight decay"),
}


class Tried(Record):
    """A setting that two runs of a lineage differ in alone, and what it did to the held-out loss."""

    run: str  # the earlier one
    setting: str
    there: Any  # in the earlier run
    here: Any
    loss_there: float
    loss_here: float

    @property
    def verdict(self) -> str:
        """What the step from there to here did: better, worse, or no different."""
        if abs(self.loss_here - self.loss_there) <= MIN_DIFFERENCE * max(abs(self.loss_there), abs(self.loss_here)):
            return "no different"
        return "better" if self.loss_here < self.loss_there else "worse"

    @property
    def words(self) -> str:
        """“We tried fewer rounds (4.2 instead of 10): worse. The held-out loss went from 0.127 to 1.157.”"""
        there, here = size(self.setting, self.there), size(self.setting, self.here)
        less, more = WORDS.get(self.setting, (f"another {self.setting.replace('_', ' ')}",) * 2)
        how = less if here < there else more
        values = f"{shown(self.setting, self.here)} instead of {shown(self.setting, self.there)}"
        went = "stayed near" if self.verdict == "no different" else f"went from {self.loss_there:.4g} to"
        return f"We tried {how} ({values}): {self.verdict}. The held-out loss {went} {self.loss_here:.4g}."


@dataclass(frozen=True)
class Earlier:
    """An earlier run of the lineage: how it was asked for, what came of it, and what the rules said was wrong."""

    run: str
    settings: Mapping[str, Any]
    loss: float = math.nan  # held-out, at the end or at best
    rounds: float = math.nan  # made
    ended: bool = False
    causes: Mapping[str, str] = field(default_factory=dict[str, str])  # alarms: rule -> its title


def tried(here: Earlier, others: Sequence[Earlier]) -> tuple[Tried, ...]:
    """What one setting alone did, against each earlier run that differs in it alone; the clearest first."""
    found: list[Tried] = []
    for one in others:
        if not (one.ended and here.ended and math.isfinite(one.loss) and math.isfinite(here.loss)):
            continue
        if len(names := differing(one.settings, here.settings)) == 1:
            name = names[0]
            found.append(
                Tried(
                    run=one.run,
                    setting=name,
                    there=one.settings.get(name),
                    here=here.settings.get(name),
                    loss_there=one.loss,
                    loss_here=here.loss,
                )
            )
    return tuple(sorted(found, key=lambda one: -abs(one.loss_here - one.loss_there)))


def differing(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """Settings that move the loss and that two runs do not have in common."""
    return [name for name in ALIKE if not same(name, one.get(name), other.get(name))]


def same(name: str, one: Any, other: Any) -> bool:
    """Whether two values of a setting count as the same."""
    a, b = size(name, one), size(name, other)
    if math.isinf(a) or math.isinf(b):  # no limit is no large limit
        return a == b
    return one == other or abs(a - b) <= SAME_SHARE * max(abs(a), abs(b))


def size(name: str, value: Any) -> float:
    """A setting as a number; NaN for what is none, infinity for “as much as there is”."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return math.nan
    return math.inf if name in UNBOUNDED and not value else float(value)


def shown(name: str, value: Any) -> str:
    """A value as it is told."""
    return "no limit" if math.isinf(size(name, value)) else f"{value:,.4g}" if isinstance(value, float) else f"{value}"


# ---- what a plan would repeat ------------------------------------------------------------------------------------------------
TOO_MUCH = frozenset({"overfitting", "learned_by_heart", "forgetting", "repeats_itself", "pictures_by_heart", "few_examples_many_rounds"})
TOO_LITTLE = frozenset({"few_updates", "undertrained", "rate_too_low", "still_getting_better", "hardly_trained", "never_ends"})
REACH = ("learning_rate", "epochs", "max_steps")  # settings of which more makes too much worse, and less too little
OTHERS = frozenset({"memory", "data", "environment", "template"})  # groups of causes that other settings of a plan do not lead out of


@dataclass(frozen=True)
class Repeated:
    """That a plan would do again what went wrong in an earlier run, and the run that did better, where one is known."""

    run: Earlier
    cause: str  # title
    better: Earlier | None = None

    def settings(self, plan: Mapping[str, Any]) -> dict[str, Any]:
        """What the better run had and the plan has not."""
        return {name: self.better.settings[name] for name in differing(plan, self.better.settings)} if self.better else {}


def repeated(plan: Mapping[str, Any], earlier: Sequence[Earlier]) -> Repeated | None:
    """The newest earlier run whose trouble a plan would repeat; None where there is none."""
    found = [(one, cause) for one in earlier if one.ended and (cause := _again(plan, one))]
    if not found:
        return None
    one, cause = found[-1]
    wrong = {other.run for other, _ in found}
    best = min((e for e in earlier if e.ended and math.isfinite(e.loss) and e.run not in wrong), key=lambda e: e.loss, default=None)
    return Repeated(one, cause, best if best and best.loss < (1 - MIN_DIFFERENCE) * one.loss else None)


def _again(plan: Mapping[str, Any], one: Earlier) -> str:
    """The title of the cause that a plan goes as far into as an earlier run; empty where there is none."""
    changed = differing(one.settings, plan)
    if not set(changed) <= set(REACH):
        return ""
    ways = {math.copysign(1.0, size(name, plan.get(name)) - size(name, one.settings.get(name))) for name in changed}
    for rule, title in one.causes.items():
        if not changed or (rule in TOO_MUCH and ways == {1.0}) or (rule in TOO_LITTLE and ways == {-1.0}):
            return title
    return ""
