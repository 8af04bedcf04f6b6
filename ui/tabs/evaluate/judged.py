"""Owns what the Evaluate tab knows of a run: what its newest judging found, and which examples got better, worse or stayed.

Invariant: nothing is judged here; which way an example went is read from what the measures wrote about it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from loralab.core.errors import UserError
from loralab.core.events import RunView
from loralab.core.records import Sample, Score
from loralab.lab import Lab, Subject
from ui.runs.run_names import name_of, run_title, when

CLOSER = 0.05  # chrF++ between two answers that a reader would call a difference
LIKELIER = 0.05  # nats per token: about five per cent
Row = dict[str, Any]


@dataclass(frozen=True)
class Found:
    """The newest judging of a run. `detailed` is False where only its scores are left (a run of an earlier version)."""

    verdict: str
    words: str
    scores: tuple[Score, ...]
    rows: dict[str, list[Row]] = field(default_factory=dict)
    tables: dict[str, Any] = field(default_factory=dict)
    samples: tuple[Sample, ...] = ()
    complete: bool = True
    detailed: bool = True

    @property
    def main(self) -> Score | None:
        """The score the verdict rests on."""
        return next((s for s in self.scores if s.main), self.scores[0] if self.scores else None)

    def score(self, name: str) -> Score | None:
        return next((s for s in self.scores if s.name == name), None)

    def table(self, name: str) -> Any:
        """A table by its own name, whichever measure made it."""
        return next((tables[name] for tables in self.tables.values() if name in tables), None)


@dataclass(frozen=True)
class Seen:
    """One held-out example before and after. `change` is better, worse or same; `before` and `after` say it in a word or two."""

    row: int
    change: str
    by: float
    before: str
    after: str
    answers: Row  # question, reference, before, after, who took part, spans; whatever of it was kept


def found_of(lab: Lab, run: str, view: RunView) -> Found | None:
    """What was found of a run, or None where it was never judged."""
    try:
        raw = lab.judgement(run)
    except UserError:
        return _from_log(view)
    scores = tuple(Score.model_validate(score) for score in raw.get("scores", ()))
    main = next((s for s in scores if s.main), scores[0] if scores else None)
    return Found(
        raw.get("verdict") or (main.verdict if main else ""),
        raw.get("words") or (main.words if main else ""),
        scores,
        raw["rows"],
        raw.get("tables", {}),
        tuple(Sample.model_validate(sample) for sample in raw.get("samples", ())),
        bool(raw.get("complete", True)),
    )


def _from_log(view: RunView) -> Found | None:
    """The scores alone, as the run's log has them."""
    last = next((e for e in reversed(view.evaluations) if e.scores), None)
    if last is None:
        return None
    first = last.scores[0]
    return Found(last.verdict or first.verdict, last.words or first.words, last.scores, samples=view.samples, detailed=False)


def other_judged(lab: Lab, run: str) -> list[tuple[str, str]]:
    """(name, id) of the other runs that were judged, newest first."""
    sees = lab.sees(run)
    rows = [r for r in lab.runs() if r.get("kind", "train") == "train" and r["id"] != run and r.get("adapter_loss") is not None]
    rows = [r for r in rows if lab.sees(str(r["id"])) == sees]  # what sees and what speaks have nothing in common
    if sees:  # nor what sorts and what marks
        task = lab.job(run).plan.get("task")
        rows = [r for r in rows if lab.job(str(r["id"])).plan.get("task") == task]
    return [(f"{name_of(r)} · {r['told'] or when(r['started'])}", r["id"]) for r in rows]


def part_name(lab: Lab, what: Subject) -> str:
    """What a person calls a run, or a part of it."""
    title = run_title(lab, what.run)
    return f"{title}, {what.label}" if what.checkpoint or what.export else title


def parts_of_run(lab: Lab, run: str) -> list[tuple[str, str]]:
    """(words, name) of this run's checkpoints and exports; what was not measured yet says so."""
    found = []
    for what in lab.subjects(run):
        if what.export and lab.sees(run):  # what an export of pictures says was held against the model's own answers when it was made
            continue
        words = f"This run as an export: {what.label}" if what.export else f"This run, {what.label}"
        found.append((words if lab.measured(what.name) else f"{words} (is measured first)", what.name))
    return found


# ---- example by example ----------------------------------------------------------------------------------------------------


def examples_of(found: Found) -> tuple[str, list[Seen]]:
    """How examples are told apart (right | close | loss, empty where nothing is kept), and all of them, the largest change first."""
    answers = {row["row"]: dict(row) for row in found.rows.get("answers", ())}
    for span in found.rows.get("grounding", ()):
        answers.setdefault(span["row"], {}).update({k: span[k] for k in ("before_spans", "after_spans") if k in span})
    if rights := next((rows for rows in found.rows.values() if rows and "before_right" in rows[0]), None):
        return "right", _sorted([_by_right(row, answers) for row in rights])
    if overlap := found.rows.get("overlap"):
        return "close", _sorted([_by_closeness(row, answers) for row in overlap])
    if losses := found.rows.get("loss"):
        return "loss", _sorted([_by_loss(row, answers) for row in losses])
    return "", []


def _sorted(seen: Sequence[Seen]) -> list[Seen]:
    return sorted(seen, key=lambda s: -abs(s.by))


def _by_right(row: Row, answers: dict[int, Row]) -> Seen:
    before, after = float(row["before_right"]), float(row["after_right"])
    kept = {"reference": row.get("reference", row.get("label", "")), "before": row.get("before", ""), "after": row.get("after", "")}
    return _seen(row, after - before, 0.0, (_rightness(before), _rightness(after)), kept | answers.get(row["row"], {}))


def _rightness(value: float) -> str:
    return {0.0: "wrong", 1.0: "right"}.get(value, f"{100 * value:.0f} % right")


def _by_closeness(row: Row, answers: dict[int, Row]) -> Seen:
    before, after = float(row["before_chrf"]), float(row["after_chrf"])
    said = (f"{100 * before:.0f} %", f"{100 * after:.0f} % alike")
    return _seen(row, after - before, CLOSER, said, answers.get(row["row"], {}))


def _by_loss(row: Row, answers: dict[int, Row]) -> Seen:
    before, after = float(row["before_loss"]), float(row["after_loss"])
    return _seen(row, before - after, LIKELIER, (f"loss {before:.2f}", f"loss {after:.2f}"), answers.get(row["row"], {}))


def _seen(row: Row, by: float, least: float, said: tuple[str, str], answers: Row) -> Seen:
    change = "same" if abs(by) <= least else "better" if by > 0 else "worse"
    return Seen(int(row["row"]), change, by, *said, answers)
