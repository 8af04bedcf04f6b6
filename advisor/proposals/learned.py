"""What the memory of all runs gives to the planner as data: where each setting did best, and which settings failed or are known to fit.

Runs on the same examples, alike in all but one setting, are a *sweep*: the setting's best value in it is one observation.

Invariants: a run that failed, was stopped, or learned from shuffled answers is no observation of a sweep; a failure counts only where more
of the same numbers makes it worse.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import Any

import numpy as np

from advisor.text import TEXT_TASKS
from loralab.core.facts import Facts
from loralab.lab import DISTINCT, SETTINGS, Lab, Limits, Memory, MemoryPoint, Point, Priors, Sweep, likeness, limit_points

MIN_DIFFERENCE = 0.003  # of the loss: a smaller difference between two runs is noise
MAX_RUNS = 500  # runs that are looked at
OUT_OF_MEMORY = ("out_of_memory", "killed_for_memory", "does_not_fit")
RAN_AWAY = ("diverged",)


def priors(lab: Lab, known: Limits) -> Priors:
    """All that past runs say about the next plan."""
    memories = [memory for memory in lab.history.memories.recent(MAX_RUNS) if memory.task in TEXT_TASKS]
    return Priors({setting: tuple(sweeps(memories, setting)) for setting in SETTINGS}, known)


def limits(lab: Lab) -> Limits:
    """What failed and what is known to fit, of all runs that are remembered."""
    memories = lab.history.memories
    return remembered([*memories.points("memory"), *memories.points("rate")])


def remembered(points_of_runs: Iterable[MemoryPoint]) -> Limits:
    """The limits that the memory of all runs gives. What a version of long ago cannot be read from says nothing."""
    return Limits(point for one in points_of_runs if (point := _from_memory(one)) is not None)


def _from_memory(one: MemoryPoint) -> Point | None:
    if not one.ok and one.code not in (OUT_OF_MEMORY if one.kind == "memory" else RAN_AWAY):
        return None  # numbers that were not finite are seldom about the size of the corrections
    if one.ok and one.kind == "memory" and one.epochs < 1:
        return None  # it may not have met its longest examples yet
    tokens = {"max": one.longest} if one.longest else {}
    facts = Facts(architecture=one.architecture, hidden=one.hidden, layers=one.layers, tokens=tokens, place=one.place, room=one.room)
    where = limit_points(one.settings | {"base_model": one.model}, facts, failed=not one.ok, at=(one.run, one.step, one.time))
    return where[0 if one.kind == "memory" else 1] if where else None


def sweeps(memories: Iterable[Memory], setting: str) -> list[Sweep]:
    """The observations that past runs make about a setting. The learning rate is the effective one: times the adapter's scale."""
    cells: defaultdict[tuple[Any, ...], list[Memory]] = defaultdict(list)
    for memory in memories:
        if memory.outcome == "finished" and not memory.control and memory.facts and memory.best_loss is not None and memory.steps:
            cells[_cell(memory, setting)].append(memory)
    found = [_sweep(setting, runs) for runs in cells.values()]
    return [sweep for sweep in found if sweep is not None]


def _cell(memory: Memory, setting: str) -> tuple[Any, ...]:
    """What runs of one sweep have in common: model, examples, their split, and the settings that move the loss but the one looked at."""
    asked = memory.settings
    common = {name: asked.get(name) for name in ("heldout_share", "seed", "targets", "max_length", "learn_from", "use_rslora", "optimizer")}
    common["adapter"] = asked.get("adapter") or ("dora" if asked.get("use_dora") else "lora")
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
        likeness(facts.parameters, runs[0].steps, float(runs[0].settings.get("effective_batch", 8))),
    )


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
    if len(values) < 2 or min(losses) > (1 - MIN_DIFFERENCE) * max(losses):
        return None
    best = values[int(np.argmin(losses))]
    if len(values) == 2:
        return best
    logs = np.log(values)
    curve = np.polyfit(logs, losses, 2)
    if curve[0] <= 0:  # it bends the wrong way: noise, or the optimum is outside
        return best
    return float(np.exp(np.clip(-curve[1] / (2 * curve[0]), logs[0], logs[-1])))
