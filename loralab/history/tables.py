"""Owns the shape of history.db: numbered migrations, and whether a file is sound. Invariant: a released migration is never edited."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import cache

from sqlite_utils import Database


def _create_runs(db: Database) -> None:
    db.table("runs").create(
        {
            "id": str,
            "kind": str,
            "title": str,
            "task": str,
            "state": str,
            "model": str,
            "dataset": str,
            "base_loss": float,
            "adapter_loss": float,
            "started": float,
            "seconds": float,
            "steps": int,
            "offset": int,
            "worker": int,
        },
        pk="id",
        not_null={"kind", "state", "offset", "worker"},
    )
    db.table("runs").create_index(["started"])


def _add_speed(db: Database) -> None:
    db.table("runs").add_column("tokens_per_second", float)
    db.conn.execute("update runs set offset = -1")  # so that runs already indexed are read again and get theirs


def _add_lessons(db: Database) -> None:
    """Columns of experience.Lesson as it was then: what was foretold of a run, and what was."""
    for name in ("setting", "device", "pace", "mode"):
        db.table("runs").add_column(name, str, not_null_default="")
    for name in (
        "foretold_memory",
        "traced_memory",
        "probed_memory",
        "peak_memory",
        "foretold_step",
        "traced_step",
        "step_memory",
        "foretold_process",
        "process_memory",
        "foretold_disk",
        "measured_disk",
    ):
        db.table("runs").add_column(name, int)
    for name in ("foretold_seconds", "measured_seconds", "beside_seconds"):
        db.table("runs").add_column(name, float)
    db.conn.execute("update runs set offset = -1")


def _add_memory(db: Database) -> None:
    """What is remembered of runs, the columns that are asked for beside each record, and the words that are searched."""
    name = {"workspace": str, "run": str}
    db.table("memories").create(
        {
            "id": int,
            **name,
            "source": str,
            "ended": float,
            "outcome": str,
            "model": str,
            "architecture": str,
            "size": float,
            "data": str,
            "examples": int,
            "length": int,
            "shape": str,
            "best_loss": float,
            "control": int,
            "title": str,
            "dataset": str,
            "trouble": str,
            "told": str,
            "parent": str,
            "record": str,
        },
        pk="id",
        not_null={"workspace", "run", "source", "record"},
    )
    db.table("memories").create_index(["workspace", "run"], unique=True)
    db.table("memories").create_index(["ended"])
    db.table("memories").create_index(["parent"])
    db.table("memories").enable_fts(
        ["title", "model", "dataset", "trouble", "told"], create_triggers=True, tokenize="porter unicode61 remove_diacritics 2"
    )
    db.table("points").create({**name, "kind": str, "ok": int, "model": str, "time": float, "record": str})
    db.table("points").create_index(["workspace", "run"])
    db.table("points").create_index(["kind", "model", "time"])
    db.table("findings").create({"run": str, "place": int, "rule": str, "confidence": float, "record": str}, pk=("run", "place"))
    db.table("actions").create({"id": str, "run": str, "by": str, "rule": str, "child": str, "fixed": int, "record": str}, pk="id")
    db.table("actions").create_index(["run"])
    db.table("advice").create({"id": str, "run": str, "rule": str, "taken": int, "record": str}, pk="id")
    db.table("advice").create_index(["run"])
    db.table("forgotten").create({"run": str}, pk="run")
    db.table("marks").create({"name": str, "value": str}, pk="name")
    db.conn.execute("update runs set offset = -1")


# Applied in order, each once; `user_version` counts them. Never edit one that was released: append.
MIGRATIONS: list[Callable[[Database], None]] = [_create_runs, _add_speed, _add_lessons, _add_memory]


def migrate(db: Database) -> None:
    """Bring an index to this version's shape. Raises DatabaseError where a newer version wrote it."""
    done = int(next(db.query("pragma user_version"))["user_version"])
    if done > len(MIGRATIONS):
        raise sqlite3.DatabaseError("written by a newer version")
    for number, change in enumerate(MIGRATIONS[done:], done + 1):
        _apply(db, change, number)


def check(db: Database) -> None:
    """Raise DatabaseError where pages of the file are damaged, or a table is not the one that was made; reads all of it."""
    if next(db.query("pragma quick_check(1)"))["quick_check"] != "ok" or _shape(db) != _whole():
        raise sqlite3.DatabaseError("damaged")


def _shape(db: Database) -> frozenset[tuple[str, str]]:
    """Name and making of every table, index and trigger: a changed letter in it is damage that SQLite itself takes for another name."""
    return frozenset((row["name"], row["sql"] or "") for row in db.query("select name, sql from sqlite_master"))


@cache
def _whole() -> frozenset[tuple[str, str]]:
    """The shape of an index made just now. One that an earlier version made otherwise is made anew, once."""
    db = Database(memory=True)
    try:
        migrate(db)
        return _shape(db)
    finally:
        db.close()


def _apply(db: Database, change: Callable[[Database], None], number: int) -> None:
    """One migration and its mark in one transaction; when another app was faster, nothing is done."""
    db.conn.execute("begin immediate")
    with db.conn:
        if int(next(db.query("pragma user_version"))["user_version"]) < number:
            change(db)
            db.conn.execute("pragma user_version = " + str(int(number)))  # a pragma takes no parameters
