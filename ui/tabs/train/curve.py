"""Owns what the curve of a run shows: the learning, the held-out examples, where there was trouble, and the advisor's few notes.

Invariant: a mark is of the update it is about, and its words are the ones of the story below; the page's script only draws. Numbers are
raw: what it smooths it draws over them, never instead of them.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from advisor.advisor import Advisor
from loralab.core.errors import UserError
from loralab.core.events import RunView, Stepped
from loralab.core.incident_kinds import Kind
from loralab.core.records import Record
from loralab.lab import IncidentStory, describe_incidents
from ui.markup import draw

MOST_POINTS = 500  # sent at once; more cannot be told apart on a screen
MOST_NOTES = 4  # written onto a curve; more would cover it
NEAR = 0.12  # of its width: two notes closer than this would lie on each other
MOST_TOLD = 3  # incidents of one kind at one update that are told in full
Point = tuple[int, float]


@dataclass(frozen=True)
class Style:
    """How a kind of incident is named: its class in style.css and its shape in scripts/curve.js, and its words in the legend."""

    name: str
    words: str


MARKS: dict[Kind, Style] = {
    "skipped": Style("skipped", "left out"),
    "rolled back": Style("back", "taken back"),
    "memory": Style("memory", "memory ran out"),
    "other": Style("other", "noticed"),
}


class Mark(Record):
    """Trouble at an update."""

    step: int
    kind: str
    lines: tuple[str, ...]


class Remark(Record):
    """A few words at an update; those about the best one stand at the held-out line."""

    step: int
    text: str
    best: bool


class Curve(Record):
    """All of it but the points of the learning, which are many and come as they are made."""

    base: float | None = None  # held-out loss before training
    held: tuple[Point, ...] = ()
    total: int = 0
    marks: tuple[Mark, ...] = ()
    remarks: tuple[Remark, ...] = ()


def curve(advisor: Advisor, view: RunView) -> Curve:
    """What is drawn of a run beside its points."""
    base = next((look.loss for look in view.evaluations if look.split == "base" and math.isfinite(look.loss)), None)
    held = tuple((look.step, look.loss) for look in view.evaluations if look.split != "base" and math.isfinite(look.loss))
    return Curve(base=base, held=held, total=max(view.total_steps, view.step), marks=marks(view), remarks=_remarks(advisor, view))


def points(steps: Sequence[Stepped]) -> tuple[Point, ...]:
    """Update and loss, evenly thinned, the last one always among them."""
    stride = max(1, math.ceil(len(steps) / MOST_POINTS))
    kept = [*steps[::stride], *([steps[-1]] if steps and (len(steps) - 1) % stride else [])]
    return tuple((step.step, step.loss) for step in kept if math.isfinite(step.loss))


def marks(view: RunView) -> tuple[Mark, ...]:
    """A mark for each kind of incident at each update."""
    grouped: dict[tuple[Kind, int], list[IncidentStory]] = {}
    for each in describe_incidents(view):
        grouped.setdefault((each.kind, each.incident.step), []).append(each)
    return tuple(Mark(step=step, kind=MARKS[kind].name, lines=said(these)) for (kind, step), these in grouped.items())


def said(these: Sequence[IncidentStory]) -> tuple[str, ...]:
    """What a mark says when pointed at: what happened, then what was done."""
    lines = [line for each in these[:MOST_TOLD] for line in (each.incident.text, *(f"→ {done}" for done in each.done))]
    return (*lines, f"and {len(these) - MOST_TOLD} more like it") if len(these) > MOST_TOLD else tuple(lines)


def legend(view: RunView) -> str:
    """What the lines are, as markup: it wraps on a narrow screen."""
    lines = [("raw", "each update"), ("smooth", "while learning"), ("held", "on held-out examples")]
    if any(look.split == "base" for look in view.evaluations):
        lines.append(("base", "before training"))
    kinds = {each.kind for each in describe_incidents(view)}
    lines += [(f"mark {style.name}", style.words) for kind, style in MARKS.items() if kind in kinds]
    return draw("live", "legend", lines)


def _remarks(advisor: Advisor, view: RunView) -> tuple[Remark, ...]:
    """What the advisor writes onto the curve of a run that has ended: while it goes on, its marks say what happened."""
    if view.active or not view.steps:
        return ()
    try:
        notes = advisor.annotations(view.run)
    except UserError:  # it trained no adapter
        return ()
    apart = NEAR * (view.steps[-1].step - view.steps[0].step)
    kept: list[Remark] = []
    for note in sorted(notes, key=lambda note: note.kind != "trouble"):
        if len(kept) < MOST_NOTES and all(abs(note.step - other.step) >= apart for other in kept):
            kept.append(Remark(step=note.step, text=note.text, best=note.kind == "best"))
    return tuple(sorted(kept, key=lambda note: note.step))
