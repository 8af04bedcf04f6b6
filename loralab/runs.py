"""Owns runs from the app's side: start, look, stop, resume, and last words for a worker that died without any.

Invariants: everything about a run is in its folder, so that any process can take over watching it; a run has one ending per attempt,
whoever notices first; looking at a run that has not changed costs two calls to the system and no reading.
"""

from __future__ import annotations

import secrets
import shutil
import subprocess
import threading
import time
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from loralab import paths, process
from loralab.errors import UserError
from loralab.events import Ended, EventLog, RunView, drop_torn_line, fold, read
from loralab.process import WorkerProcess
from loralab.records import Job

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

LOOK_EVERY = 0.25  # seconds between two questions to the system whether a worker lives
LOCK_SECONDS = 10.0
KEPT = 64  # runs whose views stay in memory; an older one is read again when somebody asks
GRACE = 5.0  # seconds a worker gets to go when it is ended by force


@dataclass
class _Seen:
    """What this process has read of one run so far."""

    view: RunView
    offset: int = 0
    stamp: tuple[int, int] = (0, 0)  # inode and time of worker.json when it was read
    worker: WorkerProcess | None = None
    looked: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)


class _Desk:
    """This process's reading positions and its own children. Only a cache: losing it costs one reading of each log."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen: dict[Path, _Seen] = {}
        self.children: dict[Path, subprocess.Popen[bytes]] = {}

    def seen(self, path: Path) -> _Seen:
        with self._lock:
            seen = self._seen.pop(path, None) or _Seen(RunView(run=path.name))
            self._seen[path] = seen  # the newest is last
            while len(self._seen) > KEPT:
                del self._seen[next(iter(self._seen))]
            return seen

    def forget(self, path: Path) -> None:
        with self._lock:
            self._seen.pop(path, None)
            self.children.pop(path, None)


_DESK = _Desk()


# ---- what there is ---------------------------------------------------------------------------------------------------------


def folder(home: Path, run: str) -> Path:
    """The folder of a run. Raises UserError when there is no such run."""
    path = paths.room("runs", home) / run
    if not run or run != Path(run).name or not (path / "job.json").is_file():
        raise UserError(f"There is no run called “{run}”.", "See the list of runs for the names there are.", code="no_run")
    return path


def list_runs(home: Path) -> list[str]:
    """Ids of all runs in a workspace, oldest first."""
    jobs = paths.room("runs", home).glob("*/job.json")
    return [path.parent.name for path in sorted(jobs, key=lambda p: (p.stat().st_mtime_ns, p))]


def job(home: Path, run: str) -> Job:
    """What a run was asked to do."""
    return Job.model_validate_json((folder(home, run) / "job.json").read_bytes())


# ---- start, stop, resume ---------------------------------------------------------------------------------------------------


def start(home: Path, kind: str, plan: dict[str, Any] | None = None, options: dict[str, Any] | None = None) -> str:
    """Write a job and start its worker, which outlives this process; returns the run's id."""
    path = _claim(paths.room("runs", home))
    with FileLock(path / ".lock", timeout=LOCK_SECONDS):
        asked = Job(kind=kind, run=path.name, plan=plan or {}, options=options or {})
        paths.write_atomic(path / "job.json", asked.model_dump_json(indent=2))
        _spawn(home, path, asked, attempt=1)
    return path.name


def _claim(rooms: Path) -> Path:
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


def _spawn(home: Path, path: Path, asked: Job, attempt: int) -> None:
    events = path / "events.jsonl"
    drop_torn_line(events)
    offset = events.stat().st_size if events.exists() else 0
    worker, child = process.spawn(path, home, online=asked.kind == "download", attempt=attempt, offset=offset)
    _DESK.children[path] = child
    paths.write_atomic(path / "worker.json", worker.model_dump_json())


def stop(home: Path, run: str, *, force: bool = False) -> None:
    """Ask a run to save and stop; with `force` its process is ended and what was not saved is lost. Raises UserError when it has ended."""
    path = folder(home, run)
    if not view(home, run).active:
        raise UserError("This run has already ended.", "There is nothing to stop.", code="not_running")
    (path / "stop").write_text("force" if force else "")
    worker = _worker(path)
    if force and worker is not None:
        process.end(worker, path, GRACE)
        _DESK.seen(path).looked = 0.0
        view(home, run)


def resume(home: Path, run: str) -> str:
    """Go on with a stopped, killed or failed run from its last checkpoint (from the start where there is none)."""
    path = folder(home, run)
    with FileLock(path / ".lock", timeout=LOCK_SECONDS):
        now = _look(path, locked=True)
        if now.active:
            raise UserError("This run is still going.", "Stop it first, or just watch it.", code="still_running")
        if now.state == "finished":
            raise UserError("This run is finished; there is nothing left to resume.", "Start a new run with more epochs.", code="finished")
        (path / "stop").unlink(missing_ok=True)
        before = _worker(path)
        _spawn(home, path, job(home, run), attempt=before.attempt + 1 if before else 1)
    return run


