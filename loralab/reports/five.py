"""Owns the answers a person judges blindly: a few held-out questions, both answers in an order of chance, and what the choices mean.

Invariant: which answer is whose follows from the run and the row alone, so that nothing hidden is handed out or has to be kept.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Literal

from loralab.core.errors import UserError
from loralab.core.liked import Good, Liked
from loralab.core.records import Record

FIVE = 5
Pick = Literal["first", "second", "both", "neither"]


class ToJudge(Record):
    """A held-out question with both answers, unnamed, and what the example says."""

    row: int
    question: str
    reference: str
    first: str
    second: str


def to_judge(run: str, judgement: dict[str, Any]) -> tuple[ToJudge, ...]:
    """Five questions of a judgement, the same ones whenever they are asked for. Raises UserError when no answers were kept."""
    kept = {str(row["question"]): row for row in _answers(judgement)}
    rows = random.Random(run).sample(list(kept.values()), min(FIVE, len(kept)))
    found: list[ToJudge] = []
    for row in rows:
        both = (str(row["before"]), str(row["after"]))
        first, second = reversed(both) if _turned(run, row["row"]) else both
        found.append(ToJudge(row=row["row"], question=row["question"], reference=row["reference"], first=first, second=second))
    return tuple(found)


def revealed(run: str, judgement: dict[str, Any], picks: Mapping[int, Pick]) -> tuple[Liked, ...]:
    """What picks, by row, mean once it is told which answer was whose. Raises UserError for a row nobody was asked about."""
    known = {row["row"] for row in _answers(judgement)}
    if not picks or not picks.keys() <= known:
        raise UserError("These answers were not asked about.", "Judge the five that are shown.", code="not_asked")
    return tuple(Liked(row=row, good=_meant(pick, turned=_turned(run, row))) for row, pick in picks.items())


def _answers(judgement: dict[str, Any]) -> list[dict[str, Any]]:
    rows = judgement["rows"].get("answers", [])
    if not rows:
        raise UserError("No answers of this run were kept.", "Measure it again: then there are some to judge.", code="no_answers")
    return rows


def _turned(run: str, row: int) -> bool:
    """Whether the answer after training stands first."""
    return random.Random(f"{run} {row}").random() < 0.5


def _meant(pick: Pick, *, turned: bool) -> Good:
    match pick:
        case "first":
            return "after" if turned else "before"
        case "second":
            return "before" if turned else "after"
        case "both" | "neither":
            return pick
