"""What the rules about drawing read out of a case: the verdict's table of drawings, its two measures, how fast it learned.

Invariant: pure functions of the case; where something is not known they say so (None or nothing) and never guess.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from advisor.diagnosis.case import Case
from advisor.diagnosis.findings import Evidence, fact
from advisor.tasks import DRAWING_TASKS
from loralab.core.records import Score

__all__ = ["DRAWING_TASKS"]
STARTER_SIDE = 32  # pixels of what the starter draws; all else is drawn larger
USUAL, USUAL_LARGE = 1e-3, 1e-4  # learning rates that bases of either kind begin with


def large(case: Case) -> bool:
    """Whether it learns on one of the larger bases."""
    return case.drawing.image_size > STARTER_SIDE


def usual_rate(case: Case) -> float:
    """The learning rate that such a base begins with."""
    return USUAL_LARGE if large(case) else USUAL


def table(case: Case) -> Mapping[str, Any]:
    """What the verdict counted of its drawings: `drawn`, `copies`, `recalled`; empty before a verdict."""
    found: Mapping[str, Any] = case.judged.get("tables", {})
    return found.get("look") or {}


def score(case: Case, name: str) -> Score | None:
    """A measure of the verdict: look or loss."""
    final = case.signals.final
    return next((one for one in final.scores if one.name == name), None) if final else None


def compared(one: Score) -> tuple[Evidence, Evidence]:
    """A measure before and after."""
    return fact(f"{one.label}, before", round(one.before, 3)), fact(f"{one.label}, after", round(one.after, 3))
