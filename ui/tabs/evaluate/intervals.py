"""Owns how a measured difference is drawn: one number as a bar with its interval, and two runs example by example.

Invariants: better is always to the right, whichever way the measure counts; the line in the middle is “no difference”; what has no
interval is drawn without one.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from loralab.core.records import Score
from loralab.lab import between, value
from ui.markup import draw

TONES = {"better": "good", "worse": "bad", "no difference seen": "quiet", "cannot tell yet": "quiet"}
ROOM = 1.12  # how much wider than the interval its picture is
SIDE, EDGE, MOST_DOTS = 260, 34, 400  # of the picture of two runs: pixels of its own scale, and dots in it


def interval_bar(score: Score, sides: tuple[str, str] = ("worse", "better")) -> str:
    """The difference as a dot on its interval, against a line at “no difference”. `sides` name what lies left and right."""
    turn = -1 if score.lower_is_better else 1
    known = bool(between(score))
    ends = sorted(turn * end for end in ((score.low, score.high) if known else (score.difference, score.difference)))
    middle = turn * score.difference
    reach = ROOM * max(abs(ends[0]), abs(ends[1]), abs(middle)) if math.isfinite(sum(ends) + middle) else math.nan
    if not math.isfinite(reach):
        return ""

    def place(x: float) -> float:
        return 50 + 50 * x / (reach or 1.0)

    told = f"{score.label or score.name}: {value(score, score.difference, '+')}" + (f", 95 % interval {between(score)}" if known else "")
    across = (place(ends[0]), place(ends[1]) - place(ends[0])) if known else None
    return draw("evaluate", "interval", TONES.get(score.verdict, "quiet"), told, across, place(middle), *sides)


def two_runs(rows: Sequence[dict[str, Any]], first: str, second: str) -> str:
    """Every shared example as a dot: bits per byte under the first run across, under the second up; below the line the second is better."""
    values = [(float(r["first"]), float(r["second"])) for r in rows[:: max(1, len(rows) // MOST_DOTS)]]
    values = [pair for pair in values if math.isfinite(sum(pair))]
    if not values:
        return ""
    most = max(max(pair) for pair in values) or 1.0

    def place(x: float) -> float:
        return EDGE + (SIDE - EDGE - 8) * x / most

    dots = [(place(x), SIDE - place(y), "good" if y < x else "bad" if y > x else "") for x, y in values]
    wins = sum(y < x for x, y in values)
    told = f"Of {len(values)} examples, {wins} are more likely under {second}, {sum(y > x for x, y in values)} under {first}."
    return draw("evaluate", "duel", told, SIDE, EDGE, dots)
