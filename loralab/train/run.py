"""Owns the worker's side of a run folder: where things go, the event log, and the question “should I stop?”."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from loralab.events import Event, EventLog
from loralab.records import Job


@dataclass
class RunFolder:
    """The folder of one run as its worker sees it."""

    path: Path
    job: Job
    log: EventLog

    def emit(self, event: Event) -> None:
        self.log(event)

    @property
    def stop_asked(self) -> bool:
        """The app writes an empty file; polling it works on every system, unlike signals."""
        return (self.path / "stop").exists()

    @property
    def checkpoints(self) -> Path:
        folder = self.path / "checkpoints"
        folder.mkdir(exist_ok=True)
        return folder

    @property
    def artifacts(self) -> Path:
        folder = self.path / "artifacts"
        folder.mkdir(exist_ok=True)
        return folder
