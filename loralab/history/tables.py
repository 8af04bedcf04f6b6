"""The shape of history.db, and whether a file has it. Invariant: an index of another version, or a damaged one, is made anew."""

from __future__ import annotations

import sqlite3
from functools import cache
from typing import TYPE_CHECKING, Any

from loralab.history.database import over
from loralab.history.measure import RunMeasurement

if TYPE_CHECKING:
    from sqlite_utils import Database

VERSION = 7  # of the tables; any other is made anew

# What stands in a row of `runs`; a measurement's columns follow.
RUN: dict[str, Any] = {
    "id": str,
    "kind": str,
    "title": str,
    "task": str,
    "state": str,
    "model": str,
    "dataset": str,
    "base_loss": float,
    "adapter_loss": float,
    "learned": str,
    "learned_words": str,
    "usable": str,
    "usable_words": str,
    "but": str,
    "told": str,  # the two answers in a few words
    "started": float,
    "seconds": float,
    "steps": int,
    "tokens_per_second": float,
    "offset": int,  # size of its log, time of its worker.json or of its name, as they were read
    "worker": int,
}
MEMORY = {"workspace": str, "run": str, "source": str, "ended": float, "parent": str, "record": str}
POINT = {"workspace": str, "run": str, "kind": str, "model": str, "time": float, "record": str}


def prepare(db: Database) -> None:
    """Make the tables of an empty index. Raises DatabaseError where another version made them."""
    if not _version(db):
        db.conn.execute("begin immediate")
        with db.conn:
            if not _version(db):  # else another app was faster
                _create(db)
                db.conn.execute("pragma user_version = " + str(VERSION))  # a pragma takes no parameters
    if _version(db) != VERSION:
        raise sqlite3.DatabaseError("made by another version")


def check(db: Database) -> None:
    """Raise DatabaseError where pages of the file are damaged, or a table is not the one that was made; reads all of it."""
    if not is_whole(db) or _shape(db) != _whole():
        raise sqlite3.DatabaseError("damaged")


def is_whole(db: Database) -> bool:
    """Whether no page of the file is damaged, whatever is in it."""
    return next(db.query("pragma quick_check(1)"))["quick_check"] == "ok"


def _create(db: Database) -> None:
    measured = {name: _column(field.annotation) for name, field in RunMeasurement.model_fields.items()}
    db.table("runs").create(RUN | measured, pk="id", not_null={"kind", "state", "offset", "worker"})
    db.table("memories").create(MEMORY, pk=("workspace", "run"), not_null={"source", "record"})
    db.table("memories").create_index(["ended"])
    db.table("memories").create_index(["parent"])
    db.table("points").create(POINT)
    db.table("points").create_index(["run"])
    db.table("points").create_index(["kind", "model", "time"])
    db.table("told").create({"run": str, "id": str, "record": str}, pk=("run", "id"))  # lines of memory.jsonl: what was found, each advice
    db.table("forgotten").create({"run": str}, pk="run")
    db.table("unlearned").create({"point": str}, pk="point")
    db.table("marks").create({"name": str, "value": str}, pk="name")


def _column(annotation: Any) -> type:
    return str if annotation is str else float if annotation == float | None else int


def _version(db: Database) -> int:
    return int(next(db.query("pragma user_version"))["user_version"])


def _shape(db: Database) -> frozenset[tuple[str, str]]:
    """Name and making of every table and index: a changed letter in it is damage that SQLite itself takes for another name."""
    return frozenset((row["name"], row["sql"] or "") for row in db.query("select name, sql from sqlite_master"))


@cache
def _whole() -> frozenset[tuple[str, str]]:
    """The shape of an index made just now."""
    db = over(sqlite3.connect(":memory:"))
    try:
        prepare(db)
        return _shape(db)
    finally:
        db.close()
