"""Which kinds of training the advisor knows, and their plans; what is of text alone stands in advisor/text.py."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from advisor.text import READING_TASKS, TEXT_TASKS, is_text, text_plan
from loralab.core.errors import UserError
from loralab.core.records import Plan
from loralab.lab import DrawPlan, PicturePlan, parse_plan

__all__ = ["ALL_TASKS", "DRAWING_TASKS", "PICTURE_TASKS", "TEXT_AND_PICTURES", "DrawPlan", "PicturePlan"]
__all__ += ["draws", "is_known", "is_pictures", "known_plan"]
PICTURE_TASKS = frozenset({"classify", "segment", "detect"})
DRAWING_TASKS = frozenset({"draw"})
ALL_TASKS = READING_TASKS | PICTURE_TASKS
TEXT_AND_PICTURES = TEXT_TASKS | PICTURE_TASKS  # of rules about curves, which pairs of answers do not have in this form


def is_pictures(plan: Mapping[str, Any]) -> bool:
    """Whether a plan, as a job holds it, learns to tell pictures apart, to mark in them or to find things."""
    return plan.get("task") in PICTURE_TASKS


def draws(plan: Mapping[str, Any]) -> bool:
    """Whether a plan, as a job holds it, learns to draw."""
    return plan.get("task") in DRAWING_TASKS


def is_known(plan: Mapping[str, Any]) -> bool:
    """Whether the rules know anything of a plan, as a job holds it."""
    return is_text(plan) or is_pictures(plan) or draws(plan)


def known_plan(plan: Plan | Mapping[str, Any]) -> Plan:
    """The typed plan. Raises UserError where it is of a kind the advisor knows nothing of; that or ValidationError where it is none."""
    values = plan.model_dump() if isinstance(plan, Plan) else dict(plan)
    if is_pictures(values) or draws(values):
        return parse_plan(values)
    if not is_text(values):
        raise UserError("The advisor knows nothing of this kind of training.", "Choose another run.", code="not_a_training")
    return text_plan(values)
