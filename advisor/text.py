"""The one place that names the text task: its settings, and whether a plan is one of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loralab.core.records import Plan
from loralab.lab import TextPlan, parse_plan

__all__ = ["READING_TASKS", "TEXT_TASKS", "TextPlan", "given_roles", "is_text", "text_plan"]
TEXT_TASKS = frozenset({"text"})
READING_TASKS = frozenset({"text", "preference"})  # whose examples are conversations as a text run reads them


def is_text(plan: Mapping[str, Any]) -> bool:
    """Whether a plan, as a job holds it, trains a text adapter, on answers or on pairs of them."""
    return bool(plan) and plan.get("task", "text") in READING_TASKS


def text_plan(plan: Plan | Mapping[str, Any]) -> TextPlan:
    """The typed plan. Raises ValidationError where it is none of text."""
    values = plan.model_dump() if isinstance(plan, Plan) else dict(plan)
    found = parse_plan(values) if is_text(values) and values.get("task", "text") not in TEXT_TASKS else None
    return found if isinstance(found, TextPlan) else TextPlan.model_validate(values)


def given_roles(plan: Mapping[str, Any]) -> dict[str, str] | None:
    """The columns of a plan as far as somebody gave or knows them: a guess is made again, and not remembered as an answer."""
    return None if plan.get("guessed") else plan.get("roles") or None
