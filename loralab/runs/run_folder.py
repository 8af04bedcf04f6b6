"""Owns the worker's side of a run folder: where things go, the event log, and the question “should I stop?”."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from loralab.core.disk import Reserve
from loralab.core.errors import UserError
from loralab.core.events import Event, EventLog
from loralab.core.jobs import Job, TrainJob, parse_job
from loralab.runs.worker_lock import orphaned

Kind = TypeVar("Kind")
TITLE_FILE = "title.txt"  # the name a person gave a run after it began


def read_job(folder: Path) -> Job:
    """What a run was asked to do, under the name it has now. Raises UserError when its folder is gone or its job.json cannot be read."""
    path = folder / "job.json"
    if not path.is_file():
        raise UserError(f"The run {folder.name} is not in this workspace any more.", "Choose another run.", code="no_run")
    try:
        job = parse_job(path.read_bytes())
    except ValidationError as error:
        raise UserError(
            "This run's job.json cannot be read.", "Start a new run; this one's files are in its folder.", code="bad_job"
        ) from error
    renamed = folder / TITLE_FILE
    if not isinstance(job, TrainJob) or not renamed.is_file():
        return job
    return job.model_copy(update={"plan": job.plan | {"title": renamed.read_text("utf-8")}})


@dataclass
class RunFolder:
    """The folder of one run as its worker sees it."""

    path: Path
    job: Job
    log: EventLog
    reserve: Reserve = field(init=False)

    def __post_init__(self) -> None:
        self.reserve = Reserve(self.path / "reserve")
        self.reserve.take()

    def asked(self, kind: type[Kind]) -> Kind:
        """The job, known to be of this kind."""
        if not isinstance(self.job, kind):
            raise TypeError(f"{self.path.name} was asked for another kind of work")
        return self.job

    def with_job(self, job: Job) -> RunFolder:
        """The same folder and log, as if for another job: judging a run again opens it as its training did."""
        return RunFolder(self.path, job, self.log)

    def emit(self, event: Event) -> bool:
        """Append to the log. Where the disk is full the run's reserve makes room; where that is too little, the line waits and the
        answer is False.
        """
        if self.log(event):
            return True
        self.reserve.give()
        return self.log.flush()

    @property
    def short_of_room(self) -> bool:
        """Whether the disk was too full for the log and has not been found to have room since."""
        return bool(self.log.unwritten) or not self.reserve.path.exists()

    def make_room(self) -> bool:
        """Try to get the log onto the disk and the reserve back; whether that went well."""
        return self.log.flush() and self.reserve.take()

    def close(self) -> None:
        """At the end of a worker: nothing is held back any more."""
        self.reserve.give()

    @property
    def stop_asked(self) -> bool:
        """The app writes an empty file; polling it works on every system, unlike signals. A worker without its keeper stops, too."""
        return (self.path / "stop").exists() or orphaned()

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


@dataclass
class SilentFolder(RunFolder):
    """The same folder for one of several processes that is not the first: it reads there and writes nothing."""

    def __post_init__(self) -> None:
        self.reserve = Reserve(self.path / "reserve", 0)

    def emit(self, event: Event) -> bool:  # noqa: ARG002  (the contract's)
        return True

    @property
    def short_of_room(self) -> bool:
        return False
