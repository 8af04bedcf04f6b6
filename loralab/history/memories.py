"""The memory's front: what can be asked of it, told to it, brought to another computer, and forgotten.

Invariants: asking goes through a connection that cannot write; telling goes to memory.jsonl and never to the index; a run of another
workspace is always marked as such; a run that was forgotten is neither found nor told about again.
"""

from __future__ import annotations

import json
import re
import secrets
import sqlite3
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from loralab.core import disk
from loralab.core.errors import UserError
from loralab.core.strict_json import plain
from loralab.history import travel
from loralab.history.derive import bare
from loralab.history.ledger import Advised, Found, Ledger, Lesson, Unlearned
from loralab.history.record import Act, Advice, Cause, Kind, Memory, Point
from loralab.history.travel import Arrived
from loralab.history.upkeep import FINDINGS, is_forgotten
from loralab.runs import runs

if TYPE_CHECKING:
    from sqlite_utils import Database

SEARCHED = frozenset(
    {"title", "model", "dataset", "outcome", "code", "what", "verdict", "learned_words", "usable_words", "text", "words", "why"}
)  # fields of a memory


KINDS: tuple[Kind, ...] = get_args(Kind)
MOST_ADVICE = 10_000


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
        """Runs whose names, models, files, troubles or findings have these words, newest first; where none has all, those with most."""
        words = set(re.findall(r"\w+", text.lower()))
        with self._reading() as db:
            told: dict[str, str] = {}
            for row in db.table("told").rows:
                told[row["run"]] = f"{told.get(row['run'], '')}\n{_text(row['record'])}"
            rows = list(db.table("memories").rows_where(order_by="ended desc, run desc"))
            texts = [_text(row["record"]) + ("" if row["workspace"] else told.get(row["run"], "")) for row in rows]
            hits = [sum(word in text for word in words) for text in texts]
            most = max(hits, default=0)
            found = [row for row, number in zip(rows, hits, strict=True) if number == most > 0]
            return tuple(_whole(db, row) for row in found[:n])

    def points(self, kind: Kind, model: str = "") -> tuple[Point, ...]:
        """Settings that went wrong and that went well, oldest first; of one base model, or of all."""
        with self._reading() as db:
            rows = db.table("points").rows_where(
                "kind = :kind and (:model = '' or model = :model)", {"kind": kind, "model": model}, order_by="time, rowid"
            )
            found = [Point.model_validate_json(row["record"]) for row in rows]
            gone = {row["point"] for row in db.table("unlearned").rows}
            return tuple(point for point in found if point.name not in gone)

    def actions(self, n: int = 50) -> tuple[Act, ...]:
        """What was changed in another try of a run of this workspace, newest first, and what came of it."""
        with self._reading() as db:
            rows = db.table("memories").rows_where("parent <> '' and source <> 'imported'", order_by="ended desc", limit=n)
            found = [act for row in rows if (act := Memory.model_validate_json(row["record"]).tried)]
        return tuple(sorted(found, key=lambda act: act.time, reverse=True))

    def advice(self, n: int = 50) -> tuple[Advice, ...]:
        """What was advised, newest first, and whether it was taken."""
        with self._reading() as db:
            rows = db.table("told").rows_where("id <> ?", [FINDINGS])
            found = [Advised.model_validate_json(row["record"]).advice for row in rows]
        return tuple(sorted(found, key=lambda one: one.time, reverse=True)[:n])

    # ---- telling ---------------------------------------------------------------------------------------------------------
    def note_findings(self, run: str, findings: Sequence[dict[str, Any]]) -> None:
        """What was found in a run, instead of what was found before. Keys: rule, title, words, severity, confidence, evidence."""
        causes = tuple(Cause.model_validate(_short(found)) for found in findings)
        with self._reading() as db:
            silent = causes == _told(db, run)[0] or is_forgotten(db, run)
        if not silent:
            self.ledger.append(Found(type="found", run=run, causes=causes))

    def note_advice(self, run: str, text: str, settings: dict[str, Any] | None = None, *, rule: str = "") -> str:
        """Something a person was advised to do about a run (empty: about none); its id, that of the first time where it is said again."""
        words = bare(text)
        if known := next((one for one in self.advice(MOST_ADVICE) if (one.run, one.rule, one.words) == (run, rule, words)), None):
            return known.id
        given = Advice(id=secrets.token_hex(8), run=run, time=time.time(), words=words, settings=settings or {}, rule=rule)
        self._note(given)
        return given.id

    def note_taken(self, advice: str, *, taken: bool) -> None:
        """Whether an advice was taken. Raises UserError for one that is not known."""
        known = next((one for one in self.advice(MOST_ADVICE) if one.id == advice), None)
        if known is None:
            raise UserError(f"There is no advice “{advice}”.", "It may have been forgotten.", code="no_advice")
        self._note(known.model_copy(update={"taken": taken}))

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
            raise UserError(f"Nothing is remembered of “{run}”.", "The page “What I remember” lists what is.", code="no_run")
        with self._open() as db, suppress(sqlite3.OperationalError):  # another app reads at this moment: the rows have gone all the same
            db.conn.execute("vacuum")
            db.conn.execute("pragma wal_checkpoint(truncate)")
        return len(known)

    def forget_line(self, line: str) -> None:
        """Forget one line: a point, by its name, or an advice, by its id. Raises UserError where there is no such line."""
        if any(point.name == line for kind in KINDS for point in self.points(kind)):
            self.ledger.append(Unlearned(type="unlearned", point=line))
        elif any(one.id == line for one in self.advice(MOST_ADVICE)):
            self.ledger.forget_advice(line)
        else:
            raise UserError("That line is not remembered any more.", "Open the page again to see what is.", code="no_line")

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
            self.ledger.append(*(Lesson(type="lesson", memory=memory) for memory in new.values()))
        return arrived.model_copy(update={"added": len(new), **counts})

    # ---- within ----------------------------------------------------------------------------------------------------------
    @contextmanager
    def _reading(self) -> Generator[Database, None, None]:
        """The index, up to date; from here on this connection refuses to write."""
        with self._open() as db:
            db.conn.execute("pragma query_only = on")
            yield db

    def _note(self, advice: Advice) -> None:
        with self._reading() as db:
            silent = is_forgotten(db, advice.run)
        if not silent:
            self.ledger.append(Advised(type="advised", advice=advice))