def delete(home: Path, run: str) -> Path:
    """Move a run that has ended into the workspace's trash; returns where it lies now."""
    path = folder(home, run)
    if view(home, run).active:
        raise UserError("This run is still going.", "Stop it first.", code="still_running")
    target = paths.room("trash", home) / f"{run}-{time.time_ns()}"
    shutil.move(path, target)
    _DESK.forget(path)
    return target


# ---- look ------------------------------------------------------------------------------------------------------------------


def view(home: Path, run: str) -> RunView:
    """What a run is doing now. A run whose worker died without a word is given its ending here."""
    return _look(folder(home, run))


def _look(path: Path, *, locked: bool = False) -> RunView:
    seen = _DESK.seen(path)
    with seen.lock:
        _catch_up(path, seen)
        shown = _shown(seen)
        if not shown.active or (not locked and time.monotonic() - seen.looked < LOOK_EVERY):
            return shown
        seen.looked = time.monotonic()
        if seen.worker is not None and _alive(path, seen.worker):
            return shown
        if locked:
            _speak_for_the_dead(path, seen)
        else:
            try:
                with FileLock(path / ".lock", timeout=0):
                    _speak_for_the_dead(path, seen)
            except Timeout:
                return shown  # somebody is starting it, or writing its ending, at this moment
        return _shown(seen)


def _catch_up(path: Path, seen: _Seen) -> None:
    """Read what was added to the log and whether another attempt has begun."""
    record, events = path / "worker.json", path / "events.jsonl"
    if record.exists():
        stat = record.stat()
        if (stat.st_ino, stat.st_mtime_ns) != seen.stamp:
            seen.worker, seen.stamp = _worker(path), (stat.st_ino, stat.st_mtime_ns)
            seen.looked = 0.0
    if events.exists() and events.stat().st_size != seen.offset:
        new, seen.offset = read(events, seen.offset)
        if new:
            seen.view = fold(path.name, new, seen.view)


def _shown(seen: _Seen) -> RunView:
    """The view as of the present attempt: an ending from before it was spawned is no longer true."""
    if seen.worker is not None and seen.view.ending is not None and seen.offset <= seen.worker.offset:
        return seen.view.model_copy(update={"state": "waiting", "ending": None, "phase": "", "seconds_left": None})
    return seen.view


def _worker(path: Path) -> WorkerProcess | None:
    record = path / "worker.json"
    return WorkerProcess.model_validate_json(record.read_bytes()) if record.exists() else None


def _alive(path: Path, worker: WorkerProcess) -> bool:
    child = _DESK.children.get(path)
    if child is not None and child.pid == worker.pid:
        return child.poll() is None  # asking also reaps it
    return process.alive(worker, path)


def _speak_for_the_dead(path: Path, seen: _Seen) -> None:
    """Append the ending a dead worker could not write. Under the run's lock, after looking again: there is never a second one."""
    _catch_up(path, seen)
    if not _shown(seen).active or (seen.worker is not None and _alive(path, seen.worker)):
        return
    log = EventLog(path / "events.jsonl")  # cuts off a torn last line
    log(_last_words(path, seen))
    log.close()
    _catch_up(path, seen)


def _last_words(path: Path, seen: _Seen) -> Ended:
    child = _DESK.children.get(path)
    code = child.poll() if child is not None and seen.worker is not None and child.pid == seen.worker.pid else None
    asked = path / "stop"
    step = seen.view.step
    resumable = "Resume it to go on from its last safety copy."
    if asked.exists() and asked.read_text() == "force":
        return Ended(outcome="killed", step=step, code="ended_by_force", what="You ended this run at once.", todo=resumable)
    spoke = seen.worker is not None and seen.offset > seen.worker.offset
    if not spoke:
        what = "The training process ended before it could say anything."
        reason = _last_line(path / "worker.log")
        return Ended(
            outcome="killed", step=step, code="dead_at_start", what=f"{what} Its last line was: {reason}" if reason else what,
            todo="Look into worker.log in the run's folder; `python -m loralab doctor` checks the installation.",
        )  # fmt: skip
    if code == -9:
        return Ended(
            outcome="killed", step=step, code="out_of_memory", what="The system ended the training process, probably for want of memory.",
            todo="Close other programs and resume it, or use a smaller batch, shorter examples or a smaller model.",
        )  # fmt: skip
    what = "The training process is gone: it was ended from outside, crashed, or the computer was switched off."
    return Ended(outcome="killed", step=step, code="worker_gone", what=what, todo=resumable)


def _last_line(path: Path) -> str:
    """Last line of a text file that holds anything, at most 200 characters; empty when there is none."""
    if not path.exists():
        return ""
    lines = [line.strip() for line in path.read_text("utf-8", errors="replace").splitlines() if line.strip()]
    return lines[-1][:200] if lines else ""
