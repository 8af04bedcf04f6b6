"""Owns whose turn it is: one training, evaluation or export on this machine at a time, the others wait in an order a person may change.

Invariants: two apps, the command line and a keeper may all look at once and never start two; every change of the order is made under one
lock and written whole; that a run waits is in its own log (Queued), the file only keeps the order, so that losing it loses no run.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Generator
from pathlib import Path

from filelock import FileLock, Timeout
from pydantic import ValidationError

from loralab.core import paths
from loralab.core.errors import UserError
from loralab.core.events import Ended, Queued, RunView, append
from loralab.core.jobs import Job, parse_job
from loralab.core.log import drop_torn_line
from loralab.core.records import Record
from loralab.runs import process
from loralab.runs.watch import DESK, keeper_of, look

HEAVY = frozenset({"train", "evaluate", "evaluate_export", "export", "check_export"})
# all but these wait for nobody: a download needs the network and a chat lets go when it is asked to
LOCK_SECONDS = 10.0
TAIL = 4096  # bytes


class QueueEntry(Record):
    """A run in the queue. `position` 0 has the machine now, 1 is the next."""

    run: str
    kind: str
    title: str
    position: int


class _Order(Record):
    """queue.json: the run that was started last, and those that wait, next first."""

    running: str = ""
    waiting: tuple[str, ...] = ()


# ---- what a person sees and does -------------------------------------------------------------------------------------------


def listed(home: Path) -> tuple[QueueEntry, ...]:
    """The run that has the machine (position 0; none when it is free), then those that wait, next first."""
    if _read(home) is None:
        with _lock(home):
            _write(home, _checked(home))
    tend(home)
    order = _read(home) or _Order()
    running = [order.running] if order.running and _works(home, order.running) else []
    numbered = [(run, 0) for run in running] + [(run, number) for number, run in enumerate(order.waiting, 1)]
    return tuple(_turn(home, run, position) for run, position in numbered if _folder(home, run).is_dir())


def move(home: Path, run: str, position: int) -> None:
    """Put a waiting run at `position` (1 is the next; beyond the end is the end). Raises UserError when it does not wait."""
    with _lock(home):
        order = _checked(home)
        if run not in order.waiting:
            raise UserError("This run is not waiting for its turn.", "See the queue for the runs that are.", code="not_waiting")
        others = [other for other in order.waiting if other != run]
        others.insert(max(0, position - 1), run)
        _write(home, order.model_copy(update={"waiting": tuple(others)}))


def leave(home: Path, run: str) -> bool:
    """Take a waiting run out of the queue, which ends it as stopped; False when it is not waiting."""
    with _lock(home):
        order = _checked(home)
        if run not in order.waiting:
            return False
        path = _folder(home, run)
        with FileLock(path / ".lock", timeout=LOCK_SECONDS):
            what = "It was taken out of the queue before its turn came."
            step, todo = look(path, locked=True).step, "Resume it to queue it again."
            append(path / "events.jsonl", Ended(outcome="stopped", step=step, code="unqueued", what=what, todo=todo))
        _write(home, order.model_copy(update={"waiting": tuple(other for other in order.waiting if other != run)}))
    return True


def in_line(home: Path, view: RunView) -> RunView:
    """The view of a waiting run with its place in the queue, as in “waiting for its turn (2nd)”."""
    order = _read(home) or _Order()
    if view.run not in order.waiting:
        with contextlib.suppress(Timeout, OSError), _lock(home, 0):  # its line was lost between two writes, or the file was
            order = _checked(home)
            if view.run not in order.waiting and look(_folder(home, view.run)).queued:
                order = order.model_copy(update={"waiting": (*order.waiting, view.run)})
            _write(home, order)
    place = order.waiting.index(view.run) + 1 if view.run in order.waiting else 0
    return view.model_copy(update={"phase": f"waiting for its turn ({_ordinal(place)})"}) if place else view


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"


# ---- who is next -----------------------------------------------------------------------------------------------------------


def enter(home: Path, run: str, asked: Job | None = None) -> None:
    """Start a run, or let it wait while another has the machine. `asked`: the job of a new run; None goes on with an ended one."""
    path = _folder(home, run)
    with _lock(home):
        order = _checked(home)
        if not order.running:
            order = _begin_next(home, order)  # who came first goes first
        with FileLock(path / ".lock", timeout=LOCK_SECONDS):
            step = 0
            if asked is not None:
                paths.write_atomic(path / "job.json", asked.model_dump_json(indent=2))
            else:
                view = look(path, locked=True)
                may_go_on(view)
                step = view.step
            if order.running:
                _wait_in_line(path, step, new=asked is not None)
                _write(home, order.model_copy(update={"waiting": (*order.waiting, run)}))
            else:
                _write(home, _Order(running=run))  # before it is started: never two
                begin(home, path)


def may_go_on(view: RunView) -> None:
    """Raise UserError where a run cannot be resumed."""
    if view.active:
        raise UserError("This run is still going.", "Stop it first, or just watch it.", code="still_running")
    if view.state == "finished":
        raise UserError("This run is finished; there is nothing left to resume.", "Start a new run with more epochs.", code="finished")


def tend(home: Path) -> None:
    """Start the next run when the machine is free and one waits. Costs a look at a small file when nothing waits."""
    order = _read(home)
    if order is None or not order.waiting or (order.running and _works(home, order.running)):
        return
    with contextlib.suppress(Timeout, OSError):  # somebody else is at it, or the disk is full: the next look tries again
        _start_next(home, 0)


def hand_over(folder: str) -> None:
    """A keeper's last act. It waits for the lock, so that a run queued at this very moment is seen either here or by who queues it."""
    home = Path(folder).parents[1]
    if _read(home) is not None:
        with contextlib.suppress(OSError):  # a full disk: whoever looks at the queue next tries again
            _start_next(home, LOCK_SECONDS)


