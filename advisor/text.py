"""The one place that names the text task: its settings, and whether a plan is one of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loralab.core.records import Plan
from loralab.lab import TextPlan

__all__ = ["TEXT_TASKS", "TextPlan", "is_text", "text_plan"]
TEXT_TASKS = frozenset({"text"})


def is_text(plan: Mapping[str, Any]) -> bool:
    """Whether a plan, as a job holds it, trains a text adapter."""
    return bool(plan) and plan.get("task", "text") in TEXT_TASKS


def text_plan(plan: Plan | Mapping[str, Any]) -> TextPlan:
    """The typed plan. Raises ValidationError where it is none of text."""
    return TextPlan.model_validate(plan.model_dump() if isinstance(plan, Plan) else dict(plan))
