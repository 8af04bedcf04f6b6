"""Owns the task kinds: one file per kind, found by discovery. A kind is light (no torch): its Plan, its checks, which session runs it.

To add a kind write `loralab/tasks/<kind>.py` with a `TASK` constant; nothing else is edited.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pydantic import ValidationError

from loralab.core import plugins
from loralab.core.errors import Problem, UserError
from loralab.core.records import DatasetProfile, Plan

if TYPE_CHECKING:
    from loralab.runs.run_folder import RunFolder
    from loralab.train.session import Session


@dataclass(frozen=True)
class Task:
    """What the app and the worker must know about a kind of training."""

    kind: str
    plan: type[Plan]
    label: str
    check: Callable[[Plan, DatasetProfile | None], list[Problem]]
    open: Callable[[Any, RunFolder], Session]  # called in the worker only; imports torch inside
    engines: dict[str, Callable[[Any, RunFolder], dict[str, Any]]] = field(
        default_factory=dict
    )  # plan.engine -> trains instead of our loop


def tasks() -> dict[str, Task]:
    """All task kinds by name."""
    return {task.kind: task for task in plugins.discover("loralab.tasks", "TASK").values()}


def parse_plan(values: dict[str, Any]) -> Plan:
    """The typed plan of a plain dict. Raises UserError naming the field and its bounds."""
    if not isinstance(values, dict):
        raise UserError("This is not a plan.", "A plan is an object with a value for each setting.", code="bad_plan")
    kind = str(values.get("task", "text"))
    known = tasks()
    if kind not in known:
        raise UserError(f"There is no kind of training called “{kind}”.", f"Choose one of: {', '.join(known)}.", code="unknown_task")
    try:
        return known[kind].plan.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]) or "plan"
        if first["type"] == "extra_forbidden":
            raise UserError(
                f"There is no setting called “{name}”.", f"Settings: {', '.join(known[kind].plan.model_fields)}.", code="unknown_setting"
            ) from error
        raise UserError(f"The setting “{name}” cannot be {repr(first.get('input'))[:200]}: {first['msg']}.", code="bad_setting") from error