def _start_next(home: Path, seconds: float) -> None:
    with _lock(home, seconds):
        order = _checked(home)
        if not order.running:
            _begin_next(home, order)


def _begin_next(home: Path, order: _Order) -> _Order:
    """Give the machine to the first that still waits. Written down before it is started: never two."""
    while order.waiting:
        run = order.waiting[0]
        order = _Order(running=run, waiting=order.waiting[1:])
        _write(home, order)
        path = _folder(home, run)
        with FileLock(path / ".lock", timeout=LOCK_SECONDS):
            if look(path, locked=True).queued:
                begin(home, path)
                return order
    order = _Order()
    _write(home, order)
    return order


def begin(home: Path, path: Path) -> None:
    """Start the keeper of the run in this folder, at once. The caller holds the run's `.lock`."""
    kind = _kind(_job(path))  # one that cannot be read is started, too: the worker says what is wrong with it
    if kind in HEAVY:
        _ask_chats_to_go(home)
    (path / "stop").unlink(missing_ok=True)
    before, events = keeper_of(path), path / "events.jsonl"
    drop_torn_line(events)
    offset, attempt = events.stat().st_size if events.exists() else 0, before.attempt + 1 if before else 1
    keeper, child = process.spawn(path, home, online=kind in ("download", "fetch_dataset", "publish"), attempt=attempt, offset=offset)
    DESK.children[path] = child
    paths.write_atomic(path / "worker.json", keeper.model_dump_json())


def _ask_chats_to_go(home: Path) -> None:
    """A chat that holds a model in memory makes room for a job; it comes back with its next question."""
    for note in (home / "runs").glob("*/server.json"):
        (note.parent / "stop").touch()


# ---- the file --------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _lock(home: Path, seconds: float = LOCK_SECONDS) -> Generator[None, None, None]:
    with FileLock(home / ".queue.lock", timeout=seconds):
        yield


def _read(home: Path) -> _Order | None:
    """What the file says; None when there is none or it cannot be understood."""
    try:
        return _Order.model_validate_json((home / "queue.json").read_bytes())
    except (OSError, ValidationError):
        return None


def _write(home: Path, order: _Order) -> None:
    paths.write_atomic(home / "queue.json", order.model_dump_json(indent=1))


def _checked(home: Path) -> _Order:
    """The order as it is in truth, under the lock: a run that has ended does not have the machine, one that is gone does not wait."""
    order = _read(home)
    named = (*filter(None, (order.running,)), *order.waiting) if order else ()
    if order is None or not all((_folder(home, run) / "job.json").is_file() for run in named):
        order = _found(home, order.waiting if order else ())
    running, waiting = order.running, list(order.waiting)
    if running and not _works(home, running):
        if look(_folder(home, running)).queued and running not in waiting:  # whoever was to start it died before
            waiting.insert(0, running)
        running = ""
    return _Order(running=running, waiting=tuple(waiting))


def _found(home: Path, known: tuple[str, ...] = ()) -> _Order:
    """The order made again from the run folders, `known` as it is and then the oldest first: the file is missing, damaged or outdated."""
    running, waiting = "", []
    for job in sorted((home / "runs").glob("*/job.json"), key=lambda path: (path.stat().st_mtime_ns, path)):
        path = job.parent
        if _over(path / "events.jsonl") or _kind(_job(path)) not in HEAVY:
            continue
        view = look(path)
        if view.queued:
            waiting.append(path.name)
        elif view.active:
            running = path.name
    waiting.sort(key=lambda run: known.index(run) if run in known else len(known))
    return _Order(running=running, waiting=tuple(waiting))


def _over(log: Path) -> bool:
    """Whether a log's last line is an ending; False where that cannot be told from its last few thousand bytes."""
    if not log.is_file():
        return False
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - TAIL))
        lines = file.read().splitlines()
    try:
        return bool(lines) and json.loads(lines[-1])["type"] == "ended"
    except (ValueError, KeyError, TypeError):
        return False


def _works(home: Path, run: str) -> bool:
    path = _folder(home, run)
    if not (path / "job.json").is_file():
        return False
    view = look(path)
    return view.active and not view.queued


def _folder(home: Path, run: str) -> Path:
    return home / "runs" / run


def _job(path: Path) -> Job | None:
    try:
        return parse_job((path / "job.json").read_bytes())
    except ValidationError:  # of a newer version: shown under its name, and never waited for
        return None


def _kind(job: Job | None) -> str:
    return job.kind if job else ""


def _turn(home: Path, run: str, position: int) -> QueueEntry:
    job = _job(_folder(home, run))
    return QueueEntry(run=run, kind=_kind(job), title=job.title if job else "", position=position)


def _wait_in_line(path: Path, step: int, *, new: bool) -> None:
    try:
        append(path / "events.jsonl", Queued(step=step))
    except OSError:
        if new:  # nobody knows of it yet, and without this line it would be taken for one that died
            (path / "job.json").unlink()
        raise
