"""The kinds of training: one file per kind, found by discovery. A kind is data (no torch): its Plan, and by name what runs it.

To add a kind write `loralab/tasks/<kind>.py` with a `TASK` constant, and its session; nothing else is edited.
"""

from __future__ import annotations

import importlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from loralab.core import plugins
from loralab.core.errors import UserError
from loralab.core.records import Plan

SHARED = ("pictured", "pictures")  # no kind: what kinds have in common


@dataclass(frozen=True)
class Task:
    """What app and worker must know about a kind of training. What runs it is named `module:thing`; only a worker resolves that."""

    kind: str
    plan: type[Plan]
    session: str  # a class made with (plan, run folder); see loralab.train.session.Session
    engines: dict[str, str] = field(default_factory=dict)  # plan.engine -> a function of (plan, run folder) that trains instead of our loop
    card: str = ""  # a function of (plan, run folder, what was saved) that writes beside it what others must know
    planner: str = "loralab.planning.preferences:propose"  # a function of (profile, model, machine, changes, priors, past): a Proposal
    base: str = "starter"  # the model that learns where nobody chose one

    def open(self, plan: Plan, folder: Any) -> Any:
        """The session of a plan."""
        return _resolved(self.session)(plan, folder)

    def propose(self, *about: Any) -> Any:
        """A complete plan with its reasons; `about` is what the planner takes."""
        return _resolved(self.planner)(*about)

    def train_with(self, engine: str, plan: Plan, folder: Any) -> dict[str, Any]:
        """The run's result, from another engine than our loop."""
        return _resolved(self.engines[engine])(plan, folder)

    def describe(self, plan: Plan, folder: Any, saved: Path) -> None:
        """Put the card beside what was saved, where this kind has one."""
        if self.card:
            _resolved(self.card)(plan, folder, saved)


def _resolved(name: str) -> Any:
    module, _, thing = name.partition(":")
    return getattr(importlib.import_module(module), thing)


def tasks() -> dict[str, Task]:
    """All task kinds by name."""
    return {task.kind: task for task in plugins.discover("loralab.tasks", "TASK", SHARED).values()}


def setting_label(name: str) -> str:
    """What people call a setting, of whichever kind of training has it."""
    fields = (
        task.plan.model_fields[name]
        for task in sorted(tasks().values(), key=lambda task: task.kind != "text")
        if name in task.plan.model_fields
    )
    labels = (extra.get("label") for field in fields if isinstance(extra := field.json_schema_extra, dict))
    return str(next(labels, None) or name.replace("_", " "))


def parse_plan(values: dict[str, Any]) -> Plan:
    """The typed plan of a plain dict. Raises UserError naming the field and its bounds."""
    if not isinstance(values, dict):  # pyright: ignore[reportUnnecessaryIsInstance]  (a file holds what it holds)
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
