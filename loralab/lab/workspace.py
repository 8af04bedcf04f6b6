"""The workspace and its runs: begin, look, wait, stop, put in order, name, delete."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from loralab.core import disk, paths
from loralab.core.errors import UserError
from loralab.core.events import RunView
from loralab.core.jobs import Job, TrainJob
from loralab.datasets.images.clinic.marked import TITLE, is_kept
from loralab.datasets.samples import samples
from loralab.history import History
from loralab.machine.hardware import Machine, measure_machine
from loralab.models.catalog import Catalog, ModelEntry
from loralab.runs import queue, runs, titles
from loralab.runs.launch import read_launch
from loralab.runs.queue import QueueEntry


class Workspace:
    """One workspace on one machine. Cheap to make; holds no work of its own: runs live in their worker processes."""

    def __init__(self, home: Path | str | None = None) -> None:
        self.home = Path(home).expanduser().resolve() if home else paths.home()
        with disk.writing(self.home):
            self.home.mkdir(parents=True, exist_ok=True)
        self.catalog = Catalog(self.home)
        self.history = History(self.home)
        self._launch: str | None = None

    def launch_with(self, file: Path | str) -> None:
        """Let trainings begun or resumed from here on learn in the processes that an Accelerate configuration names; empty: in one.

        Raises UserError where the file is none, or asks for what cannot be done.
        """
        if file:
            read_launch(Path(file))
        self._launch = Path(file).read_text("utf-8") if file else ""

    def models(self) -> tuple[ModelEntry, ...]:
        """The catalogue, each entry with whether it is on this computer."""
        return self.catalog.entries()

    def runs(self) -> list[dict[str, Any]]:
        """Every run in the workspace, newest first: id, title, kind, state, model, dataset, losses, started."""
        return self.history.runs()

    def names(self) -> list[str]:
        """The ids of all runs, oldest first."""
        return runs.list_runs(self.home)

    def view(self, run: str) -> RunView:
        """What a run is doing now, from its event log."""
        return runs.view(self.home, run)

    def job(self, run: str) -> Job:
        """What a run was asked to do."""
        return runs.job(self.home, run)

    def log(self, run: str) -> str:
        """The end of what a run's process wrote beside its events."""
        return runs.log_tail(self.home, run)

    def wait(self, run: str, watch: Callable[[RunView], None] | None = None, every: float = 0.3) -> RunView:
        """Block until the run ends, calling `watch` with each new view."""
        while True:
            view = self.view(run)
            if watch:
                watch(view)
            if not view.active:
                return view
            time.sleep(every)

    def begin(self, job: Job) -> str:
        """Start a worker on any job, or queue it while another has the machine; returns the run's id."""
        disk.check_writable(self.home)
        with disk.writing(self.home):
            return runs.start(self.home, self._titled(job), (self._launch or "") if isinstance(job, TrainJob) else "")

    def _titled(self, job: Job) -> Job:
        return titles.titled(self.home, job, _known(job))

    def resume(self, run: str) -> str:
        """Go on from the last checkpoint of a stopped, killed or failed run, when its turn comes."""
        disk.check_writable(self.home)
        with disk.writing(self.home):
            return runs.resume(self.home, run, self._launch if isinstance(self.job(run), TrainJob) else None)

    def stop(self, run: str, *, force: bool = False) -> None:
        """Ask a run to save and stop; `force` ends it at once, and what was not saved is lost. A waiting run leaves the queue."""
        with disk.writing(self.home):
            runs.stop(self.home, run, force=force)

    def queue(self) -> tuple[QueueEntry, ...]:
        """The run that has the machine (position 0), then those that wait, next first; starts the next where the machine is free."""
        return queue.listed(self.home)

    def move(self, run: str, position: int) -> tuple[QueueEntry, ...]:
        """Put a waiting run at `position` (1 is the next); returns the queue. Raises UserError when it is not waiting."""
        with disk.writing(self.home):
            queue.move(self.home, run, position)
        return self.queue()

    def unqueue(self, run: str) -> None:
        """Take a waiting run out of the queue; `resume` puts it back at the end. Raises UserError when it is not waiting."""
        with disk.writing(self.home):
            runs.unqueue(self.home, run)

    def delete(self, run: str) -> Path:
        """Move a run that has ended into the workspace's trash; returns where it lies now. What was learned from it is kept."""
        self.history.refresh()  # read before its folder goes
        with disk.writing(self.home):
            place = runs.delete(self.home, run)
        self.history.refresh()
        return place

    def restore(self, place: Path) -> str:
        """Take a run that was deleted out of the trash, from where `delete` said it lies; its id."""
        with disk.writing(self.home):
            return runs.restore(self.home, place)

    def rename(self, run: str, title: str) -> str:
        """Give a training another name, also while it runs; the name as it is kept. Raises UserError for one that is none."""
        with disk.writing(self.home):
            return titles.rename(self.home, run, title)

    def machine(self) -> Machine:
        """This computer: processor, memory, GPU, disk, and what is optional and absent."""
        return measure_machine(self.home)

    def _adapter(self, run: str) -> str:
        made = self.view(run).made("adapter")
        if not made:
            raise UserError("This run has not made an adapter yet.", "Let it finish first, or resume it.", code="no_adapter")
        return made


def _known(job: Job) -> dict[str, str]:
    """What examples are called whose file says nothing: samples, and pictures of patients, which lie under a number."""
    known = {sample.path: sample.title for sample in samples()}
    dataset = str(job.plan.get("dataset") or "") if isinstance(job, TrainJob) else ""
    return known | ({dataset: TITLE.capitalize()} if dataset and is_kept(Path(dataset)) else {})
