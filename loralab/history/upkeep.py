"""Bringing the memory's tables up to date from run folders and memory.jsonl.

Invariants: what a run's folder tells goes before what was kept of it; a run that is to be forgotten leaves no row; a run whose folder has
gone keeps its row until memory.jsonl has taken it over; every change stands in one transaction with the mark of what it was made from.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from loralab.core.errors import Unavailable
from loralab.history.derive import points_of
from loralab.history.ledger import Advised, Entry, Forgotten, Found, Ledger, Lesson, Unlearned
from loralab.history.record import Memory

if TYPE_CHECKING:
    from sqlite_utils import Database

FINDINGS = "findings"  # id of what was found, among what was told about a run


# ---- one memory --------------------------------------------------------------------------------------------------------------


def remember(db: Database, memory: Memory, source: str) -> None:
    """Put a memory into the index; `source`: run (its folder is here) | kept | imported."""
    _drop(db, memory.run, memory.workspace)
    named = {"workspace": memory.workspace, "run": memory.run}
    parent = memory.tried.run if memory.tried else ""
    record = memory.model_dump_json(exclude_defaults=True)
    db.table("memories").insert(named | {"source": source, "ended": memory.ended, "parent": parent, "record": record})
    db.table("points").insert_all(
        named | {"kind": point.kind, "model": point.model, "time": point.time, "record": point.model_dump_json()}
        for point in points_of(memory)
    )


def _drop(db: Database, run: str, workspace: str) -> None:
    for table in ("memories", "points"):
        db.table(table).delete_where("run = ? and workspace = ?", [run, workspace])


# ---- memory.jsonl ------------------------------------------------------------------------------------------------------------


def take_in(db: Database, ledger: Ledger) -> None:
    """Bring what memory.jsonl says into the index, from where it was read to last time; from its beginning where it is another one."""
    mark = next((row["value"] for row in db.table("marks").rows_where("name = 'read'")), "")
    entries, now, again = ledger.since(mark)
    if now == mark:
        return
    with db.atomic():
        if again:
            _begin_again(db, {entry.run for entry in entries if isinstance(entry, Forgotten)})
        for entry in entries:
            _apply(db, entry)
        db.table("marks").upsert({"name": "read", "value": now}, pk="name")


def _begin_again(db: Database, forgotten: set[str]) -> None:
    """Nothing of what an earlier memory.jsonl said holds any more; runs it had forgotten are read again."""
    for row in list(db.table("forgotten").rows):
        if row["run"] not in forgotten:
            db.conn.execute("update runs set offset = -1 where id = ?", [row["run"]])
    for table in ("told", "forgotten", "unlearned"):
        db.table(table).delete_where()
    for row in list(db.query("select workspace, run from memories where source <> 'run'")):
        _drop(db, row["run"], row["workspace"])


_NOT_TAKEN = (  # a lesson of a run that is to be forgotten, or whose folder is here
    "select run from forgotten where run = ? union all select run from memories where run = ? and workspace = ? and source = 'run'"
)


def _apply(db: Database, entry: Entry) -> None:
    match entry:
        case Lesson(memory=memory):
            asked = [memory.run, memory.run, memory.workspace]
            if not list(db.query(_NOT_TAKEN, asked)):
                remember(db, memory, "imported" if memory.imported else "kept")
        case Found(run=run):
            db.table("told").upsert({"run": run, "id": FINDINGS, "record": entry.model_dump_json()}, pk=("run", "id"))
        case Advised(advice=advice):
            db.table("told").upsert({"run": advice.run, "id": advice.id, "record": entry.model_dump_json()}, pk=("run", "id"))
        case Unlearned(point=point):
            db.table("unlearned").upsert({"point": point}, pk="point")
        case Forgotten(run=run):
            db.table("forgotten").upsert({"run": run}, pk="run")
            for table in ("memories", "points", "told"):
                db.table(table).delete_where("run = ?", [run])
        case _:
            pass


def is_forgotten(db: Database, run: str) -> bool:
    """Whether a run is to be forgotten."""
    return db.table("forgotten").count_where("run = ?", [run]) > 0


# ---- runs that have gone -----------------------------------------------------------------------------------------------------


def keep_lessons(db: Database, ledger: Ledger, present: Iterable[str]) -> None:
    """Hand what was learned from runs whose folders are gone to memory.jsonl. Where it cannot be written: the next time."""
    gone = lessons_of_gone(db, set(present))
    if not gone:
        return
    try:
        ledger.append(*gone)
    except Unavailable:
        return
    with db.atomic():
        for lesson in gone:
            db.conn.execute("update memories set source = 'kept' where source = 'run' and run = ?", [lesson.memory.run])


def lessons_of_gone(db: Database, present: set[str]) -> list[Lesson]:
    """What only the index knows yet: runs whose folders are gone. An index of the version before has the same columns."""
    rows = db.query("select run, record from memories where source = 'run'")
    return [Lesson(type="lesson", memory=Memory.model_validate_json(row["record"])) for row in rows if row["run"] not in present]
