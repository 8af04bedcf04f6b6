"""Owns bringing the memory's tables up to date from run folders and memory.jsonl.

Invariants: what a run's folder tells goes before what was kept of it; a run that is to be forgotten leaves no row; a run whose folder has
gone keeps its row until memory.jsonl has taken it over; every change stands in one transaction with the mark of what it was made from.
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlite_utils import Database

from loralab.core.errors import Unavailable
from loralab.core.facts import Facts
from loralab.history.derive import points_of
from loralab.history.ledger import Advised, Done, Entry, Forgotten, Found, Ledger, Lesson
from loralab.history.record import Memory

TABLES = ("memories", "points", "findings", "actions", "advice")
_SAID = (
    "select json_extract(record, '$.title') as said from findings where run = :run "
    "union all select json_extract(record, '$.why') from actions where run = :run "
    "union all select json_extract(record, '$.words') from advice where run = :run"
)


# ---- one memory --------------------------------------------------------------------------------------------------------------


def remember(db: Database, memory: Memory, source: str) -> None:
    """Put a memory into the index; `source`: run (its folder is here) | kept | imported."""
    _drop(db, memory.run, memory.workspace)
    facts = memory.facts or Facts()
    db.table("memories").insert(
        {
            "workspace": memory.workspace,
            "run": memory.run,
            "source": source,
            "ended": memory.ended,
            "outcome": memory.outcome,
            "model": memory.model,
            "architecture": facts.architecture,
            "size": size(facts),
            "data": facts.data,
            "examples": facts.n_train,
            "length": facts.tokens.get("p95", 0),
            "shape": shape(facts),
            "best_loss": memory.best_loss,
            "control": int(memory.control),
            "title": memory.title,
            "dataset": memory.dataset,
            "trouble": _trouble(memory),
            "told": _told(db, memory),
            "parent": memory.tried.run if memory.tried else "",
            "record": memory.model_dump_json(exclude_defaults=True),
        }
    )
    db.table("points").insert_all(
        {
            "workspace": point.workspace,
            "run": point.run,
            "kind": point.kind,
            "ok": int(point.ok),
            "model": point.model,
            "time": point.time,
            "record": point.model_dump_json(),
        }
        for point in points_of(memory)
    )


def forget(db: Database, runs: Iterable[str]) -> None:
    """Take every row about these runs out, of whichever workspace they are."""
    for run in runs:
        for table in TABLES:
            db.table(table).delete_where("run = ?", [run])


def size(facts: Facts) -> float:
    """About how many weights a model has, from its shape, so that it is the same number before a run and after."""
    return float(12 * facts.layers * facts.hidden**2 + facts.vocabulary * facts.hidden) or float(facts.parameters)


def shape(facts: Facts) -> str:
    """What kind of examples they are: text | labels | conversations."""
    return "text" if facts.plain else "labels" if facts.classes else "conversations"


def _drop(db: Database, run: str, workspace: str) -> None:
    for table in ("memories", "points"):
        db.table(table).delete_where("run = ? and workspace = ?", [run, workspace])


def _trouble(memory: Memory) -> str:
    words = [memory.outcome, memory.code.replace("_", " "), memory.what, memory.verdict]
    words += [f"{one.code.replace('_', ' ')} {one.text}" for one in memory.moments]
    return "\n".join(dict.fromkeys(filter(None, words)))


def _told(db: Database, memory: Memory) -> str:
    """Words of findings, actions and advice: those that came with the memory, and those of memory.jsonl."""
    words = [f"{cause.title} {cause.words}" for cause in memory.findings] + [act.why for act in memory.actions]
    if not memory.workspace:
        words += [row["said"] for row in db.query(_SAID, {"run": memory.run})]
    return "\n".join(dict.fromkeys(filter(None, words)))


# ---- memory.jsonl ------------------------------------------------------------------------------------------------------------


def take_in(db: Database, ledger: Ledger) -> None:
    """Bring what memory.jsonl says into the index, from where it was read to last time; from its beginning where it is another one."""
    marks = {row["name"]: row["value"] for row in db.table("marks").rows}
    mark, (size, changed), offset = ledger.mark(), ledger.stamp(), int(marks.get("offset", 0))
    if (mark, str(changed), size) == (marks.get("edition", ""), marks.get("changed", "0"), offset):
        return
    again = mark != marks.get("edition", "") or size <= offset  # it was not added to: it is another one, or was put right
    entries, offset = ledger.read(0 if again else offset)
    if not again and not entries:  # half a line of a writer that died
        return
    with db.atomic():
        if again:
            _begin_again(db, {entry.run for entry in entries if isinstance(entry, Forgotten)})
        for entry in entries:
            _apply(db, entry)
        values = {"edition": mark, "offset": str(offset), "changed": str(changed)}
        db.table("marks").upsert_all([{"name": name, "value": value} for name, value in values.items()], pk="name")


def _begin_again(db: Database, forgotten: set[str]) -> None:
    """Nothing of what an earlier memory.jsonl said holds any more; runs it had forgotten are read again."""
    for row in list(db.table("forgotten").rows):
        if row["run"] not in forgotten:
            db.conn.execute("update runs set offset = -1 where id = ?", [row["run"]])
    for table in ("findings", "actions", "advice", "forgotten"):
        db.table(table).delete_where()
    for row in list(db.query("select workspace, run from memories where source <> 'run'")):
        _drop(db, row["run"], row["workspace"])


def _apply(db: Database, entry: Entry) -> None:
    match entry:
        case Lesson(memory=memory):
            if not _here(db, memory):
                remember(db, memory, "imported" if memory.imported else "kept")
        case Found(run=run, causes=causes):
            db.table("findings").delete_where("run = ?", [run])
            db.table("findings").insert_all(
                {"run": run, "place": at, "rule": cause.rule, "confidence": cause.confidence, "record": cause.model_dump_json()}
                for at, cause in enumerate(causes)
            )
            _tell(db, run)
        case Done(action=action):
            row = {"id": action.id, "run": action.run, "by": action.by, "rule": action.rule, "child": action.child, "fixed": action.fixed}
            db.table("actions").upsert(row | {"record": action.model_dump_json()}, pk="id")
            _tell(db, action.run)
        case Advised(advice=advice):
            row = {"id": advice.id, "run": advice.run, "rule": advice.rule, "taken": advice.taken, "record": advice.model_dump_json()}
            db.table("advice").upsert(row, pk="id")
            _tell(db, advice.run)
        case Forgotten(run=run):
            db.table("forgotten").upsert({"run": run}, pk="run")
            forget(db, [run])
        case _:
            pass


def _here(db: Database, memory: Memory) -> bool:
    asked = [memory.workspace, memory.run]
    return bool(list(db.query("select 1 from memories where workspace = ? and run = ? and source = 'run'", asked)))


def _tell(db: Database, run: str) -> None:
    """Make the words of a run searchable again, after something was said about it."""
    for row in list(db.query("select id, record from memories where run = ? and workspace = ''", [run])):
        told = _told(db, Memory.model_validate_json(row["record"]))
        db.table("memories").update(row["id"], {"told": told})


# ---- runs that have gone -----------------------------------------------------------------------------------------------------


def keep_lessons(db: Database, ledger: Ledger, present: set[str]) -> None:
    """Hand what was learned from runs whose folders are gone to memory.jsonl. Where it cannot be written: the next time."""
    gone = [row for row in db.query("select id, run, record from memories where source = 'run'") if row["run"] not in present]
    if not gone:
        return
    try:
        ledger.append(*(Lesson(memory=Memory.model_validate_json(row["record"])) for row in gone))
    except Unavailable:
        return
    with db.atomic():
        for row in gone:
            db.table("memories").update(row["id"], {"source": "kept"})
