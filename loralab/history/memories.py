"""Owns the memory's front: what can be asked of it, told to it, brought to another computer, and forgotten.

Invariants: asking goes through a connection that cannot write; telling goes to memory.jsonl and never to the index; a run of another
workspace is always marked as such; a run that was forgotten is neither found nor told about again.
"""

from __future__ import annotations

import re
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any

from sqlite_utils import Database

from loralab.core import disk
from loralab.core.errors import UserError
from loralab.core.facts import Facts
from loralab.history import travel
from loralab.history.derive import bare
from loralab.history.ledger import Advised, Done, Found, Ledger, Lesson
from loralab.history.likeness import Similar, likeness, words
from loralab.history.record import Act, Advice, By, Cause, Kind, Memory, Point
from loralab.history.travel import Arrived
from loralab.reports.report import plain
from loralab.runs import runs
from loralab.tasks.text import TextPlan

_RANKED = (
    "select memories.* from memories_fts join memories on memories.id = memories_fts.rowid where memories_fts match :words "
    "order by bm25(memories_fts, 3.0, 5.0, 2.0, 1.0, 1.0), memories.ended desc limit :n"
)


class Memories:
    """What is remembered of the runs of a workspace and of those imported into it."""

    def __init__(self, home: Path, opened: Callable[[], AbstractContextManager[Database]], ledger: Ledger) -> None:
        self.home, self._open, self.ledger = home, opened, ledger

    # ---- asking ----------------------------------------------------------------------------------------------------------
    def recent(self, n: int = 20, *, imported: bool = False) -> tuple[Memory, ...]:
        """The last runs of this workspace, newest first; or the last of those imported."""
        where = "source = 'imported'" if imported else "source <> 'imported'"
        with self._reading() as db:
            return tuple(_whole(db, row) for row in db.table("memories").rows_where(where, order_by="ended desc, run desc", limit=n))

    def of(self, run: str) -> Memory | None:
        """What is remembered of a run; None where nothing is."""
        with self._reading() as db:
            rows = db.table("memories").rows_where("run = ?", [run], order_by="workspace", limit=1)  # our own before an imported one
            return next((_whole(db, row) for row in rows), None)

    def counts(self) -> dict[str, int]:
        """How many runs are remembered, by where they are from: run (their folder is here), kept (it was deleted), imported."""
        with self._reading() as db:
            found = {row["source"]: row["n"] for row in db.query("select source, count(*) as n from memories group by source")}
            return {source: int(found.get(source, 0)) for source in ("run", "kept", "imported")}

    def search(self, text: str, n: int = 20) -> tuple[Memory, ...]:
        """Runs whose names, models, files, troubles or findings have these words, best first; those with all of them before the rest."""
        asked = [f'"{word}"*' for word in re.findall(r"\w+", text)[:30]]
        if not asked:
            return ()
        with self._reading() as db:
            rows = {row["id"]: row for join in (" AND ", " OR ") for row in db.query(_RANKED, {"words": join.join(asked), "n": n})}
            return tuple(_whole(db, row) for row in list(rows.values())[:n])

    def similar(self, facts: Facts, plan: TextPlan, n: int = 8) -> tuple[Similar, ...]:
        """The runs that say most about one with these facts and this plan (see likeness.py), of those with a measured loss."""
        with self._reading() as db:
            rows = db.query(
                "select id, model, architecture, size, data, examples, length, shape, ended from memories "
                "where best_loss is not null and control = 0"
            )
            scored = sorted(((likeness(facts, plan.base_model, row), row["ended"], row["id"], row) for row in rows), key=lambda s: s[:3])
            return tuple(
                Similar(memory=_whole(db, db.table("memories").get(at)), likeness=score, words=words(facts, plan.base_model, row))
                for score, _, at, row in scored[: -n - 1 : -1]
            )

    def points(self, kind: Kind, model: str = "") -> tuple[Point, ...]:
        """Settings that went wrong and that went well, oldest first; of one base model, or of all."""
        with self._reading() as db:
            rows = db.table("points").rows_where(
                "kind = :kind and (:model = '' or model = :model)", {"kind": kind, "model": model}, order_by="time, rowid"
            )
            return tuple(Point.model_validate_json(row["record"]) for row in rows)

    def actions(self, n: int = 50) -> tuple[Act, ...]:
        """What was changed because of runs of this workspace by somebody else than their guard, newest first, and what came of it."""
        with self._reading() as db:
            told = [Act.model_validate_json(row["record"]) for row in db.table("actions").rows]
            tried = [Memory.model_validate_json(row["record"]).tried for row in db.table("memories").rows_where(_TRIED)]
            found = [_settled(db, act) for act in [*told, *(act for act in tried if act)]]
        return tuple(sorted(found, key=lambda act: act.time, reverse=True)[:n])

    def advice(self, n: int = 50) -> tuple[Advice, ...]:
        """What was advised, newest first, and whether it was taken."""
        with self._reading() as db:
            found = [Advice.model_validate_json(row["record"]) for row in db.table("advice").rows]
        return tuple(sorted(found, key=lambda one: one.time, reverse=True)[:n])

    # ---- telling ---------------------------------------------------------------------------------------------------------
    def note_findings(self, run: str, findings: Sequence[dict[str, Any]]) -> None:
        """What was found in a run, instead of what was found before. Keys: rule, title, words, severity, confidence, evidence."""
        causes = tuple(Cause.model_validate(_short(found)) for found in findings)
        with self._reading() as db:
            known = tuple(Cause.model_validate_json(row["record"]) for row in db.table("findings").rows_where("run = ?", [run]))
            silent = causes == known or _forgotten(db, run)
        if not silent:
            self.ledger.append(Found(run=run, causes=causes))

    def note_action(self, run: str, changes: dict[str, tuple[Any, Any]], *, by: By, why: str, rule: str = "", child: str = "") -> str:
        """Something that was changed because of a run; returns its id. `changes`: setting -> (before, after)."""
        act = Act(id=secrets.token_hex(8), run=run, time=time.time(), by=by, changes=changes, why=bare(why), rule=rule, child=child)
        self._tell(run, Done(action=act))
        return act.id

    def note_result(self, action: str, *, fixed: bool | None, child: str = "") -> None:
        """What came of an action. Raises UserError for one that is not known."""
        known = next((act for act in self.actions(10_000) if act.id == action), None)
        if known is None:
            raise UserError(f"There is no action “{action}”.", "It may have been forgotten.", code="no_action")
        self._tell(known.run, Done(action=known.model_copy(update={"fixed": fixed, "child": child or known.child})))

    def note_advice(self, run: str, text: str, settings: dict[str, Any] | None = None, *, rule: str = "") -> str:
        """Something a person was advised to do about a run (empty: about none); returns its id."""
        given = Advice(id=secrets.token_hex(8), run=run, time=time.time(), words=bare(text), settings=settings or {}, rule=rule)
        self._tell(run, Advised(advice=given))
        return given.id

    def note_taken(self, advice: str, *, taken: bool) -> None:
        """Whether an advice was taken. Raises UserError for one that is not known."""
        known = next((one for one in self.advice(10_000) if one.id == advice), None)
        if known is None:
            raise UserError(f"There is no advice “{advice}”.", "It may have been forgotten.", code="no_advice")
        self._tell(known.run, Advised(advice=known.model_copy(update={"taken": taken})))

    # ---- forgetting, and travelling --------------------------------------------------------------------------------------
    def forget(self, run: str = "") -> int:
        """Forget one run, or, without a name, everything; returns how many runs were remembered.

        Runs that lie in the workspace stay usable and are not remembered again. Raises UserError where nothing is known of the run.
        """
        with self._reading() as db:
            known = [row["run"] for row in db.query("select run from memories where run = :run or :run = ''", {"run": run})]
        present = runs.list_runs(self.home)
        if not run:
            self.ledger.forget_everything(present)
        elif known or run in present:
            self.ledger.forget([run])
        else:
            raise UserError(f"Nothing is remembered of “{run}”.", "See what is: python -m loralab memory.", code="no_run")
        with self._open() as db, suppress(sqlite3.OperationalError):  # another app reads at this moment: the rows have gone all the same
            db.table("memories").optimize()
            db.conn.execute("vacuum")
            db.conn.execute("pragma wal_checkpoint(truncate)")
        return len(known)

    def export(self, path: Path) -> int:
        """Write all that is remembered into one .jsonl or .zip file; returns how many runs. It holds no example, answer or path."""
        with disk.writing(path), self._reading() as db:
            whole = (_whole(db, row) for row in list(db.table("memories").rows_where(order_by="ended")))
            return travel.write(path, whole, self.ledger.named())

    def take_in(self, path: Path) -> Arrived:
        """Add the memories of a file that `export` made elsewhere. Each line is looked at first; the sound ones are added at once."""
        memories, arrived = travel.read(path)
        own = self.ledger.named()
        with self._reading() as db:
            known = {(row["workspace"], row["run"]) for row in db.query("select workspace, run from memories")}
            forgotten = {row["run"] for row in db.table("forgotten").rows}
        new: dict[tuple[str, str], Memory] = {}
        counts = {"known": 0, "forgotten": 0}
        for memory in memories:
            mine = memory.model_copy(update={"workspace": ""}) if memory.workspace == own else memory
            name = mine.workspace, mine.run
            if mine.run in forgotten or name in known or name in new:
                counts["forgotten" if mine.run in forgotten else "known"] += 1
            else:
                new[name] = mine
        if new:
            self.ledger.add(Lesson(memory=memory) for memory in new.values())
        return arrived.model_copy(update={"added": len(new), **counts})

    # ---- within ----------------------------------------------------------------------------------------------------------
    @contextmanager
    def _reading(self) -> Iterator[Database]:
        """The index, up to date; from here on this connection refuses to write."""
        with self._open() as db:
            db.conn.execute("pragma query_only = on")
            yield db

    def _tell(self, run: str, entry: Found | Done | Advised) -> None:
        with self._reading() as db:
            if _forgotten(db, run):
                return
        self.ledger.append(entry)


