"""Owns what a person thought of the answers they judged blindly, and how that enters the verdict.

Invariant: what was measured stays as it was measured; a person decides only where nothing could be measured, or where a check of form was
missed, and never lifts a cap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from loralab.core.records import Record
from loralab.core.verdict import Verdict

Good = Literal["before", "after", "both", "neither"]
FEWEST = 3  # answers judged before a person's word decides
MOST_GOOD, SOME_GOOD = 0.8, 0.4  # shares of good answers from which on it can be used, or for some things


class Liked(Record):
    """Which of the two answers to a held-out example (by its row) a person found good."""

    row: int
    good: Good


def heard(verdict: Verdict, liked: Sequence[Liked]) -> Verdict:
    """The verdict with what a person found."""
    if not liked:
        return verdict
    n, good, before = len(liked), _count(liked, "after"), _count(liked, "before")
    said = f"You found {good} of {n} {'good' if n > 1 else 'answer good'}."
    if before > good:
        said = f"{said} Of the answers from before training you found {before} good."
    decides = n >= FEWEST and not verdict.capped
    if verdict.usable == "you_decide" and decides:
        usable = "yes" if good >= MOST_GOOD * n else "partly" if good >= SOME_GOOD * n else "no"
        return verdict.model_copy(update={"usable": usable, "usable_words": said})
    lifted = decides and verdict.usable == "no" and bool(verdict.floors) and "right" not in verdict.floors and good >= MOST_GOOD * n
    return verdict.model_copy(update={"usable_words": f"{said} {verdict.usable_words}"} | ({"usable": "partly"} if lifted else {}))


def _count(liked: Sequence[Liked], side: str) -> int:
    return sum(one.good in (side, "both") for one in liked)
