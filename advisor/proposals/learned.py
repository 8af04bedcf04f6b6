"""Owns what past runs of this machine say about a setting: their optimum, how far it is to be believed, and whether it is at all.

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
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np

from loralab.core.records import Record
from loralab.history.record import Memory

PRIOR_WEIGHT = 2.0  # sweeps: as many of one's own as weigh as much as what is published
FAR = 5.0  # times the prior, up or down: as far as history may go
ALIKE = 0.1  # kernel below which a sweep says nothing about a plan
WIDTH = math.log(4)  # of the kernel: four times the size, the updates or the batch is one deviation
DISTINCT = 1.25  # times: values closer than this are the same
TELLS = 0.003  # of the loss: a smaller difference between two runs is noise
SETTINGS = ("learning_rate", "rank", "effective_batch", "epochs")


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


Prior = Callable[[Sweep], float]  # what would have been proposed for a sweep's model and examples without any history


def sweeps(memories: Iterable[Memory], setting: str) -> list[Sweep]:
    """The observations that past runs make about a setting. The learning rate is the effective one: times the adapter's scale."""
    cells: defaultdict[tuple[Any, ...], list[Memory]] = defaultdict(list)
    for memory in memories:
        if memory.outcome == "finished" and not memory.control and memory.facts and memory.best_loss is not None and memory.steps:
            cells[_cell(memory, setting)].append(memory)
    found = [_sweep(setting, runs) for runs in cells.values()]
    return [sweep for sweep in found if sweep is not None]


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


def _cell(memory: Memory, setting: str) -> tuple[Any, ...]:
    """What runs of one sweep have in common: model, examples, their split, and the settings that move the loss but the one looked at."""
    asked = memory.settings
    common = {name: asked.get(name) for name in ("heldout_share", "seed", "targets", "max_length", "learn_from", "use_dora", "use_rslora")}
    if setting != "learning_rate":
        common["rate"] = round(math.log2(memory.rate), 1) if memory.rate > 0 else None
    if setting != "epochs":
        common["updates"] = round(math.log2(memory.steps))
    for other in ("rank", "effective_batch"):
        if other != setting:
            common[other] = asked.get(other)
    return memory.model, memory.facts.data if memory.facts else "", *sorted((name, str(value)) for name, value in common.items())


def value_of(memory: Memory, setting: str) -> float:
    """A run's value of a setting as it is compared: the effective rate; the rounds after which it was best."""
    if setting == "learning_rate":
        return memory.rate
    if setting == "epochs":
        return memory.epochs * memory.best_step / memory.steps if memory.steps else 0.0
    return float(memory.settings.get(setting, 0.0))


def _sweep(setting: str, runs: list[Memory]) -> Sweep | None:
    facts = runs[0].facts
    best = _rounds(runs) if setting == "epochs" else _optimum([(value_of(run, setting), run.best_loss or math.nan) for run in runs])
    if facts is None or best is None or best <= 0:
        return None
    return Sweep(
        setting,
        best,
        tuple(run.run for run in runs),
        runs[0].model,
        facts.data,
        facts.architecture,
        describe(facts.parameters, runs[0].steps, float(runs[0].settings.get("effective_batch", 8))),
    )


def describe(parameters: int, steps: int, batch: float) -> tuple[float, ...]:
    """What sweeps and plans are compared by."""
    return tuple(math.log(max(value, 1.0)) for value in (parameters, steps, batch))


def _rounds(runs: Sequence[Memory]) -> float | None:
    """Rounds after which it was best. A run that was best at its very end says only that it needs at least as many."""
    turned = [value_of(run, "epochs") for run in runs if run.best_step < run.steps]
    return fmean(turned) if turned else None


def _optimum(points: Sequence[tuple[float, float]]) -> float | None:
    """Where the loss is lowest: a parabola in the logarithm through three values or more, kept within them; the better of two."""
    by_value: dict[float, float] = {}
    for value, loss in sorted(points):
        near = next((known for known in by_value if value / known < DISTINCT), None) if value > 0 else None
        if near is not None:
            by_value[near] = min(by_value[near], loss)
        elif value > 0:
            by_value[value] = loss
    values, losses = list(by_value), list(by_value.values())
    if len(values) < 2 or min(losses) > (1 - TELLS) * max(losses):
        return None
    best = values[int(np.argmin(losses))]
    if len(values) == 2:
        return best
    logs = np.log(values)
    curve = np.polyfit(logs, losses, 2)
    if curve[0] <= 0:  # it bends the wrong way: noise, or the optimum is outside
        return best
    return float(np.exp(np.clip(-curve[1] / (2 * curve[0]), logs[0], logs[-1])))


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
