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

from loralab.events import RunView
from loralab.incidents import Kind, Told, told

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

WIDE = 40  # letters on a line of what a mark says; fits a telephone
MOST_TOLD = 3  # incidents of one kind at one update that are told in full


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
    grouped: dict[Kind, dict[int, list[Told]]] = {}
    for each in told(view):
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


def height(step: int, x: Sequence[int], y: Sequence[float]) -> float:
    """Where the line through `x` (rising) and `y` is at `step`; at its ends it goes on level."""
    right = bisect_left(x, step)
    if right == 0:
        return y[0]
    if right == len(x):
        return y[-1]
    share = (step - x[right - 1]) / (x[right] - x[right - 1])
    return y[right - 1] + share * (y[right] - y[right - 1])


def said(step: int, these: Sequence[Told]) -> str:
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
