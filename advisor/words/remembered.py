"""What the memory holds, in plain words: which runs, what failed and will not be tried again, what fits, what was done and advised.

Invariant: everything said here is read from the memory; nothing about a run of another workspace is told as if it had happened here.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime

from advisor.diagnosis.findings import Diagnosis
from advisor.proposals import learned
from loralab.core.errors import Unavailable
from loralab.core.facts import point_name
from loralab.core.incident_kinds import KINDS
from loralab.core.records import Record
from loralab.core.words import count, plural
from loralab.lab import POINT_NAMES, Act, Lab, Limits, Memory, Point, setting_label

MAX_RUNS, MAX_ROWS = 20, 30  # shown
SHOWN = {"memory": 4, "rate": 1}  # numbers of a point that are told
BY = {"guard": "the guard, during the run", "advisor": "the advisor", "person": "you"}
CAME = {True: "it helped", False: "it did not help", None: "not known yet"}
TROUBLES = {"memory": "memory ran out", "skipped": "numbers broke down", "rolled back": "the training ran away"}
OTHERS = {"killed": "something ended it", "worker_gone": "something ended it", "unexpected": "an error nobody foresaw"}


class Section(Record):
    """One part of the page: a sentence or two, and a table where there is something to list."""

    title: str
    words: str
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    lines: tuple[str, ...] = ()  # what each row is called where it is to be forgotten: a run, a point of it, or an advice


class Remembered(Record):
    """The page “what I remember”."""

    words: str
    sections: tuple[Section, ...]
    counts: dict[str, int]


def remembered(lab: Lab) -> Remembered:
    """What the memory of this workspace holds."""
    memories, known = lab.history.memories, learned.limits(lab)
    counts = memories.counts()
    sections = (
        _runs("Runs of this workspace", memories.recent(MAX_RUNS), counts["run"] + counts["kept"]),
        _runs("Runs brought from elsewhere", memories.recent(MAX_RUNS, imported=True), counts["imported"]),
        _failed(known),
        _fits(known),
        _done(lab),
        _advised(lab),
    )
    return Remembered(words=_summary(counts), sections=sections, counts=counts)


def note(lab: Lab, diagnosis: Diagnosis) -> None:
    """Write what was found in a run that has ended into the memory; where the disk takes nothing, it is found again the next time."""
    with suppress(Unavailable):
        lab.history.memories.note_findings(
            diagnosis.run,
            [
                finding.model_dump(include={"rule", "title", "words", "severity", "confidence", "evidence"})
                for finding in diagnosis.findings
            ],
        )


# ---- in words --------------------------------------------------------------------------------------------------------------


def _summary(counts: dict[str, int]) -> str:
    total = sum(counts.values())
    if not total:
        return "Nothing is remembered yet. Every training that ends is remembered from then on."
    said = [f"{count(counts['run'], 'run')} here"] if counts["run"] else []
    said += [f"{count(counts['kept'], 'run')} you deleted"] if counts["kept"] else []
    said += [f"{count(counts['imported'], 'run')} from elsewhere"] if counts["imported"] else []
    text = f"{count(total, 'run')} {plural(total, 'is', 'are')} remembered{': ' + ', '.join(said) if len(said) > 1 else ''}."
    return (
        f"{text} Kept are settings, numbers, names and short sentences, never your examples or answers. All of it stays on this computer."
    )


def _runs(title: str, memories: tuple[Memory, ...], n: int) -> Section:
    shown = f" Here {plural(len(memories), 'is the last one', f'are the last {len(memories)}')}." if n > len(memories) else ""
    words = f"{count(n, 'run')}.{shown}" if n else "None."
    rows = tuple((one.run, one.title, one.model, one.dataset, _day(one.ended), one.outcome, _loss(one), _troubles(one)) for one in memories)
    return Section(
        title=title,
        words=words,
        columns=("run", "name", "model", "examples", "day", "end", "loss", "trouble"),
        rows=rows,
        lines=tuple(one.run for one in memories),
    )


def _failed(known: Limits) -> Section:
    rows = tuple((*_place(point), point.run, f"{point.step:,}") for point in known.failed[:MAX_ROWS])
    words = (
        "These settings failed with this model on this computer. They are not tried again, and neither is anything larger. If one of these "
    )
    words += "lines is wrong, forget it, and it no longer counts."
    return Section(
        title="What failed and will not be repeated",
        words=words if rows else "Nothing so far.",
        columns=("what", "model", "numbers", "run", "update"),
        rows=rows,
        lines=_names(known.failed[:MAX_ROWS]),
    )


def _names(points: Sequence[Point]) -> tuple[str, ...]:
    return tuple(point_name(point.kind, point.run, point.step, failed=point.failed) for point in points)


def _fits(known: Limits) -> Section:
    rows = tuple((*_place(point), point.run) for point in known.fits[:MAX_ROWS])
    words = "These settings went well with this model on this computer, so anything smaller will, too."
    return Section(
        title="What is known to go well",
        words=words if rows else "Nothing so far.",
        columns=("what", "model", "numbers", "run"),
        rows=rows,
        lines=_names(known.fits[:MAX_ROWS]),
    )


def _place(point: Point) -> tuple[str, str, str]:
    shown = list(zip(POINT_NAMES[point.kind], point.vector, strict=True))[: SHOWN[point.kind]]
    numbers = ", ".join(f"{name} {value:,.4g}" for name, value in shown if value)
    return {"memory": "memory", "rate": "learning rate"}[point.kind], point.key.partition(" | ")[0], numbers


def _done(lab: Lab) -> Section:
    acts = [act for memory in lab.history.memories.recent(MAX_RUNS) for act in memory.actions if act.by == "guard"]
    found = sorted([*acts, *lab.history.memories.actions(MAX_ROWS)], key=lambda act: act.time, reverse=True)[:MAX_ROWS]
    rows = tuple((act.run, _changes(act), BY[act.by], act.why, act.child, CAME[act.fixed]) for act in found)
    return Section(
        title="What was changed, and what came of it",
        words="The newest comes first." if rows else "Nothing has been changed so far.",
        columns=("run", "changed", "by", "why", "tried in", "what came of it"),
        rows=rows,
        lines=tuple(act.child or act.run for act in found),
    )


def _advised(lab: Lab) -> Section:
    taken = {True: "taken", False: "not taken", None: "open"}
    given = lab.history.memories.advice(MAX_ROWS)
    rows = tuple((one.run, one.words, taken[one.taken], _day(one.time)) for one in given)
    n = sum(row[2] == "taken" for row in rows)
    words = f"{count(len(rows), 'piece')} of advice so far; you took {n or 'none'}." if rows else "No advice so far."
    columns, lines = ("run", "advice", "taken", "day"), tuple(one.id for one in given)
    return Section(title="Advice", words=words, columns=columns, rows=rows, lines=lines)


def _changes(act: Act) -> str:
    return ", ".join(
        f"{_setting(name)} {after}" if before is None else f"{_setting(name)} {before} → {after}"
        for name, (before, after) in act.changes.items()
    )


def _setting(name: str) -> str:
    """What the plan calls a setting."""
    label = setting_label(name)
    return f"{label[:1].lower()}{label[1:]}"


def _troubles(memory: Memory) -> str:
    kinds = [TROUBLES.get(KINDS.get(moment.code, "other")) or _other(moment.code) for moment in memory.moments]
    if memory.outcome in ("failed", "killed") and not kinds:
        kinds = [_other(memory.code) or "it ended by itself"]
    return ", ".join(dict.fromkeys(kinds))


def _other(code: str) -> str:
    return OTHERS.get(code, code.replace("_", " "))


def _loss(memory: Memory) -> str:
    best = memory.final_loss if memory.final_loss is not None else memory.best_loss
    return f"{memory.base_loss:.3g} → {best:.3g}" if memory.base_loss is not None and best is not None else ""


def _day(when: float) -> str:
    return datetime.fromtimestamp(when).astimezone().date().isoformat() if when > 0 else ""
