"""Owns what the other runs of a lineage say about the advice for one: the runs of one model on one file of examples, in order.

A way out that history refutes, or that changes nothing, is not offered, never one that undoes what was offered before, and none that goes
on in a direction that has just made it worse. What is
unsafe (memory, numbers that break, running away) may always be answered: then what was offered before in the other direction is withdrawn.

Invariants: pure, so that the same runs give the same advice; a finding keeps its words where all of its ways out are dropped; ways out that
change no setting are left alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from advisor.diagnosis.earlier import ALIKE, OTHERS, Earlier, differing, same, tried
from advisor.diagnosis.earlier import MIN_DIFFERENCE as MADE_WORSE
from advisor.diagnosis.earlier import size as _size
from advisor.diagnosis.findings import Diagnosis, Finding, Fix

MIN_DIFFERENCE = 0.003  # of the loss: a smaller difference between two runs is noise (as in advisor/proposals/learned.py)
UNSAFE = ("memory", "non-finite", "instability")


class Move(NamedTuple):
    """One setting that a way out would change."""

    setting: str
    before: Any
    after: Any

    @property
    def direction(self) -> float:
        """Up or down; 0 for what is no number."""
        one, other = _size(self.setting, self.before), _size(self.setting, self.after)
        return math.copysign(1.0, other - one) if other != one and not math.isnan(one + other) else 0.0

    def undoes(self, other: Move) -> bool:
        """Whether it goes the other way."""
        if self.setting != other.setting:
            return False
        if self.direction and other.direction:
            return self.direction != other.direction
        return self.after == other.before and self.before == other.after

    def reached_by(self, settings: Mapping[str, Any]) -> bool:
        """Whether these settings lie at or beyond where it leads."""
        value = settings.get(self.setting)
        if not self.direction:
            return value == self.after
        return self.direction * (_size(self.setting, value) - _size(self.setting, self.after)) >= 0


@dataclass(frozen=True)
class Step:
    """A run of the lineage, or the plan for the next one: how it was asked for, what came of it, what the rules found."""

    settings: Mapping[str, Any]
    found: Diagnosis
    loss: float = math.nan  # held-out, at the end or at best; NaN where there is none
    ended: bool = False  # it came to an end by itself, well
    run: str = ""
    rounds: float = math.nan  # over the examples, made

    @property
    def rules(self) -> frozenset[str]:
        return frozenset(finding.rule for finding in self.found.findings)


def advised(steps: Sequence[Step]) -> list[Diagnosis]:
    """What is said of each step today: what was offered when it was the newest, without what later runs have answered."""
    then: list[Diagnosis] = []
    offered: list[Move] = []
    for at, step in enumerate(steps):
        said = _kept(step, offered, steps[:at])
        past = tried(earlier_of(step), [earlier_of(one) for one in steps[:at]])
        then.append(said.model_copy(update={"tried": past}))
        offered += [move for finding in said.findings for move in _button(finding, step)]
    today: list[Diagnosis] = []
    unsafe: list[Move] = []
    for at in reversed(range(len(steps))):
        step = steps[at]
        said = _standing(then[at], step, steps[at + 1 :], unsafe)
        today.append(said)
        unsafe += [move for finding in said.findings if _is_unsafe(finding) for move in _button(finding, step)]
    return today[::-1]


def _kept(step: Step, offered: Sequence[Move], earlier: Sequence[Step]) -> Diagnosis:
    """What is offered about the newest step: the likeliest cause first, and nothing after it that undoes what it offers."""
    now: list[Move] = []

    def fits(fix: Fix, finding: Finding) -> bool:
        moves = _moves(fix, step)
        if fix.settings and not moves:  # it is so already
            return False
        before = now if _is_unsafe(finding) else [*offered, *now]
        if any(move.undoes(other) for move in moves for other in before):
            return False
        if moves and not _is_unsafe(finding) and any(_made_worse(one, moves, step) for one in earlier):
            return False
        return not moves or not any(_refutes(one, finding, moves, step, earlier) for one in earlier)

    found: list[Finding] = []
    for finding in step.found.findings:
        left = finding.model_copy(update={"fixes": tuple(fix for fix in finding.fixes if fits(fix, finding))})
        found.append(left)
        now += _button(left, step)
    return step.found.model_copy(update={"findings": tuple(found)})


def _standing(found: Diagnosis, step: Step, later: Sequence[Step], unsafe: Sequence[Move]) -> Diagnosis:
    """What still holds of what was offered about a step. Where its button does not, no other takes its place: it was answered."""
    findings: list[Finding] = []
    for finding in found.findings:
        left = tuple(fix for fix in finding.fixes if not _withdrawn(fix, step, later, unsafe))
        findings.append(finding.model_copy(update={"fixes": left if left[:1] == finding.fixes[:1] else ()}))
    return found.model_copy(update={"findings": tuple(findings)})


def _withdrawn(fix: Fix, step: Step, later: Sequence[Step], unsafe: Sequence[Move]) -> bool:
    """Whether a later run tried it, or ended in trouble that asks for the opposite."""
    moves = _moves(fix, step)
    return any(move.undoes(other) for move in moves for other in unsafe) or any(_tried(one, moves, step) for one in later)


def _refutes(one: Step, finding: Finding, moves: Sequence[Move], step: Step, earlier: Sequence[Step]) -> bool:
    """Whether an earlier run tried it and was no better, or had the same trouble."""
    if not _tried(one, moves, step):
        return False
    if finding.rule in one.rules or not one.ended:
        return True
    now = step.loss
    if math.isnan(now):  # a plan: what runs like it came to
        now = min((e.loss for e in earlier if e.ended and _alike(e.settings, step.settings, ())), default=math.nan)
    return not math.isnan(now) and not one.loss < (1 - MIN_DIFFERENCE) * now


def _made_worse(one: Step, moves: Sequence[Move], step: Step) -> bool:
    """Whether the way from an earlier run to this step went in the same direction, and made it worse."""
    changed = differing(one.settings, step.settings)
    ways = {move.setting: move for move in moves}
    if not changed or not ways.keys() >= set(changed) or not (one.ended and step.ended):
        return False
    if any(Move(name, one.settings.get(name), step.settings.get(name)).direction != ways[name].direction for name in changed):
        return False
    return step.loss > (1 + MADE_WORSE) * one.loss and all(ways[name].direction for name in changed)


def earlier_of(step: Step) -> Earlier:
    """A step as what it is to those after it."""
    causes = {finding.rule: finding.title for finding in step.found.alarms if finding.group not in OTHERS}
    return Earlier(step.run, step.settings, step.loss, step.rounds, step.ended, causes)


def _tried(one: Step, moves: Sequence[Move], step: Step) -> bool:
    """Whether a run did what a way out asks for, with everything else as it is."""
    changed = [move.setting for move in moves]
    return bool(moves) and all(move.reached_by(one.settings) for move in moves) and _alike(one.settings, step.settings, changed)


def _alike(one: Mapping[str, Any], other: Mapping[str, Any], but: Iterable[str]) -> bool:
    return all(same(name, one.get(name), other.get(name)) for name in ALIKE if name not in but)


def _button(finding: Finding, step: Step) -> list[Move]:
    """What the button of a finding would change."""
    return list(_moves(finding.fixes[0], step)) if finding.fixes else []


def _moves(fix: Fix, step: Step) -> tuple[Move, ...]:
    found: Iterator[Move] = (Move(name, step.settings.get(name), value) for name, value in fix.settings.items())
    return tuple(move for move in found if not same(move.setting, move.before, move.after))


def _is_unsafe(finding: Finding) -> bool:
    return finding.group in UNSAFE and finding.alarm
