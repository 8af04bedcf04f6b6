"""Owns history.db, the index of all runs, and all SQL there is. The run folders are the truth: the index can be deleted at any time.

Invariants: a run's row and the byte offset it was made from are written in one transaction; what is read goes through parameters;
a file that is no database, or was written by a newer version, is rebuilt and never repaired.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

from sqlite_utils import Database

from loralab import experience, runs
from loralab.errors import UserError
from loralab.events import RunView
from loralab.experience import TELLING, Experience, Lesson
from loralab.pace import LAST_RUNS
from loralab.report import losses, run_report

MEMORY = ":memory:"  # SQLite's name for a database without a file
UNWRITABLE = ("readonly", "is full", "unable to open", "disk I/O", "locked")  # how SQLite says that the file is fine and the place is not
TELLING_STEPS = TELLING  # fewer updates say little about a speed
LISTED = ("id", "kind", "title", "task", "state", "model", "dataset", "base_loss", "adapter_loss", "started", "seconds", "steps")


def _create_runs(db: Database) -> None:
    db.table("runs").create(
        {
            "id": str, "kind": str, "title": str, "task": str, "state": str, "model": str, "dataset": str, "base_loss": float,
            "adapter_loss": float, "started": float, "seconds": float, "steps": int, "offset": int, "worker": int,
        },
        pk="id",
        not_null={"kind", "state", "offset", "worker"},
    )  # fmt: skip
    db.table("runs").create_index(["started"])


def _add_speed(db: Database) -> None:
    db.table("runs").add_column("tokens_per_second", float)
    db.conn.execute("update runs set offset = -1")  # so that runs already indexed are read again and get theirs


def _add_lessons(db: Database) -> None:
    """Columns of experience.Lesson as it was then: what was foretold of a run, and what was."""
    for name in ("setting", "device", "pace", "mode"):
        db.table("runs").add_column(name, str, not_null_default="")
    for name in (
        "foretold_memory", "traced_memory", "probed_memory", "peak_memory", "foretold_step", "traced_step", "step_memory",
        "foretold_process", "process_memory", "foretold_disk", "measured_disk",
    ):  # fmt: skip
        db.table("runs").add_column(name, int)
    for name in ("foretold_seconds", "measured_seconds", "beside_seconds"):
        db.table("runs").add_column(name, float)
    db.conn.execute("update runs set offset = -1")


# Applied in order, each once; `user_version` counts them. Never edit one that was released: append.
MIGRATIONS: list[Callable[[Database], None]] = [_create_runs, _add_speed, _add_lessons]


class History:
    """The index of a workspace. Reading it brings it up to date first; safe from any thread and from two apps at once."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.path = home / "history.db"

    def runs(self) -> list[dict[str, Any]]:
        """Every run, newest first: id, kind, title, task, state, model, dataset, base_loss, adapter_loss, started, seconds, steps."""
        with self._open() as db:
            rows = sorted(db.table("runs").rows, key=lambda row: (row["started"], row["id"]), reverse=True)
            return [{name: row[name] for name in LISTED} for row in rows]

    def speeds(self) -> dict[str, float]:
        """Tokens per second of training by base model, as this machine did it: the median of the last runs long enough to tell."""
        with self._open() as db:
            rows = db.query(
                "select model, tokens_per_second as speed from runs where kind = 'train' and state = 'finished' and steps >= :steps "
                "and task not in ('pretrain', 'full') and tokens_per_second > 0 order by started desc",
                {"steps": TELLING_STEPS},
            )
            found: dict[str, list[float]] = {}
            for row in rows:
                found.setdefault(row["model"], []).append(row["speed"])
        return {model: median(speeds[:LAST_RUNS]) for model, speeds in found.items()}

    def experience(self) -> Experience:
        """What finished runs of this workspace teach about the next prediction: measured over foretold, newest first."""
        with self._open() as db:
            return experience.gather(db.table("runs").rows_where("kind = 'train' and state = 'finished'", order_by="started desc"))

    def rebuild(self) -> None:
        """Throw the index away and make it again from the run folders."""
        self._discard()
        self.runs()

    def _discard(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{self.path}{suffix}").unlink(missing_ok=True)

    @contextmanager
    def _open(self) -> Iterator[Database]:
        db = self._usable()
        try:
            yield db
        finally:
            db.close()

    def _usable(self) -> Database:
        """The index, up to date. Where its file is damaged it is made anew; where nothing can be written, in memory, for this once."""
        try:
            return self._refreshed(self.path)
        except sqlite3.OperationalError as error:
            if any(word in str(error) for word in UNWRITABLE):
                return self._refreshed(MEMORY)
        except (sqlite3.Error, ValueError, TypeError, KeyError):  # what damaged pages look like from here
            pass
        except OSError:
            return self._refreshed(MEMORY)
        try:
            self._discard()
            return self._refreshed(self.path)
        except (sqlite3.Error, OSError):
            return self._refreshed(MEMORY)

    def _refreshed(self, path: Path | str) -> Database:
        db = self._connect(path)
        try:
            _check(db)
            self._refresh(db)
        except BaseException:
            db.close()
            raise
        return db

    def _connect(self, path: Path | str) -> Database:
        connection = sqlite3.connect(path, timeout=30)
        try:
            db = Database(connection)
            if path != MEMORY:
                db.enable_wal()
            done = int(next(db.query("pragma user_version"))["user_version"])
            if done > len(MIGRATIONS):
                raise sqlite3.DatabaseError("written by a newer version")
            for number, migrate in enumerate(MIGRATIONS[done:], done + 1):
                _apply(db, migrate, number)
        except sqlite3.Error:
            connection.close()
            raise
        return db

    def _refresh(self, db: Database) -> None:
        """Read again what changed since: a folder whose log and worker are as indexed, and which has ended, costs two stats."""
        known = {row["id"]: row for row in db.table("runs").rows}
        present = runs.list_runs(self.home)
        for run in present:
            row = known.get(run)
            offset, worker = self._marks(run)
            settled = row is not None and row["state"] not in ("waiting", "running")
            if not (settled and row is not None and row["offset"] == offset and row["worker"] == worker):
                fresh = {**self._row(run), "offset": offset, "worker": worker}
                db.table("runs").upsert(fresh, pk="id")
        for gone in known.keys() - set(present):
            db.table("runs").delete(gone)

    def _marks(self, run: str) -> tuple[int, int]:
        """Size of the log and time of worker.json, taken before reading: what grows in between is read again next time."""
        folder = self.home / "runs" / run
        events, worker = folder / "events.jsonl", folder / "worker.json"
        return events.stat().st_size if events.exists() else 0, worker.stat().st_mtime_ns if worker.exists() else 0

    def _row(self, run: str) -> dict[str, Any]:
        folder = self.home / "runs" / run
        view = runs.view(self.home, run)
        base, adapter, _n = losses(view)
        row: dict[str, Any] = Lesson().model_dump() | {
            "id": run, "kind": "train", "title": "", "task": "", "state": view.state, "model": "", "dataset": "", "base_loss": base,
            "adapter_loss": adapter, "started": view.started or (folder / "job.json").stat().st_mtime,
            "seconds": run_report(view, folder)["seconds"], "tokens_per_second": _speed(view), "steps": view.step,
        }  # fmt: skip
        try:
            job = runs.job(self.home, run)
        except UserError:
            return row | {"title": "This run's job.json cannot be read."}
        plan = job.plan
        model, dataset = str(plan.get("base_model", job.options.get("model", ""))), str(plan.get("dataset", ""))
        title = str(plan.get("title", "") or job.options.get("of", ""))
        row |= {"kind": job.kind, "title": title, "task": str(plan.get("task", "")), "model": model, "dataset": dataset}
        if job.options.get("imported"):  # another computer's speed teaches nothing about this one
            return row | {"tokens_per_second": 0.0}
        if job.kind != "train" or view.active:
            return row
        filled = experience.folder_bytes(folder)
        return row | experience.lesson(plan, job.options.get("predicted"), view, filled).model_dump()


def _check(db: Database) -> None:
    """Raise DatabaseError where pages of the file are damaged; costs less than a millisecond."""
    if next(db.query("pragma quick_check(1)"))["quick_check"] != "ok":
        raise sqlite3.DatabaseError("damaged")
    if not set(LISTED) <= set(db.table("runs").columns_dict):  # a changed letter in the schema is no damaged page
        raise sqlite3.DatabaseError("damaged")


def _speed(view: RunView) -> float:
    """Tokens per second within updates; looks at the held-out examples and safety copies are not in it."""
    within = sum(step.tokens / step.tokens_per_second for step in view.steps if step.tokens_per_second > 0)
    return sum(step.tokens for step in view.steps) / within if within else 0.0


def _apply(db: Database, migrate: Callable[[Database], None], number: int) -> None:
    """One migration and its mark in one transaction; when another app was faster, nothing is done."""
    db.conn.execute("begin immediate")
    with db.conn:
        if int(next(db.query("pragma user_version"))["user_version"]) < number:
            migrate(db)
            db.conn.execute("pragma user_version = " + str(int(number)))  # a pragma takes no parameters
