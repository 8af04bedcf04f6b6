"""history.db, the index of all runs. The run folders are the truth: the index can be deleted at any time.

Invariants: a run's row, its memory and the byte offset both were made from are written in one transaction; what is read goes through
parameters; a file that is no database, or was written by another version, is made anew and never repaired, after what it alone knows
was handed to memory.jsonl.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loralab.core.errors import Unavailable, UserError
from loralab.core.events import RunView
from loralab.core.jobs import TrainJob
from loralab.core.report import ANSWERS, losses, run_report
from loralab.core.words import told_short
from loralab.history import upkeep
from loralab.history.database import over
from loralab.history.derive import memory_of
from loralab.history.ledger import Ledger
from loralab.history.measure import RunMeasurement, measure
from loralab.history.memories import Memories
from loralab.history.record import Memory
from loralab.history.tables import check, is_whole, prepare
from loralab.runs import runs
from loralab.runs.run_folder import TITLE_FILE

if TYPE_CHECKING:
    from sqlite_utils import Database

IN_MEMORY = ":memory:"  # SQLite's name for a database without a file
UNWRITABLE = ("readonly", "is full", "unable to open", "disk I/O", "locked")  # how SQLite says that the file is fine and the place is not
AT_ONCE = 100  # runs read between two commits: another app waits no longer than that takes
LISTED = (
    *("id", "kind", "title", "task", "state", "model", "dataset", "base_loss", "adapter_loss", "started", "seconds", "steps"),
    *(*ANSWERS, "told"),
)


class History:
    """The index of a workspace. Reading it brings it up to date first; safe from any thread and from two apps at once."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.path = home / "history.db"
        self.ledger = Ledger(home)
        self.memories = Memories(home, self._open, self.ledger)
        self._sound: tuple[int, ...] = ()  # stamp of the file when all of it was read and found sound

    def runs(self) -> list[dict[str, Any]]:
        """Every run, newest first: id, kind, title, task, state, model, dataset, base_loss, adapter_loss, started, seconds, steps,
        the two answers (null where it was not judged) and `told`, both in a few words.
        """
        with self._open() as db:
            rows = sorted(db.table("runs").rows, key=lambda row: (row["started"], row["id"]), reverse=True)
            return [{name: row[name] for name in LISTED} for row in rows]

    def measured(self) -> list[dict[str, Any]]:
        """Finished trainings that are not to be forgotten, newest first: id, task, model, steps, tokens_per_second, and all that
        RunMeasurement holds.
        """
        names = ("id", "task", "model", "steps", "tokens_per_second", *RunMeasurement.model_fields)
        where = "kind = 'train' and state = 'finished' and id not in (select run from forgotten)"
        with self._open() as db:
            return [{name: row[name] for name in names} for row in db.table("runs").rows_where(where, order_by="started desc")]

    def refresh(self) -> None:
        """Bring the index up to date now, and hand what was learned from runs whose folders are gone to memory.jsonl."""
        with self._open():
            pass

    # ---- the file --------------------------------------------------------------------------------------------------------
    @contextmanager
    def _open(self) -> Generator[Database, None, None]:
        db = self._usable()
        try:
            yield db
        finally:
            db.close()

    def _usable(self) -> Database:
        """The index, up to date. Where its file is damaged it is made anew; where nothing can be written, in memory, for this once."""
        try:
            return self._refreshed(self.path)
        except (sqlite3.Error, ValueError, TypeError, KeyError, OSError) as error:  # damaged pages look like any of these from here
            busy = isinstance(error, sqlite3.OperationalError) and any(word in str(error) for word in UNWRITABLE)
            if busy or isinstance(error, OSError):
                return self._refreshed(IN_MEMORY)
        try:
            self._hand_over()
            for suffix in ("", "-wal", "-shm"):
                Path(f"{self.path}{suffix}").unlink(missing_ok=True)
            return self._refreshed(self.path)
        except (sqlite3.Error, OSError, Unavailable):
            return self._refreshed(IN_MEMORY)

    def _hand_over(self) -> None:
        """Give memory.jsonl what only this index knows, before it goes; a damaged one is not believed. Raises Unavailable."""
        lessons = []
        with suppress(sqlite3.Error, ValueError, TypeError), closing(sqlite3.connect(self.path, timeout=30)) as connection:
            if is_whole(db := over(connection)):
                lessons = upkeep.lessons_of_gone(db, {*runs.list_runs(self.home), *self.ledger.forgotten()})
        if lessons:
            self.ledger.append(*lessons)

    def _refreshed(self, path: Path | str) -> Database:
        connection = sqlite3.connect(path, timeout=30)
        try:
            db = over(connection)
            if path != IN_MEMORY:
                db.enable_wal()
            connection.execute("pragma secure_delete = on")  # what is forgotten leaves no bytes behind
            prepare(db)
            self._check(db)
            self._refresh(db)
        except BaseException:
            connection.close()
            raise
        return db

    def _check(self, db: Database) -> None:
        """Raise DatabaseError where pages are damaged. A file that is as it was when it was found sound is not read again."""
        stamp = self._stamp()
        if not stamp or stamp != self._sound:
            check(db)
            self._sound = stamp

    def _stamp(self) -> tuple[int, ...]:
        try:
            stat = self.path.stat()
        except OSError:
            return ()
        return stat.st_ino, stat.st_size, stat.st_mtime_ns

    # ---- its rows --------------------------------------------------------------------------------------------------------
    def _refresh(self, db: Database) -> None:
        """Read again what changed since: a folder whose log and worker are as indexed, and which has ended, costs two stats."""
        upkeep.take_in(db, self.ledger)
        known = {row["id"]: row for row in db.query("select id, state, offset, worker from runs")}
        present = runs.list_runs(self.home)
        changed = [run for run in present if not self._settled(run, known.get(run))]
        forgotten = {row["run"] for row in db.table("forgotten").rows} if changed else set[str]()
        for first in range(0, len(changed), AT_ONCE):
            read = [self._read(run) for run in changed[first : first + AT_ONCE]]
            with db.atomic():
                for row, memory in read:
                    db.table("runs").upsert(row, pk="id")
                    if memory is not None and memory.run not in forgotten:
                        upkeep.remember(db, memory, "run")
        for gone in known.keys() - set(present):
            db.table("runs").delete(gone)
        upkeep.keep_lessons(db, self.ledger, present)

    def _settled(self, run: str, row: dict[str, Any] | None) -> bool:
        if row is None or row["state"] in ("waiting", "running"):
            return False
        return (row["offset"], row["worker"]) == self._marks(run)

    def _read(self, run: str) -> tuple[dict[str, Any], Memory | None]:
        """A run's row, and what is remembered of it once it has ended. The marks are taken before reading."""
        offset, worker = self._marks(run)
        row, memory = self._row(run)
        return {**row, "offset": offset, "worker": worker}, memory

    def _marks(self, run: str) -> tuple[int, int]:
        """Size of the log, and when its worker or its name last changed, taken before reading: what grows in between is read next time."""
        folder = self.home / "runs" / run
        events, kept = folder / "events.jsonl", [path for path in (folder / "worker.json", folder / TITLE_FILE) if path.exists()]
        return events.stat().st_size if events.exists() else 0, max((path.stat().st_mtime_ns for path in kept), default=0)

    def _row(self, run: str) -> tuple[dict[str, Any], Memory | None]:
        folder = self.home / "runs" / run
        view = runs.view(self.home, run)
        base, adapter, _n = losses(view)
        report = run_report(view, folder)
        row: dict[str, Any] = {"id": run, "state": view.state, "base_loss": base, "adapter_loss": adapter, "steps": view.step}
        row |= {"started": view.started or (folder / "job.json").stat().st_mtime, "seconds": report["seconds"]}
        row |= {name: report[name] for name in ANSWERS} | {"told": told_short(view.conclusion) if view.conclusion else ""}
        row |= {"tokens_per_second": _speed(view)} | RunMeasurement().model_dump()
        try:
            job = runs.job(self.home, run)
        except UserError:
            unknown = dict.fromkeys(("task", "model", "dataset"), "")
            return row | unknown | {"kind": "train", "title": "This run's job.json cannot be read."}, None
        plan = job.plan
        row |= {"kind": job.kind, "task": str(plan.get("task", "")), "title": job.title}
        row |= {"model": str(plan.get("base_model", job.model)), "dataset": str(plan.get("dataset", ""))}
        if not isinstance(job, TrainJob):
            return row, None
        if job.imported:  # another computer's speed teaches nothing about this one
            return row | {"tokens_per_second": 0.0}, None
        if view.active:
            return row, None
        return row | measure(job.predicted, view, folder).model_dump(), _remembered(job, view, report)


def _remembered(job: TrainJob, view: RunView, report: dict[str, Any]) -> Memory | None:
    """What is remembered of a run; nothing where somebody wrote into its files what no run leaves behind."""
    try:
        return memory_of(job, view, report)
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError):  # ValidationError is a ValueError
        return None


def _speed(view: RunView) -> float:
    """Tokens per second within updates; looks at the held-out examples and checkpoints are not in it."""
    within = sum(step.tokens / step.tokens_per_second for step in view.steps if step.tokens_per_second > 0)
    return sum(step.tokens for step in view.steps) / within if within else 0.0
