"""Owns looking at a run: its log read on from where this process left it, and an ending for a run of which nothing lives any more.

Invariants: looking at a run that has not changed costs two calls to the system and no reading; a run has one ending per attempt, whoever
notices first; while a keeper lives, nobody else writes into its run's log.
"""

from __future__ import annotations

import contextlib
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import ValidationError

from loralab.core.events import Ended, RunView, append, fold, read
from loralab.runs import process
from loralab.runs.crash import last_line, last_words, not_written
from loralab.runs.process import WorkerProcess
from loralab.runs.worker_lock import lock_free

LOOK_EVERY = 0.25  # seconds between two questions to the system whether a keeper lives
KEPT = 64  # runs whose views stay in memory; an older one is read again when somebody asks


@dataclass
class _Seen:
    """What this process has read of one run so far."""

    view: RunView
    offset: int = 0
    stamp: tuple[int, int] = (0, 0)  # inode and time of worker.json when it was read
    keeper: WorkerProcess | None = None
    looked: float = 0.0
    unwritten: Ended | None = None  # the ending that the disk did not take when it was last tried
    lock: threading.Lock = field(default_factory=threading.Lock)


class Desk:
    """This process's reading positions and its own children (keepers). Only a cache: losing it costs one reading of each log."""

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


DESK = Desk()


def look(path: Path, *, locked: bool = False) -> RunView:
    """What the run in this folder is doing now; `locked` where the caller holds the run's `.lock`. A dead run is given its ending."""
    seen = DESK.seen(path)
    with seen.lock:
        _catch_up(path, seen)
        shown = _shown(seen)
        if not shown.active and path in DESK.children:
            DESK.children[path].poll()  # reaps a keeper that has handed over
        if not shown.active or shown.queued:
            return shown
        if not locked and time.monotonic() - seen.looked < LOOK_EVERY:
            return shown if seen.unwritten is None else fold(path.name, [seen.unwritten], shown)
        seen.looked = time.monotonic()
        if seen.keeper is not None and _alive(path, seen.keeper):
            return shown
        try:
            with contextlib.nullcontext() if locked else FileLock(path / ".lock", timeout=0):
                return _speak_for_the_dead(path, seen)
        except Timeout:
            return shown  # somebody is starting it, or writing its ending, at this moment
        except OSError as error:  # a full disk or a read-only folder: say it now, and write it down when that is possible again
            seen.unwritten = not_written(_words(path, seen), error)
            return fold(path.name, [seen.unwritten], shown)


def look_again(path: Path) -> None:
    """Let the next look ask the system, however short ago the last one was."""
    DESK.seen(path).looked = 0.0


def keeper_of(path: Path) -> WorkerProcess | None:
    """Which process was started last for the run in this folder; None when none was."""
    try:
        return WorkerProcess.model_validate_json((path / "worker.json").read_bytes())
    except (FileNotFoundError, ValidationError):  # a damaged record names nobody
        return None


def _catch_up(path: Path, seen: _Seen) -> None:
    """Read what was added to the log and whether another attempt has begun."""
    record, events = path / "worker.json", path / "events.jsonl"
    if record.exists():
        stat = record.stat()
        if (stat.st_ino, stat.st_mtime_ns) != seen.stamp:
            seen.keeper, seen.stamp = keeper_of(path), (stat.st_ino, stat.st_mtime_ns)
            seen.looked, seen.unwritten = 0.0, None
    if events.exists() and events.stat().st_size != seen.offset:
        new, seen.offset = read(events, seen.offset)
        if new:
            seen.view = fold(path.name, new, seen.view)


def _shown(seen: _Seen) -> RunView:
    """The view as of the present attempt: an ending, or a wait for its turn, from before it was spawned is no longer true."""
    past = seen.view.ending is not None or seen.view.queued
    if seen.keeper is not None and past and seen.offset <= seen.keeper.offset:
        now = {"state": "waiting", "queued": False, "ending": None, "phase": "", "seconds_left": None}
        return seen.view.model_copy(update=now)
    return seen.view


def _alive(path: Path, keeper: WorkerProcess) -> bool:
    child = DESK.children.get(path)
    if child is not None and child.pid == keeper.pid:
        return child.poll() is None  # asking also reaps it
    return process.alive(keeper, path)


def _speak_for_the_dead(path: Path, seen: _Seen) -> RunView:
    """Append the ending nobody could write. Under the run's lock, after looking again: there is never a second one."""
    with lock_free(path) as free:
        _catch_up(path, seen)
        shown = _shown(seen)
        if not free or not shown.active or shown.queued or (seen.keeper is not None and _alive(path, seen.keeper)):
            return shown
        append(path / "events.jsonl", _words(path, seen))
        seen.unwritten = None
        _catch_up(path, seen)
        return _shown(seen)


def _words(path: Path, seen: _Seen) -> Ended:
    spoke = seen.keeper is not None and seen.offset > seen.keeper.offset
    return last_words(path, seen.view, spoke=spoke, reason=last_line(path / "worker.log"))
