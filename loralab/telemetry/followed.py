"""Owns a run as a chart of another program sees it: the newest value of each curve, and totals that only grow.

Invariant: each line of a log is read once; memory does not grow with the length of a run.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass, field
from pathlib import Path

from loralab.core.errors import LabError
from loralab.core.events import Adjusted, Ended, Evaluated, Event, Incident, Measured, Queued, Saved, Started, Stepped, read
from loralab.core.jobs import Job, TrainJob
from loralab.core.paths import last_part, model_name, room
from loralab.core.results import Score
from loralab.core.verdict import Verdict
from loralab.runs.run_folder import read_job

DAY = 86_400.0  # seconds for which a run that has ended is still shown
MOST_RUNS = 20  # the newest; a series for each run that ever was would fill a Prometheus
MOST_EVENTS = 20  # of each run that are told in words


@dataclass
class Followed:
    """What is known of one run so far. Loss in nats per learned token, memory in bytes, times in seconds since 1970."""

    run: str
    job: Job
    state: str = "waiting"
    newest: Stepped | None = None
    trained: int = 0  # weights that learn
    tokens: int = 0
    peak_bytes: int = 0
    looks: dict[str, float] = field(default_factory=dict)  # split -> newest held-out loss
    scores: tuple[Score, ...] = ()
    verdict: Verdict | None = None
    incidents: Counter[str] = field(default_factory=Counter)
    adjustments: Counter[str] = field(default_factory=Counter)
    saves: int = 0
    told: deque[Incident | Adjusted | Ended] = field(default_factory=lambda: deque(maxlen=MOST_EVENTS))
    started: float = 0.0
    ended: float = 0.0
    offset: int = 0

    @property
    def labels(self) -> dict[str, str]:
        """What it is, in names that hold no path of this computer."""
        plan = self.job.plan if isinstance(self.job, TrainJob) else {}
        data, model = last_part(str(plan.get("dataset", ""))), model_name(str(plan.get("base_model", "")))
        about = {"title": str(plan.get("title", "")), "task": str(plan.get("task", "")), "model": model, "data": data}
        return {"run": self.run, "kind": self.job.kind} | about

    def take(self, event: Event) -> None:
        """Bring it up to date with the next event of its log."""
        match event:
            case Queued():
                self.state = "waiting"
            case Started():
                self.state, self.started, self.ended = "running", self.started or event.time, 0.0
            case Measured():
                self.trained = event.trainable
            case Stepped():
                self.newest, self.tokens = event, self.tokens + event.tokens
                self.peak_bytes = max(self.peak_bytes, event.memory_bytes)
            case Evaluated():
                self.looks[event.split] = event.loss
                self.scores, self.verdict = event.scores or self.scores, event.conclusion or self.verdict
            case Incident():
                self.incidents[event.code] += 1
                self.told.append(event)
            case Adjusted():
                self.adjustments[event.setting] += 1
                self.told.append(event)
            case Saved():
                self.saves += 1
            case Ended():
                self.state, self.ended = event.outcome, event.time
                self.told.append(event)
            case _:
                pass


class Following:
    """The runs of a workspace that are watched: those that go on, and those that ended within a day; the newest twenty."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._known: dict[str, Followed] = {}

    def __call__(self) -> list[Followed]:
        """Each as it is now, the newest first. What cannot be read is left out; a log that was replaced is read anew."""
        folders = sorted(self._fresh(), reverse=True)[:MOST_RUNS]
        self._known = {folder.name: found for _, folder in folders if (found := self._read(folder))}
        return list(self._known.values())

    def _fresh(self) -> list[tuple[float, Path]]:
        """Folders of runs that were written to within a day, with when."""
        found = []
        for log in room("runs", self._home).glob("*/events.jsonl"):
            try:
                changed = log.stat().st_mtime
            except OSError:  # deleted meanwhile
                continue
            if time.time() - changed < DAY:
                found.append((changed, log.parent))
        return found

    def _read(self, folder: Path) -> Followed | None:
        log = folder / "events.jsonl"
        try:
            known = self._known.get(folder.name)
            if known is None or log.stat().st_size < known.offset:
                known = Followed(folder.name, read_job(folder))
            events, known.offset = read(log, known.offset)
        except (OSError, LabError):
            return None
        for event in events:
            known.take(event)
        return known
