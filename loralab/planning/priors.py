"""What past runs of this machine say about a setting: how far their optimum is to be believed, and whether it is at all.

Runs on the same examples, alike in all but one setting, are a *sweep*: the setting's best value in it is one observation. The proposal is
the mean of prior and observations in the logarithm of the setting, log x = (w log prior + sum k_i log x_i) / (w + sum k_i): w is what the
prior weighs, k_i how alike a sweep is to the plan at hand (a Gaussian kernel in the logarithms of model size, updates and batch).

The prior is the planner's. For the learning rate it rests on Thinking Machines' public LoRA sweep (tinker-cookbook, Apache-2.0: 35 models,
548 runs): a constant 3e-4 at scale 1 is within 0.2 % of the best loss of a model on average, a plain average of one's own runs is worse
than a good prior, and 72 of the 80 runs that ran away had 3e-3 or more.

Invariants: history speaks only where, left out one by one, it would have predicted its own sweeps better than the prior; what it says stays
within FAR of the prior; a run that failed, was stopped, or learned from shuffled answers is no observation.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import Any, NamedTuple

from loralab.core.records import Record
from loralab.planning.limits import Limits

PRIOR_WEIGHT = 2.0  # sweeps: as many of one's own as weigh as much as what is published
FAR = 5.0  # times the prior, up or down: as far as history may go
ALIKE = 0.1  # kernel below which a sweep says nothing about a plan
WIDTH = math.log(4)  # of the kernel: four times the size, the updates or the batch is one deviation
DISTINCT = 1.25  # times: values closer than this are the same
SETTINGS = ("learning_rate", "rank", "effective_batch", "epochs")  # that history may move


class Sweep(NamedTuple):
    """One observation: where a setting was best on some examples, and what those runs were like."""

    setting: str
    best: float
    runs: tuple[str, ...]
    model: str
    data: str
    architecture: str
    like: tuple[float, ...]  # logarithms of model size, updates, examples behind an update


class Learned(Record):
    """What history proposes for one setting instead of the prior, and which runs it leans on."""

    setting: str
    value: float
    prior: float
    runs: tuple[str, ...]
    words: str


@dataclass(frozen=True)
class Priors:
    """What the memory of all runs gives to the planner: where settings did best, and what failed or is known to fit."""

    sweeps: Mapping[str, tuple[Sweep, ...]] = field(default_factory=dict[str, tuple[Sweep, ...]])  # by setting
    limits: Limits = field(default_factory=Limits)
    proven: Mapping[str, Any] = field(default_factory=dict[str, Any])  # settings that were best of a sweep on these very examples


Prior = Callable[[Sweep], float]  # what would have been proposed for a sweep's model and examples without any history


def learn(here: Sweep, prior: float, history: Sequence[Sweep], prior_of: Prior) -> Learned | None:
    """What history proposes for the plan that `here` describes (its `best` is not read); None where the prior is the better guess."""
    near = [(sweep, weight) for sweep in history if (weight := _alike(here, sweep)) >= ALIKE]
    if not near or not _believed(here, near, prior_of):
        return None
    value = min(max(_shrunk(prior, near), prior / FAR), prior * FAR)
    if max(value / prior, prior / value) < DISTINCT:
        return None
    runs = tuple(dict.fromkeys(run for sweep, _ in sorted(near, key=lambda pair: -pair[1]) for run in sweep.runs))
    return Learned(setting=here.setting, value=value, prior=prior, runs=runs, words=_words(here.setting, value, prior, runs))


def likeness(parameters: int, steps: int, batch: float) -> tuple[float, ...]:
    """What sweeps and plans are compared by."""
    return tuple(math.log(max(value, 1.0)) for value in (parameters, steps, batch))


def _alike(here: Sweep, there: Sweep) -> float:
    """How much a sweep says about a plan, 0..1: one for the same model, examples, updates and batch."""
    near = math.exp(-0.5 * sum(((a - b) / WIDTH) ** 2 for a, b in zip(here.like, there.like, strict=True)))
    family = 1.0 if here.model == there.model else 0.7 if here.architecture == there.architecture else 0.3
    return near * family * (1.0 if here.data == there.data else 0.7)


def _shrunk(prior: float, near: Sequence[tuple[Sweep, float]]) -> float:
    total = PRIOR_WEIGHT * math.log(prior) + sum(weight * math.log(sweep.best) for sweep, weight in near)
    return math.exp(total / (PRIOR_WEIGHT + sum(weight for _, weight in near)))


def _believed(here: Sweep, near: Sequence[tuple[Sweep, float]], prior_of: Prior) -> bool:
    """Whether history predicts its own sweeps better than the prior does. A single one is believed about itself only."""
    if len(near) == 1:
        return (near[0][0].model, near[0][0].data) == (here.model, here.data)
    off, off_prior = [], []
    for sweep, _ in near:
        others = [(other, weight) for other, _ in near if other is not sweep and (weight := _alike(sweep, other)) >= ALIKE]
        prior = prior_of(sweep)
        off.append(abs(math.log((_shrunk(prior, others) if others else prior) / sweep.best)))
        off_prior.append(abs(math.log(prior / sweep.best)))
    return fmean(off) < fmean(off_prior)


_NAMES = {
    "learning_rate": "learning rate",
    "rank": "rank",
    "effective_batch": "number of examples per update",
    "epochs": "number of rounds",
}


def _words(setting: str, value: float, prior: float, runs: Sequence[str]) -> str:
    way = "smaller" if value < prior else "larger"
    shown = ", ".join(runs[:3]) + (f" and {len(runs) - 3} more" if len(runs) > 3 else "")
    return f"A {way} {_NAMES[setting]} than usual did better in like runs on this computer ({shown})."
