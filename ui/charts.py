"""Owns the pictures. Invariant: a chart shows the raw numbers; a smoothed line is drawn over them, never instead of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from loralab.core.events import RunView, Stepped
from loralab.core.records import DatasetProfile, Footprint
from loralab.lab import describe_incidents, disk_words, stage_words
from ui.markup import draw
from ui.tabs.train.incident_markers import MARKS, annotate, mark_incidents
from ui.words import count

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

    from advisor.words.annotations import Annotation

MOST_POINTS = 500  # drawn per line; more cannot be told apart on a screen
RAW, SMOOTH, HELDOUT, QUIET = "rgba(128,138,134,0.35)", "#7c8a85", "#0d9488", "rgba(128,138,134,0.22)"
SPIKE = {"spikecolor": RAW, "spikethickness": 1, "spikedash": "solid"}  # the line under the pointer
PART_NAMES = {
    "weights": "the model itself",
    "adapter": "the adapter",
    "optimiser": "notes for learning",
    "activations": "work space for the examples",
    "head": "choosing the next word",
    "reserve": "the program, and a reserve",
}


def loss_chart(view: RunView, notes: Sequence[Annotation] = ()) -> Figure:
    """Loss per update and on the held-out examples, with the base model's loss as a line, incidents marked and the advisor's notes.

    Colours are see-through or mid-tone and text colours come from the page's style, so the same figure suits light and dark.
    """
    from plotly.graph_objects import Figure  # here, because it costs half a second that the first page does not need

    figure = Figure()
    steps = thin([step for step in view.steps if math.isfinite(step.loss)])
    x, y = [step.step for step in steps], [step.loss for step in steps]
    figure.add_scatter(x=x, y=y, name="each update", mode="lines", line={"color": RAW, "width": 1}, hovertemplate="%{y:.3f}")
    figure.add_scatter(x=x, y=smooth(y), name="learning", mode="lines", line={"color": SMOOTH, "width": 2.5}, hovertemplate="%{y:.3f}")
    evaluations = [e for e in view.evaluations if e.split != "base" and math.isfinite(e.loss)]
    before = next((e.loss for e in view.evaluations if e.split == "base"), None)
    if before is not None and math.isfinite(before):
        figure.add_hline(y=before, line={"color": HELDOUT, "width": 1.5, "dash": "dot"})
    if evaluations:
        figure.add_scatter(
            x=[e.step for e in evaluations],
            y=[e.loss for e in evaluations],
            name="held-out examples",
            mode="lines+markers",
            line={"color": HELDOUT, "width": 3},
            marker={"size": 8},
            hovertemplate="%{y:.3f}",
        )
    mark_incidents(figure, view, x, smooth(y))
    annotate(figure, notes, (x, smooth(y)), ([e.step for e in evaluations], [e.loss for e in evaluations]))
    figure.update_layout(
        height=320,
        margin={"l": 48, "r": 16, "t": 12, "b": 40},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hovermode="x unified",
        showlegend=False,
        uirevision=view.run,
        font={"family": "system-ui, sans-serif", "size": 12},
        xaxis={"title": "updates", "gridcolor": QUIET, "zeroline": False, "rangemode": "tozero", **SPIKE},
        yaxis={"title": "loss", "gridcolor": QUIET, "zeroline": False},
    )
    return figure


def legend(view: RunView) -> str:
    """What the lines of the loss chart are, as markup: it wraps on a narrow screen where a drawn legend would cover the lines."""
    lines = [("raw", "each update"), ("smooth", "while learning"), ("held", "on held-out examples")]
    if any(e.split == "base" for e in view.evaluations):
        lines.append(("base", "before training"))
    kinds = {each.kind for each in describe_incidents(view)}
    lines += [(f"mark {style.name}", style.words) for kind, style in MARKS.items() if kind in kinds]
    return draw("dataset", "legend", lines)


def thin(steps: list[Stepped]) -> list[Stepped]:
    """At most MOST_POINTS of them, evenly spread, the last one always among them."""
    stride = max(1, math.ceil(len(steps) / MOST_POINTS))
    return steps[::stride] + ([steps[-1]] if steps and (len(steps) - 1) % stride else [])


def smooth(values: list[float], weight: float = 0.85) -> list[float]:
    """Exponential moving average with the start corrected (Kingma & Ba 2015, section 3), so that it begins at the first value."""
    out: list[float] = []
    running = 0.0
    for index, value in enumerate(values, start=1):
        running = weight * running + (1 - weight) * value
        out.append(running / (1 - weight**index))
    return out


def memory_bar(footprint: Footprint) -> str:
    """Footprint as one stacked bar: what each part needs, against what is free."""
    whole = max(footprint.memory_bytes, footprint.free_bytes, 1)
    segments = [
        {"name": PART_NAMES.get(name, name), "bytes": value, "share": 100 * value / whole}
        for name, value in footprint.parts.items()
        if value > 0
    ]
    said = f"{stage_words(footprint)} {disk_words(footprint)}".strip()
    over = footprint.memory_bytes > footprint.free_bytes
    return draw("dataset", "memory", footprint.memory_bytes, footprint.free_bytes, over, segments, said)


def length_bar(profile: DatasetProfile) -> str:
    """How long the examples are: the typical one, nine of ten, and the longest, on one scale."""
    marks = (("p50", "half are shorter than"), ("p90", "9 of 10"), ("p99", "99 of 100"), ("max", "the longest"))
    longest = profile.tokens.get("max", 0)
    if not longest:
        return ""
    rows = [_bar(words, profile.tokens.get(key, 0), longest) for key, words in marks]
    return draw("dataset", "bars", "Length in tokens", rows, "")


def label_bar(labels: dict[str, int], most: int = 8) -> str:
    """The commonest labels and how many examples each has."""
    top = sorted(labels.items(), key=lambda item: -item[1])
    largest = max((n for _, n in top), default=1)
    rows = [_bar(name, n, largest) for name, n in top[:most]]
    more = f"and {count(len(top) - most, 'more label')}" if len(top) > most else ""
    return draw("dataset", "bars", "Labels", rows, more) if rows else ""


def _bar(words: str, value: int, largest: int) -> tuple[str, int, float]:
    return words, value, max(1.0, 100 * value / largest)
