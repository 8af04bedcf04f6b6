"""Owns runs from the app's side: names, start, look, stop, resume, delete. watching.py reads them, queue.py says when each may begin.

Invariant: everything about a run is in its folder, so that any process can take over watching it.
"""

from __future__ import annotations

import secrets
import shutil
import time
from datetime import datetime
from pathlib import Path

from filelock import FileLock

from loralab.core import paths
from loralab.core.errors import UserError
from loralab.core.events import Ended, Event, RunView, append
from loralab.core.jobs import Job
from loralab.runs import process, queue
from loralab.runs.protocol import LAUNCH
from loralab.runs.run_folder import read_job
from loralab.runs.watch import DESK, keeper_of, look, look_again
from loralab.runs.worker_lock import lock_free

ADJECTIVES = (
    "amber bold brave breezy bright brisk calm clear clever cosy crisp curious eager early fair fond fresh gentle glad golden grand happy "
    "honest keen kind light lively lucky mellow merry mild neat nimble noble patient plain proud quick quiet ready rosy silver sleek "
    "smart snug solid spry steady still sunny swift tidy warm wise witty young zesty"
)
ANIMALS = (
    "badger bear beaver bee bison bunting crane cricket curlew deer dolphin dove duck eagle egret falcon ferret finch fox gecko goose hare "
    "hawk heron ibex ibis jay kestrel kite koala lark lemur linnet lynx marten mole moose moth newt otter owl panda petrel pika plover "
    "puffin quail rabbit raven robin seal shrew snipe sparrow stork swan swift tern thrush toad vole walrus wren yak"
)

LONGEST_NAME = 200  # characters
LOCK_SECONDS = 10.0
GRACE = 5.0  # seconds to wait for processes that were ended by force


# ---- what there is ---------------------------------------------------------------------------------------------------------


def folder(home: Path, run: str) -> Path:
    """The folder of a run. Raises UserError when there is no such run."""
    path = paths.room("runs", home) / run
    plain = 0 < len(run) <= LONGEST_NAME and run == Path(run).name and run.isprintable()
    if not plain or not (path / "job.json").is_file():
        raise UserError(f"There is no run called “{run}”.", "See the list of runs for the names there are.", code="no_run")
    return path


def list_runs(home: Path) -> list[str]:
    """Ids of all runs in a workspace, oldest first."""
    jobs = paths.room("runs", home).glob("*/job.json")
    return [path.parent.name for path in sorted(jobs, key=lambda p: (p.stat().st_mtime_ns, p))]


def job(home: Path, run: str) -> Job:
    """What a run was asked to do."""
    return read_job(folder(home, run))


# ---- start, stop, resume ---------------------------------------------------------------------------------------------------


def log_tail(home: Path, run: str, most: int = 40_000) -> str:
    """The last bytes of a run's worker.log as text; empty where there is none."""
    path = folder(home, run) / "worker.log"
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - most))
        return file.read().decode("utf-8", "replace")


def start(home: Path, asked: Job, launch: str = "") -> str:
    """Write a job and start its worker, which outlives this process, or queue it while another has the machine; returns the run's id.

    `launch`: an Accelerate configuration as text, where several processes are to learn together.
    """
    path = claim(paths.room("runs", home))
    asked = asked.model_copy(update={"run": path.name})
    launched(path, launch)
    if asked.kind in queue.HEAVY:
        queue.enter(home, path.name, asked)
    else:
        with FileLock(path / ".lock", timeout=LOCK_SECONDS):
            paths.write_atomic(path / "job.json", asked.model_dump_json(indent=2))
            queue.begin(home, path)
    return path.name


def prepare(home: Path, asked: Job) -> Path:
    """Write a job that a launcher of several processes is to begin (torchrun, Slurm); its folder. Until then it shows as stopped."""
    path = claim(paths.room("runs", home))
    what, todo = "It is ready, and begins when a launcher starts its processes.", "Or resume it here, in one process."
    paths.write_atomic(path / "job.json", asked.model_copy(update={"run": path.name}).model_dump_json(indent=2))
    append(path / "events.jsonl", Ended(outcome="stopped", code="prepared", what=what, todo=todo))
    return path


