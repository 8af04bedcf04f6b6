"""The notes on a run's charts: an update and a few words. Made without a model.

Invariant: at most twelve, in order, each at most forty characters; what mattered most is kept where there is too much.
"""

from __future__ import annotations

from typing import Literal

from advisor.diagnosis.findings import Finding
from advisor.words.summary import RunSummary
from loralab.core.records import Record
from loralab.lab import describe_incidents

MAX_NOTES, MAX_LETTERS = 12, 40

Mark = Literal["trouble", "change", "best", "end"]
_WEIGHT: dict[Mark, int] = {"trouble": 0, "end": 1, "change": 2, "best": 3}

_TROUBLE = {
    "non_finite": "numbers broke down; left out",
    "bad_row": "an odd example was left out",
    "diverged": "the training ran away",
    "rolled_back": "went back to a good state",
    "out_of_memory": "memory ran out",
    "killed_for_memory": "memory was full",
    "killed": "something ended it; it went on",
    "memory_spill": "memory spilled over; slower",
    "does_not_fit": "it does not fit in memory",
    "disk_full": "the disk is full",
    "nothing_to_learn": "nothing to learn from here",
}
_CHANGE = {
    "learning_rate": ("smaller corrections", "bigger corrections"),
    "token_budget": ("less at once", "more at once"),
    "micro_batch": ("fewer examples at once", "more examples at once"),
    "precision": ("numbers kept more exactly",) * 2,
    "attention": ("plain attention",) * 2,
    "recompute": ("less kept in memory",) * 2,
    "offload": ("some work moved to main memory",) * 2,
    "warmup": ("a longer warm-up",) * 2,
}


class Annotation(Record):
    """A note at an update of the chart."""

    step: int
    text: str
    kind: Mark
    made_by: str = "rules"


def notes(summary: RunSummary) -> tuple[Annotation, ...]:
    """What is worth a mark on the run's charts, in order of updates."""
    found = [*_troubles(summary), *_changes(summary), *_landmarks(summary)]
    unique = {(note.step, note.text): note for note in found}
    kept = sorted(unique.values(), key=lambda note: (_WEIGHT[note.kind], note.step))[:MAX_NOTES]
    return tuple(sorted(kept, key=lambda note: (note.step, _WEIGHT[note.kind])))


def _note(step: int, text: str, kind: Mark) -> Annotation:
    short = text if len(text) <= MAX_LETTERS else text[: MAX_LETTERS - 1].rstrip(" ,;:") + "…"
    return Annotation(step=step, text=short, kind=kind)


def _troubles(summary: RunSummary) -> list[Annotation]:
    marks = [
        _note(trouble.incident.step, _TROUBLE.get(trouble.incident.code, trouble.incident.code.replace("_", " ")), "trouble")
        for trouble in describe_incidents(summary.view)
    ]
    return marks + [note for finding in summary.diagnosis.alarms for note in _cause(finding)]


def _cause(finding: Finding) -> list[Annotation]:
    """The first place where a cause can be seen."""
    at = [one.step for one in finding.evidence if one.step]
    return [_note(min(at), finding.title[:1].lower() + finding.title[1:], "trouble")] if at else []


def _changes(summary: RunSummary) -> list[Annotation]:
    marks: list[Annotation] = []
    for event in summary.view.adjustments:
        words = _CHANGE.get(event.setting, (f"{event.setting.replace('_', ' ')} changed",) * 2)
        numbers = isinstance(event.before, int | float) and isinstance(event.after, int | float)
        marks.append(_note(event.step, words[1 if numbers and event.after > event.before > 0 else 0], "change"))
    return marks


def _landmarks(summary: RunSummary) -> list[Annotation]:
    marks: list[Annotation] = []
    best = summary.case.signals.best_step
    if best and len(summary.case.signals.heldout) > 1:
        marks.append(_note(best, "best on held-out examples", "best"))
    if summary.early and summary.view.step:
        marks.append(_note(summary.view.step, "ended early: no more gain", "end"))
    elif summary.view.state in ("failed", "killed", "stopped") and summary.view.step:
        marks.append(
            _note(summary.view.step, {"failed": "ended with an error", "killed": "was cut off"}.get(summary.view.state, "stopped"), "end")
        )
    return marks