_TRIED = "parent <> '' and source <> 'imported'"


def _whole(db: Database, row: dict[str, Any]) -> Memory:
    """A memory with what memory.jsonl says about its run."""
    memory = Memory.model_validate_json(row["record"])
    if memory.imported:
        return memory
    run = [memory.run]
    tried = [Memory.model_validate_json(of["record"]).tried for of in db.query("select record from memories where parent = ?", run)]
    told = [Act.model_validate_json(of["record"]) for of in db.query("select record from actions where run = ?", run)]
    acts = sorted([*told, *(act for act in tried if act)], key=lambda act: act.time)
    causes = db.query("select record from findings where run = ? order by place", run)
    advice = db.query("select record from advice where run = ?", run)
    return memory.model_copy(
        update={
            "findings": (*memory.findings, *(Cause.model_validate_json(of["record"]) for of in causes)),
            "actions": (*memory.actions, *(_settled(db, act) for act in acts)),
            "advice": (*memory.advice, *(Advice.model_validate_json(of["record"]) for of in advice)),
        }
    )


def _settled(db: Database, act: Act) -> Act:
    """An action with what came of it, where the run it was tried in tells."""
    if act.fixed is not None or not act.child:
        return act
    outcome = next(iter(db.query("select outcome from memories where run = ? and workspace = ''", [act.child])), {}).get("outcome")
    return act.model_copy(update={"fixed": {"finished": True, "failed": False, "killed": False}.get(str(outcome))})


def _forgotten(db: Database, run: str) -> bool:
    return bool(run and list(db.query("select 1 from forgotten where run = ?", [run])))


def _short(found: Any) -> Any:
    """What was found, without the folders that sentences and log lines name, and no longer than is kept."""
    match found:
        case dict():
            return {str(name): _short(value) for name, value in found.items()}
        case list() | tuple():
            return [_short(value) for value in found]
        case str():
            return bare(found)
        case _:
            return plain(found)