def _whole(db: Database, row: dict[str, Any]) -> Memory:
    """A memory with what memory.jsonl says about its run, and what another try of it came to."""
    memory = Memory.model_validate_json(row["record"])
    if memory.imported:
        return memory
    causes, advice = _told(db, memory.run)
    tries = db.query("select record from memories where parent = ? and source <> 'imported'", [memory.run])
    acts = [act for of in tries if (act := Memory.model_validate_json(of["record"]).tried)]
    return memory.model_copy(
        update={
            "findings": (*memory.findings, *causes),
            "actions": (*memory.actions, *sorted(acts, key=lambda act: act.time)),
            "advice": (*memory.advice, *advice),
        }
    )


def _told(db: Database, run: str) -> tuple[tuple[Cause, ...], tuple[Advice, ...]]:
    """What was found in a run, and what was advised about it."""
    rows = list(db.table("told").rows_where("run = ?", [run], order_by="rowid"))
    causes = tuple(cause for row in rows if row["id"] == FINDINGS for cause in Found.model_validate_json(row["record"]).causes)
    return causes, tuple(Advised.model_validate_json(row["record"]).advice for row in rows if row["id"] != FINDINGS)


def _text(record: str) -> str:
    """The words of a record that a search looks at."""
    return "\n".join(_texts(json.loads(record))).lower().replace("_", " ")


def _texts(value: Any, name: str = "") -> Iterator[str]:
    match value:
        case dict():
            for key, inner in value.items():
                yield from _texts(inner, key)
        case list():
            for inner in value:
                yield from _texts(inner, name)
        case str() if name in SEARCHED:
            yield value
        case _:
            pass


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
