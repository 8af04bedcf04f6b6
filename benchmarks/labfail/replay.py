"""Asks the advisor about every run of LabFail and says how often it is right.

    python -m benchmarks.labfail.replay [--part dev|heldout] [--rules-only] [--delay] [--each CAUSE]

Top-1: the first thing it says is a right answer (make/cause.py); alarms come first, and what only informs counts where nothing alarms.
Top-3: one of the first three is. A false alarm is any alarm in a healthy run. Before: the fault is named, or the plan refused, before the
first update.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from advisor.diagnosis.case import Case
from advisor.diagnosis.diagnose import diagnose
from advisor.diagnosis.findings import Diagnosis, Finding
from advisor.rules import rules
from benchmarks.labfail.make.causes import causes
from benchmarks.labfail.records import HEALTHY, RUNS, LabRun, corpus
from loralab.core.events import Ended, Incident, RunView, Stepped, adjusted, fold
from loralab.datasets.run_facts import Facts, noted
from loralab.tasks.text import TextPlan

Z = 1.96
NONE = "(none)"
FIRST = 3
LOOKS = 10  # moments of a run at which it is asked, for the delay
BROKEN = ("non_finite", "bad_row", "corrupt_weights")  # what incidents and endings say of numbers that are not finite


def wilson(right: int, n: int) -> str:
    """“93.0 % [89.5, 95.4]”: a share with its 95 % interval after Wilson."""
    if not n:
        return "-"
    p, low = right / n, Z * Z / n
    middle, half = (p + low / 2) / (1 + low), Z / (1 + low) * math.sqrt(p * (1 - p) / n + low / (4 * n))
    return f"{100 * p:.1f} % [{100 * max(0.0, middle - half):.1f}, {100 * min(1.0, middle + half):.1f}] of {n}"


def case_of(run: LabRun, view: RunView | None) -> Case:
    """What the advisor is told of a run: before it, when `view` is None."""
    asked = TextPlan.model_validate(run.plan)
    changes = view.adjustments if view else ()
    now = TextPlan.model_validate(adjusted(asked.model_dump(), changes))
    facts = Facts.model_validate(run.facts) if run.facts else noted(run.view)
    if view is None and facts:
        facts = facts.model_copy(update={"trainable": 0, "device": "", "parameters": 0})
    return Case(plan=now, asked=asked, facts=facts, profile=run.typed_profile, view=view, log=run.log if view else "")


def right(run: LabRun, finding: Finding | None) -> bool:
    """Whether a finding names the cause."""
    return finding is not None and bool({finding.id, finding.rule} & set(causes()[run.cause].rules))


@dataclass
class Answer:
    """What the advisor said of one run."""

    run: LabRun
    found: Diagnosis
    seconds: float
    before: bool = False  # it was named before the first update
    first: float | None = None  # share of its updates after which it was first named

    @property
    def first_said(self) -> Finding | None:
        """The likeliest cause; where nothing is an alarm, the first thing worth knowing."""
        return self.found.findings[0] if self.found.findings else None

    @property
    def top(self) -> bool:
        return right(self.run, self.first_said)

    @property
    def strict(self) -> bool:
        """The same with alarms alone."""
        return right(self.run, self.found.cause)

    @property
    def among(self) -> bool:
        return any(right(self.run, finding) for finding in self.found.findings[:FIRST])

    @property
    def said(self) -> str:
        return f"{self.first_said.id} {self.first_said.rule}" if self.first_said else NONE

    @property
    def named(self) -> str:
        """The class that was named: its own where that is right, else the first that has this answer."""
        if self.run.cause != HEALTHY and self.top:
            return self.run.cause
        if self.found.cause is None:
            return HEALTHY
        return _class_of(self.found.cause.id, self.found.cause.rule)


@cache
def _class_of(identity: str, rule: str) -> str:
    return next((cause.name for cause in causes().values() if cause.rules[0] in (identity, rule)), identity)


def ask(run: LabRun, *, delay: bool = False) -> Answer:
    """One run, at its end; and before it, where its fault can be known by then."""
    view = run.view
    begun = time.perf_counter()
    case = case_of(run, view)
    found = diagnose(case)
    answer = Answer(run, found, time.perf_counter() - begun)
    if run.cause != HEALTHY and causes()[run.cause].before:
        early = diagnose(case_of(run, None)).findings
        answer.before = any(right(run, finding) for finding in early) or (not view.steps and answer.among)
    if delay and run.cause != HEALTHY:
        answer.first = _first(run)
    return answer


def _first(run: LabRun) -> float | None:
    """Share of the updates after which the run is first told its cause, asked at some moments of it."""
    events = [event for event in run.told if not isinstance(event, Ended)]
    steps = [at for at, event in enumerate(events) if isinstance(event, Stepped)]
    for look in range(1, LOOKS + 1):
        upto = steps[math.ceil(look * len(steps) / LOOKS) - 1] + 1 if steps else len(events)
        view = fold("labfail", events[:upto])
        if any(right(run, finding) for finding in diagnose(case_of(run, view)).findings[:FIRST]):
            return look / LOOKS
    return None


def noticed(run: LabRun) -> int | None:
    """Updates from the first that was not finite to the first word about it; None where all were finite.

    A word is an incident, or the run's ending where that names the broken numbers: a damaged base model is no incident a run could deal
    with, it ends the run in that very update. What was said before, of other numbers, does not count.
    """
    broken = next(
        (event.step for event in run.told if isinstance(event, Stepped) and not math.isfinite(event.loss + event.grad_norm)), None
    )
    if broken is None:
        return None
    told = [event.step for event in run.told if isinstance(event, Incident | Ended) and event.code in BROKEN and event.step >= broken]
    return told[0] - broken if told else 10**6


# ---- the tables --------------------------------------------------------------------------------------------------------------


@dataclass
class Table:
    """Counts over answers."""

    answers: Sequence[Answer]

    def counts(self) -> list[str]:
        """The headline numbers."""
        failing = [a for a in self.answers if a.run.cause != HEALTHY]
        well = [a for a in self.answers if a.run.cause == HEALTHY]
        early = [a for a in failing if causes()[a.run.cause].before]
        nan = [delay for a in failing if (delay := noticed(a.run)) is not None]
        slow = sorted(a.seconds for a in self.answers)
        return [
            f"runs: {len(failing)} failing of {len({a.run.cause for a in failing})} causes, {len(well)} healthy",
            f"top-1: {wilson(sum(a.top for a in failing), len(failing))}",
            f"top-1 among alarms alone: {wilson(sum(a.strict for a in failing), len(failing))}",
            f"top-3: {wilson(sum(a.among for a in failing), len(failing))}",
            f"macro-F1: {macro_f1(self.answers):.3f}",
            f"false alarms: {wilson(sum(bool(a.found.alarms) for a in well), len(well))}",
            f"before the first update: {wilson(sum(a.before for a in early), len(early))}",
            f"not finite, noticed within one update: {wilson(sum(d <= 1 for d in nan), len(nan))}",
            f"answer: median {1000 * slow[len(slow) // 2]:.1f} ms, longest {1000 * slow[-1]:.1f} ms" if slow else "no runs",
        ]

    def classes(self) -> list[str]:
        """A row per cause."""
        groups: dict[str, list[Answer]] = defaultdict(list)
        for answer in self.answers:
            groups[answer.run.cause].append(answer)
        rows = ["| cause | runs | top-1 | top-3 | before | first named after | said instead |", "|---|--:|--:|--:|--:|--:|---|"]
        for name, answers in sorted(groups.items()):
            n = len(answers)
            if name == HEALTHY:
                wrong = Counter(a.said for a in answers if a.found.cause)
                rows.append(f"| {name} | {n} | - | - | - | - | {_common(wrong)} |")
                continue
            wrong = Counter(a.said for a in answers if not a.top)
            firsts = sorted(a.first for a in answers if a.first is not None)
            first = f"{firsts[len(firsts) // 2]:.0%}" if firsts else "-"
            before = f"{sum(a.before for a in answers)}" if causes()[name].before else "-"
            counts = (n, sum(a.top for a in answers), sum(a.among for a in answers), before, first)
            rows.append(f"| {name} | " + " | ".join(map(str, counts)) + f" | {_common(wrong)} |")
        return rows


def _common(counts: Counter[str]) -> str:
    return ", ".join(f"{name} x{n}" for name, n in counts.most_common(4))


def macro_f1(answers: Sequence[Answer]) -> float:
    """Mean over the causes (and healthy) of the harmonic mean of precision and recall."""
    names = {a.run.cause for a in answers}
    scores: list[float] = []
    for name in names:
        hit = sum(a.run.cause == name == a.named for a in answers)
        said, there = sum(a.named == name for a in answers), sum(a.run.cause == name for a in answers)
        scores.append(2 * hit / (said + there) if said + there else 0.0)
    return sum(scores) / len(scores) if scores else 0.0


def say(lines: Iterable[str]) -> None:
    """Lines of the result."""
    sys.stdout.write("\n".join(lines) + "\n")


def main() -> None:
    """See the module."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--part", choices=("dev", "heldout"))
    parser.add_argument("--each", default="", help="show every answer about this cause")
    parser.add_argument("--delay", action="store_true")
    parser.add_argument("--rules-only", action="store_true", help="changes nothing: there are only rules")
    parser.add_argument("--runs", type=Path, default=RUNS)
    asked = parser.parse_args()
    rules()
    runs = [run for run in corpus(asked.runs) if not asked.part or run.part == asked.part]
    chosen = [run for run in runs if asked.each in ("", run.cause)]
    answers = [ask(run, delay=asked.delay) for run in chosen]
    if asked.each:
        say(map(_line, answers))
        return
    say([*Table(answers).counts(), "", *Table(answers).classes()])


def _line(answer: Answer) -> str:
    told = ", ".join(f"{f.id} {f.rule} {f.confidence:.2f}{'' if f.alarm else ' (info)'}" for f in answer.found.findings[:6])
    mark = "ok " if answer.run.cause != HEALTHY and answer.top else "   "
    return f"{mark}{answer.run.key} [{answer.run.part}] {answer.run.injected}: {told or NONE}"


if __name__ == "__main__":
    main()
