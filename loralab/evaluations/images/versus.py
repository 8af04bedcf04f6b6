"""Owns two runs on the same pictures, picture by picture, and the same judging where there is nothing to find. No torch.

Invariant: the statistics are those of the verdict on pictures: whole patients are resampled where they are known.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from loralab.core.records import Score
from loralab.core.words import count
from loralab.evaluations.images import intervals
from loralab.evaluations.images.told import Meaning, percent, score

Row = dict[str, Any]
SWAPS = 100
_MEASURES = {  # by the main measure: (name, what of a row, label, help, better, worse)
    "accuracy": (
        (
            "right",
            "after_right",
            "Right answers",
            "How often each is right, on the same pictures.",
            "The second is right more often",
            "The second is right less often",
        ),
        (
            "of_label",
            "of_label",
            "Sure of the right class",
            "How likely each thinks the right class, on average.",
            "The second is surer of what is right",
            "The second is less sure of what is right",
        ),
    ),
    "dice": (
        (
            "alike",
            "after_right",
            "Marked alike (Dice)",
            "How well what each marks agrees with your marks, on the same pictures.",
            "The second marks more exactly",
            "The second marks less exactly",
        ),
        (
            "boundary",
            "boundary",
            "Edges in the right place",
            "How much of each one's edges lies close to yours.",
            "The second's edges sit better",
            "The second's edges sit worse",
        ),
    ),
    "map50": (
        (
            "found",
            "after_right",
            "Found, and right",
            "Things found and boxes that are right, picture by picture (F1).",
            "The second finds more, or marks less wrongly",
            "The second finds less, or marks more wrongly",
        ),
    ),
}


def main_rows(found: dict[str, Any]) -> tuple[str, list[Row]]:
    """The main measure of a judgement on pictures, and what it wrote of each; nothing of one on texts."""
    kept = ((name, list(rows)) for name, rows in found.get("rows", {}).items() if rows and "media" in rows[0])
    return next(kept, ("", []))


def shared(first: Sequence[Row], second: Sequence[Row]) -> list[tuple[Row, Row]]:
    """What both say of the same picture with the same right answer."""
    known = {(row["row"], row["media"], row["label"]): row for row in second}
    return [(row, known[key]) for row in first if (key := (row["row"], row["media"], row["label"])) in known]


def versus(name: str, pairs: Sequence[tuple[Row, Row]]) -> list[Score]:
    """The second against the first on the measures of `name` (accuracy, dice or map50), the main one first."""
    drawn = intervals.draws([str(row["group"]) for row, _ in pairs])
    found: list[Score] = []
    for key, part, label, help_text, better, worse in _MEASURES[name]:
        if any(part not in row for pair in pairs for row in pair):
            continue  # a run of an earlier version
        was, now = (np.array([float(pair[side][part]) for pair in pairs]) for side in (0, 1))
        compared = intervals.compare(intervals.mean(was), intervals.mean(now), drawn, now - was)
        word = intervals.verdict(compared.found)
        says = {"better": better, "worse": worse}.get(word, f"{label}: {word}")
        words = f"{says} ({percent(compared.found.before)} → {percent(compared.found.after)}, {count(len(pairs), 'picture')})."
        found.append(score(Meaning(key, label, help_text, words), compared, len(pairs)))
    return found


def swapped(rows: Sequence[Row], swaps: int = SWAPS, seed: int = 0) -> tuple[int, int]:
    """(times called better, times called worse) of `swaps` judgings in which before and after were swapped by lot, so that there is
    nothing to find: in all pictures of a patient together, as they are judged.
    """
    drawn = intervals.draws([str(row["group"]) for row in rows])
    before, after = (np.array([float(row[side]) for row in rows]) for side in ("before_right", "after_right"))
    random, called = np.random.default_rng(seed), {"better": 0, "worse": 0}
    for _ in range(swaps):
        flip = (random.random(drawn.units) < 0.5)[drawn.unit]
        was, now = np.where(flip, after, before), np.where(flip, before, after)
        word = intervals.verdict(intervals.compare(intervals.mean(was), intervals.mean(now), drawn, now - was).found)
        if word in called:
            called[word] += 1
    return called["better"], called["worse"]
