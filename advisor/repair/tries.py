"""Trying again: which failed runs are, within which bounds, and the story of the tries, each a run of its own.

Invariants: a run is tried again at most once, also with two apps open (one lock for a workspace, and the next try names the run it is of);
a chain has at most as many tries as the person allows; what the person stopped is never started again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from pydantic import Field, ValidationError

from loralab.core import disk
from loralab.core.errors import UserError
from loralab.core.events import RunView
from loralab.core.jobs import Job, Retry, TrainJob
from loralab.core.paths import write_atomic
from loralab.core.records import Record
from loralab.core.words import count, plural, times
from loralab.lab import Lab

RECENT_RUNS = 50  # runs at the end of the list among which a run of this app's time is looked for
LOCK_SECONDS = 5.0
FAILED = ("failed", "killed")


class Policy(Record):
    """What the advisor may do by itself in this workspace (advisor.json)."""

    retry: bool = True
    tries: int = Field(default=2, ge=0, le=2)  # of one failed run
    minutes: float = Field(default=120.0, gt=0, le=7 * 24 * 60)  # all tries of one run together, and how old a failure may be
    try_first: bool = False  # whether what would help is tried before it is told: a person said yes once
    try_minutes: float = Field(default=5.0, gt=0, le=24 * 60)  # all that is tried for one run together


class Told(Record):
    """One run of a chain as a story: what happened, on what evidence, what was changed for it, what came of it."""

    run: str
    state: str
    changed: str = ""  # before this run, and why; empty for the first
    happened: str = ""
    evidence: tuple[str, ...] = ()
    came_of_it: str = ""


def policy(home: Path) -> Policy:
    """What the person allows; the usual where nothing was said or the file is damaged."""
    try:
        return Policy.model_validate_json((home / "advisor.json").read_bytes())
    except (OSError, ValidationError):
        return Policy()


def allow(home: Path, changes: dict[str, Any]) -> Policy:
    """Change what the advisor may do by itself. Raises UserError for what is not possible."""
    try:
        now = Policy.model_validate(policy(home).model_dump() | changes)
    except ValidationError as error:
        raise UserError("That is not possible.", str(error.errors()[0]["msg"]), code="bad_setting") from error
    with disk.writing(home):
        write_atomic(home / "advisor.json", now.model_dump_json(indent=2))
    return now


# ---- chains ----------------------------------------------------------------------------------------------------------------


def try_of(job: Job) -> Retry | None:
    """What a run is the next try of; None for a run that a person began."""
    return job.origin if isinstance(job, TrainJob) and isinstance(job.origin, Retry) else None


def chain(lab: Lab, run: str) -> tuple[str, ...]:
    """The run a chain began with and every try after it, in order; `run` alone where nothing was tried again."""
    now = try_of(lab.job(run))
    first = now.first if now else run
    later = {found.of: name for name, found in _tries(lab, first)}
    names = [first]
    while names[-1] in later:
        names.append(later[names[-1]])
    return tuple(names) if run in names else (run,)


def _tries(lab: Lab, first: str) -> list[tuple[str, Retry]]:
    """Tries of the chain that began with `first`: they were made after it."""
    names = lab.names()
    after = names[names.index(first) + 1 :] if first in names else names
    found: list[tuple[str, Retry]] = []
    for name in after:
        try:
            one = try_of(lab.job(name))
        except UserError:  # a job file that cannot be read belongs to nobody's chain
            continue
        if one and one.first == first:
            found.append((name, one))
    return found


def may_be_tried(lab: Lab, run: str, allowed: Policy, *, asked: bool = False) -> str:
    """Empty where a run may be tried again, otherwise why not, in a sentence. What is `asked` for by a person has no bounds of number or
    time.
    """
    return next(_obstacles(lab, run, None if asked else allowed, time.time()), "")


def _obstacles(lab: Lab, run: str, allowed: Policy | None, now: float) -> Iterator[str]:
    view, job = lab.view(run), lab.job(run)
    if not isinstance(job, TrainJob) or view.state not in FAILED:
        yield "It did not fail."
    elif job.control:
        yield "A control run is not tried again: the way it ends is its answer."
    if allowed is None:
        if chain(lab, run)[-1] != run:
            yield "It has been tried again already."
        return
    if not allowed.retry or not allowed.tries:
        yield "Trying again automatically is switched off."
    if now - view.ended > 60 * allowed.minutes:  # before the chain is looked for: that reads the jobs of all later runs
        yield "It failed too long ago to be tried again without asking."
    names = chain(lab, run)
    if names[-1] != run:
        yield f"It has been tried again already: {names[-1]}."
    if len(names) - 1 >= allowed.tries:
        yield f"It was tried again {times(len(names) - 1)}, which is as often as you allow."
    if _spent(lab, names, now) >= 60 * allowed.minutes:
        yield f"The {count(allowed.minutes, 'minute')} you allow for trying again {plural(allowed.minutes, 'is', 'are')} over."


def _spent(lab: Lab, names: tuple[str, ...], now: float) -> float:
    """Seconds that the tries of a chain took so far; the first run is not one."""
    views = [lab.view(name) for name in names[1:]]
    return sum((view.ended or now) - view.started for view in views if view.started)


def begin(lab: Lab, run: str, why: Retry, plan: dict[str, Any], seconds: float) -> str:
    """Start the next try of a run; its id, or that of the try another app was faster with. It may take at most `seconds`."""
    try:
        with FileLock(lab.home / "tries.lock", timeout=LOCK_SECONDS):
            names = chain(lab, run)
            if names[-1] != run:
                return names[names.index(run) + 1]
            limit = min(filter(None, (float(plan.get("max_minutes") or 0), seconds / 60)))
            failed = lab.job(run)
            measures = failed.measures if isinstance(failed, TrainJob) else ()
            plan = plan | {"max_minutes": round(limit, 2)}
            return lab.begin(TrainJob(plan=plan, model=failed.model, measures=measures, origin=why))
    except Timeout as error:
        raise UserError("Another window is trying a run again right now.", "Wait a moment.", code="busy") from error


def left(lab: Lab, run: str, allowed: Policy) -> float:
    """Seconds that a next try may take."""
    return max(1.0, 60 * allowed.minutes - _spent(lab, chain(lab, run), time.time()))


def outcome_words(view: RunView, *, first: bool = False) -> str:
    """How a run ended, in one sentence; the `first` of a chain did not fail again."""
    if view.active:
        return f"It is at update {view.step:,}." if view.step else "It is starting." if not view.queued else "It is waiting for its turn."
    final = next((e for e in reversed(view.evaluations) if e.split == "final"), None)
    if view.state == "finished":
        return f"It finished. {final.words}" if final and final.words else "It finished."
    if view.state == "stopped":
        return "It was stopped."
    failed = "It failed" if first else "It failed again"
    return f"{failed}: {view.ending.what}" if view.ending and view.ending.what else f"{failed}."
