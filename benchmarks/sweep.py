"""Trains one file of examples at every point of a small grid with the product's own worker, and writes a table, best first.

    python -m benchmarks.sweep customer_messages --grid learning_rate=1e-3,2e-3,4e-3 --grid epochs=2,4,6 > table.md

Each point is proposed as a person's changes would be and judged as any run is; nine points at most, because more of them only find
the luckiest. What it finds is a setting for a sample (`data/samples/samples.json`) or a default of the planner.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from loralab.cli.console import chosen, source
from loralab.core.events import RunView
from loralab.lab import Lab

MOST_POINTS = 9
Point = dict[str, str]
SHOWN = ("label_accuracy", "label_choice", "exact_match", "normalised_match", "json_match", "overlap", "question_fit", "forgetting")


def main() -> None:
    """Run the grid and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("file", help="a file of examples or a bundled data set's name")
    parser.add_argument("--model", default="starter")
    parser.add_argument("--grid", action="append", default=[], metavar="FIELD=VALUE,VALUE")
    parser.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="the same at every point")
    parser.add_argument("--home", type=Path, help="workspace to keep the runs in")
    asked = parser.parse_args()
    grid = list(points(asked.grid))
    if len(grid) > MOST_POINTS:
        parser.error(f"{len(grid)} points; {MOST_POINTS} at most")
    with tempfile.TemporaryDirectory(prefix="loralab-sweep-") as scratch:
        lab = Lab(asked.home or scratch)
        profile = lab.profile(source(lab, asked.file), model=asked.model)
        found: list[dict[str, Any]] = []
        for point in grid:
            settings = chosen([*asked.set, *(f"{name}={value}" for name, value in point.items())])
            begun = time.monotonic()
            view = lab.wait(lab.start(lab.propose(profile, model=asked.model, **settings)))
            found.append(outcome(point, view, time.monotonic() - begun))
            sys.stderr.write(f"{found[-1]}\n")
    sys.stdout.write(table(found))


def points(grid: Sequence[str]) -> Iterator[Point]:
    """Every combination of `field=value,value` given; the plain plan where there is none."""
    axes = [[(name, value) for value in values.split(",")] for name, _, values in (axis.partition("=") for axis in grid)]
    return (dict(combination) for combination in itertools.product(*axes))


def outcome(point: Point, view: RunView, seconds: float) -> dict[str, Any]:
    """What one point came to: how far, how well, how long."""
    found: dict[str, Any] = {**point, "updates": view.step, "minutes": round(seconds / 60, 1), "state": view.state}
    final = next((event for event in reversed(view.evaluations) if event.split == "final"), None)
    if final is None:
        return found
    found["loss"] = round(final.loss, 3)
    found |= {score.name: f"{score.before:.2f} -> {score.after:.2f}" for score in final.scores if score.name in SHOWN}
    if final.conclusion is not None:
        found |= {"learned": final.conclusion.learned, "usable": final.conclusion.usable}
    return found


def table(found: Iterable[dict[str, Any]]) -> str:
    """Markdown, the smallest held-out loss first."""
    rows = sorted(found, key=lambda row: row.get("loss", float("inf")))
    names = list(dict.fromkeys(name for row in rows for name in row))
    lines = [names, ["---"] * len(names), *([str(row.get(name, "")) for name in names] for row in rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


if __name__ == "__main__":
    main()
