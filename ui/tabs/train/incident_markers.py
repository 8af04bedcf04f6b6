"""Owns the marks of trouble on the loss chart: where they stand, how each kind looks, and what they say when pointed at.

Invariant: a mark stands on the line that is drawn, at the update it is about; its words are the ones of the story below the chart.
"""

from __future__ import annotations

import html
import textwrap
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from loralab.core.events import RunView
from loralab.core.incident_kinds import Kind
from loralab.lab import IncidentStory, describe_incidents

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from advisor.words.annotations import Annotation

WIDE = 40  # letters on a line of what a mark says; fits a telephone
MOST_NOTES = 4  # written onto a chart; more would cover it
NEAR = 0.12  # of the chart's width: two notes closer than this would lie on each other
NOTE_COLOUR = "#7b8794"
MOST_TOLD = 3  # incidents of one kind at one update that are told in full


Line = tuple[Sequence[int], Sequence[float]]  # updates, and how high it is at each


@dataclass(frozen=True)
class Style:
    """How a kind of incident looks: colours that are seen on light and on dark, and shapes for who cannot tell colours apart."""

    name: str  # of its class in style.css
    symbol: str
    colour: str
    words: str


MARKS: dict[Kind, Style] = {
    "skipped": Style("skipped", "x", "#c2850c", "left out"),
    "rolled back": Style("back", "triangle-left", "#d9480f", "taken back"),
    "memory": Style("memory", "diamond", "#7c6ee6", "memory ran out"),
    "other": Style("other", "circle", "#7b8794", "noticed"),
}


def mark_incidents(figure: Figure, view: RunView, x: Sequence[int], y: Sequence[float]) -> None:
    """Put a mark for each kind of incident at each update onto the line through `x`, `y`."""
    grouped: dict[Kind, dict[int, list[IncidentStory]]] = {}
    for each in describe_incidents(view):
        grouped.setdefault(each.kind, {}).setdefault(each.incident.step, []).append(each)
    for kind, style in MARKS.items():
        steps = grouped.get(kind, {})
        if not steps or not x:
            continue
        figure.add_scatter(
            x=[min(max(step, x[0]), x[-1]) for step in steps],
            y=[height(step, x, y) for step in steps],
            name=style.words,
            mode="markers",
            marker={"symbol": style.symbol, "size": 12, "color": style.colour, "line": {"color": "rgba(255,255,255,0.9)", "width": 1.2}},
            hovertext=[said(step, these) for step, these in steps.items()],
            hovertemplate="%{hovertext}<extra></extra>",
            cliponaxis=False,
        )


def annotate(figure: Figure, notes: Sequence[Annotation], line: Line, held: Line = ((), ())) -> None:
    """Write the advisor's notes onto the line, what is best onto the one of the held-out examples: short words, a few at most."""
    x = line[0]
    if not x:
        return
    apart = NEAR * (x[-1] - x[0])
    named: list[Annotation] = []
    for note in sorted(notes, key=lambda note: note.kind != "trouble"):
        if len(named) < MOST_NOTES and all(abs(note.step - other.step) >= apart for other in named):
            named.append(note)
    for number, note in enumerate(sorted(named, key=lambda note: note.step)):
        right, best = note.step > (x[0] + x[-1]) / 2, note.kind == "best" and bool(held[0])
        figure.add_annotation(
            x=min(max(note.step, x[0]), x[-1]),
            y=height(note.step, *(held if best else line)),
            text=html.escape(note.text, quote=False),
            showarrow=True,
            arrowhead=0,
            arrowwidth=1,
            arrowcolor=NOTE_COLOUR,
            ax=-14 if right else 14,
            ay=26 if best else -26 - 18 * (number % 2),
            xanchor="right" if right else "left",
            font={"size": 11.5, "color": NOTE_COLOUR},
        )


def height(step: int, x: Sequence[int], y: Sequence[float]) -> float:
    """Where the line through `x` (rising) and `y` is at `step`; at its ends it goes on level."""
    right = bisect_left(x, step)
    if right == 0:
        return y[0]
    if right == len(x):
        return y[-1]
    share = (step - x[right - 1]) / (x[right] - x[right - 1])
    return y[right - 1] + share * (y[right] - y[right - 1])


def said(step: int, these: Sequence[IncidentStory]) -> str:
    """What a mark says when pointed at: what happened, then what was done."""
    lines = [f"<b>Update {step:,}</b>"]
    for each in these[:MOST_TOLD]:
        lines += _wrapped(each.incident.text)
        for done in each.done:
            lines += _wrapped(f"→ {done}")
    if len(these) > MOST_TOLD:
        lines.append(f"and {len(these) - MOST_TOLD} more like it")
    return "<br>".join(lines)


def _wrapped(text: str) -> list[str]:
    return [html.escape(line, quote=False) for line in textwrap.wrap(text, WIDE)]
