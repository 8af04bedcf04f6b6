"""Owns what one window is told: its run, the curve, the list of runs, what the advisor began; each only when it is new.

Invariant: all of it is derived from the lab, in a thread; a person sees markup drawn here, which the page's script puts in place.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

from loralab.core.errors import LabError
from loralab.core.events import RunView
from loralab.core.jobs import Job, TrainJob, Trial
from loralab.core.paths import room
from loralab.core.records import Record
from loralab.lab import Expected, Lab, QueueEntry, expected, run_parts
from ui.live.tending import Tending
from ui.runs.run_names import run_title
from ui.runs.runlist import runs_html
from ui.runs.work import DOING
from ui.tabs.evaluate.trying import work_line
from ui.tabs.train.curve import Curve, curve, points
from ui.tabs.train.view import regions

ACTIVE = ("waiting", "running")
LOOKED_AT = 15  # earlier runs: some were stopped, and tell nothing
LIST_EVERY = 2.0  # seconds in which the list is read again, for all windows together
Point = tuple[int, float]


class Bar(Record):
    """The three parts of a run: how much of the bar each is, and how much of it is done."""

    shares: tuple[float, float, float]
    done: tuple[float, float, float]
    active: bool


class Told(Record):
    """What is new. A field that is None is as it was."""

    born: str  # of this app: another one knows nothing of the page
    run: str
    moment: str | None = None  # changes when the run begins or ends
    known: str | None = None  # changes when the advisor may have something new to say
    regions: dict[str, str] | None = None  # places on the page -> what is in them now
    bar: Bar | None = None
    curve: Curve | None = None
    points: tuple[Point, ...] | None = None  # of the learning, after those the window has
    anew: bool | None = None  # the points begin again
    runs: str | None = None
    work: str | None = None  # changes when a measuring or an export of the run begins or ends
    news: str | None = None
    working: bool | None = None  # whether anything goes on without the app
    next: str | None = None  # the run that goes on from this one


@dataclass
class Watched:
    """What all windows share, so that it is looked at once."""

    lab: Lab
    tending: Tending
    born: str = field(default_factory=lambda: str(time.time_ns()))
    _rows: tuple[list[dict[str, Any]], tuple[QueueEntry, ...]] = ([], ())
    _read: float = 0.0
    _stamp: tuple[int, ...] = ()
    _expected: dict[str, Expected] = field(default_factory=dict[str, Expected])

    def listed(self, run: str) -> str:
        """The list at the side, with this run marked."""
        if time.monotonic() - self._read > LIST_EVERY:
            self._read, stamp = time.monotonic(), stamp_of(self.lab.home)
            if stamp != self._stamp:
                self._rows, self._stamp = (self.lab.runs(), self.lab.queue()), stamp
        rows, turns = self._rows
        return runs_html(rows, run, turns)

    @property
    def rows(self) -> list[dict[str, Any]]:
        """All runs, as the list was read last."""
        return self._rows[0]

    @property
    def working(self) -> bool:
        """Whether anything is at work, as the list was read last."""
        return any(turn.position == 0 for turn in self._rows[1])

    def expected(self, view: RunView) -> Expected:
        """How long its parts take: said once, or what is drawn would go back and forth."""
        if view.run not in self._expected:
            there = set(self.lab.names())  # one that was deleted may still be in the list
            trained = [run for row in self._rows[0] if row["kind"] == "train" and (run := str(row["id"])) in there]
            self._expected[view.run] = expected_of(self.lab, view, trained)
        return self._expected[view.run]


class Window:
    """One window: what it is about, and what it has been told."""

    def __init__(self, watched: Watched, run: str, after: int) -> None:
        self.watched, self.run, self.after = watched, run, after
        self._told: dict[str, object] = {"news": watched.tending.news}  # what was begun before the page was there is no news
        self._regions: dict[str, str] = {}
        self._drawn: tuple[object, ...] = ()  # what the page was drawn from last

    def look(self) -> Told | None:
        """What is new since the last look; None where nothing is."""
        new = self._new("runs", self.watched.listed(self.run))
        new |= self._new("news", self.watched.tending.news) | self._new("working", self.watched.working)
        view = self._view()
        if view is not None:
            new |= self._of_run(view)
        elif not self.run:
            new |= self._new("moment", "")
        first = not self._told.get("greeted")
        self._told["greeted"] = True
        return Told.model_validate({"born": self.watched.born, "run": self.run, **new}) if new or first else None

    def _view(self) -> RunView | None:
        try:
            return self.watched.lab.view(self.run) if self.run else None
        except LabError:  # it was deleted while it was looked at
            return None

    def _of_run(self, view: RunView) -> dict[str, object]:
        works = self._works(view.run)
        new = self._new("moment", moment_of(view))
        new |= self._new("known", f"{view.run}/{view.state}/{len(view.incidents)}")
        new |= self._new("work", " ".join(work.run for work, _ in works))
        new |= self._new("next", self.watched.tending.successor(view.run))
        made_of = (view, run_title(self.watched.lab, view.run), *works)
        if made_of == self._drawn and not view.active:  # of a run that has ended nothing changes by itself; a view is the same object then
            return new
        self._drawn = made_of
        return new | self._anew(view, works)

    def _anew(self, view: RunView, works: Sequence[tuple[RunView, str]]) -> dict[str, object]:
        """Everything drawn, and what of it is another than before."""
        parts = run_parts(view, self.watched.expected(view), time.time())
        drawn = regions(self.watched.lab, view, parts) | {
            f"work:{work.run}": work_line(self.watched.lab, work, kind) for work, kind in works
        }
        changed = {name: html for name, html in drawn.items() if self._regions.get(name) != html}
        self._regions = drawn
        new: dict[str, object] = {"regions": changed} if changed else {}
        done = tuple(round(share, 3) for share in parts.done)
        new |= self._new("bar", Bar(shares=self.watched.expected(view).shares, done=done, active=view.active))  # pyright: ignore[reportArgumentType]
        new |= self._new("curve", curve(self.watched.tending.advisor, view))
        return new | self._points(view)

    def _works(self, run: str) -> list[tuple[RunView, str]]:
        """The measurings and exports of a run, and what is tried for it, that are at work or wait, each with its kind."""
        lab = self.watched.lab
        rows = [(str(row["id"]), str(row["kind"])) for row in self.watched.rows if row["kind"] in DOING and row["state"] in ACTIVE]
        found = [(lab.view(name), kind) for name, kind in rows if worked_on(lab.job(name)) == run]
        return [(view, kind) for view, kind in found if view.active]

    def _points(self, view: RunView) -> dict[str, object]:
        """The updates after those the window has; all of them where some were taken back."""
        steps = view.steps
        anew = self.after > (steps[-1].step if steps else 0)
        fresh = [step for step in steps if anew or step.step > self.after]
        if not fresh and not anew:
            return {}
        self.after = steps[-1].step if steps else 0
        found: dict[str, object] = {"points": points([step for step in fresh if math.isfinite(step.loss)])}
        return found | ({"anew": True} if anew else {})

    def _new(self, name: str, value: object) -> dict[str, object]:
        """The value under its name where it is another one than was told."""
        if self._told.get(name) == value or (not value and name not in self._told):
            return {}
        self._told[name] = value
        return {name: value}


def worked_on(job: Job) -> str:
    """The run that a piece of work is about; of a training only where it tries what would help that run."""
    if isinstance(job, TrainJob):
        return job.origin.of if isinstance(job.origin, Trial) else ""
    return str(getattr(job, "of", ""))


def stamp_of(home: Path) -> tuple[int, ...]:
    """Changes with all that the list of runs is made of: two questions to the system for each run, where reading it asks the index."""
    paths = [path for folder in room("runs", home).iterdir() for path in (folder, folder / "events.jsonl")]
    found = [path.stat() for path in (*paths, home / "queue.json") if path.exists()]
    return tuple(number for stat in found for number in (stat.st_mtime_ns, stat.st_size))


def expected_of(lab: Lab, view: RunView, runs: Sequence[str]) -> Expected:
    """How long the parts of a run take: from its plan, and from the last of these runs that learned with the same model."""
    job = lab.job(view.run)
    model = job.plan.get("base_model")
    earlier = (name for name in runs if name != view.run and lab.job(name).plan.get("base_model") == model)
    foretold = job.predicted.seconds if isinstance(job, TrainJob) and job.predicted else None
    return expected(foretold, view.measured.n_heldout if view.measured else 0, [lab.view(name) for name in islice(earlier, LOOKED_AT)])


def moment_of(view: RunView) -> str:
    """Changes when a run begins, ends or, once it has ended, has made something: what the other tabs wait for."""
    return f"{view.run}/{view.state}/{0 if view.active else len(view.artifacts)}"