def launched(path: Path, launch: str | None) -> None:
    """Note how the processes of the run in this folder are started from now on; empty: there is one; None: as before."""
    if launch:
        paths.write_atomic(path / LAUNCH, launch)
    elif launch is not None:
        (path / LAUNCH).unlink(missing_ok=True)


def claim(rooms: Path) -> Path:
    """A new folder named by day, adjective and animal. Making the folder is the claim, so two apps never take the same name."""
    for trial in range(1000):
        name = f"{datetime.now().astimezone().date().isoformat()}-{secrets.choice(ADJECTIVES.split())}-{secrets.choice(ANIMALS.split())}"
        path = rooms / (name if trial < 20 else f"{name}-{trial}")
        try:
            path.mkdir()
        except FileExistsError:
            continue
        return path
    raise UserError("No free name was found for a new run.", "Delete some old runs first.", code="no_free_name")


def stop(home: Path, run: str, *, force: bool = False) -> None:
    """Ask a run to save and stop; with `force` its process is ended and what was not saved is lost. A waiting run leaves the queue.

    Raises UserError when it has ended.
    """
    path = folder(home, run)
    now = view(home, run)
    if not now.active:
        raise UserError("This run has already ended.", "There is nothing to stop.", code="not_running")
    if now.queued and queue.leave(home, run):
        return
    (path / "stop").write_text("force" if force else "")
    if force:
        process.end(keeper_of(path), path, GRACE)
        look_again(path)
        view(home, run)
        queue.tend(home)  # its keeper can hand over to nobody


def unqueue(home: Path, run: str) -> None:
    """Take a waiting run out of the queue. Raises UserError when it is not waiting."""
    folder(home, run)
    if not queue.leave(home, run):
        raise UserError("This run is not waiting for its turn.", "Stop it, if it is going.", code="not_waiting")


def resume(home: Path, run: str, launch: str | None = None) -> str:
    """Go on with a stopped, killed or failed run from its last checkpoint (from the start where there is none), when its turn comes.

    `launch`: in which processes, see `launched`.
    """
    path = folder(home, run)
    queue.may_go_on(view(home, run))
    launched(path, launch)
    if job(home, run).kind in queue.HEAVY:
        queue.enter(home, run)
    else:
        with FileLock(path / ".lock", timeout=LOCK_SECONDS):
            queue.may_go_on(look(path, locked=True))
            queue.begin(home, path)
    return run


def add(home: Path, run: str, event: Event) -> None:
    """Append to the log of a run that has ended what a person said of it. Raises UserError while it is going on."""
    path = folder(home, run)
    with FileLock(path / ".lock", timeout=LOCK_SECONDS):
        ended = not look(path, locked=True).active
        with lock_free(path) as free:
            if not (ended and free):
                raise UserError("This run is still going.", "Wait until it has ended.", code="still_running")
            append(path / "events.jsonl", event)


def delete(home: Path, run: str) -> Path:
    """Move a run that has ended into the workspace's trash; returns where it lies now."""
    path = folder(home, run)
    if view(home, run).active:
        raise UserError("This run is still going.", "Stop it first.", code="still_running")
    target = paths.room("trash", home) / f"{run}-{time.time_ns()}"
    shutil.move(path, target)
    DESK.forget(path)
    return target


def restore(home: Path, place: Path) -> str:
    """Move a deleted run back from the trash; its id. Raises UserError when it is gone, or a run is called so again."""
    run, _, _ = place.name.rpartition("-")
    target = paths.room("runs", home) / run
    if place.parent != paths.room("trash", home) or not (place / "job.json").is_file() or target.exists():
        raise UserError("This run cannot be brought back.", "Its folder in the trash was moved or deleted.", code="not_in_trash")
    shutil.move(place, target)
    return run


# ---- look ------------------------------------------------------------------------------------------------------------------


def view(home: Path, run: str) -> RunView:
    """What a run is doing now. A run whose processes died without a word is given its ending here, a waiting one its turn."""
    path = folder(home, run)
    queue.tend(home)
    shown = look(path)
    return queue.in_line(home, shown) if shown.queued else shown
