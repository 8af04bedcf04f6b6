"""Owns the question “what should it do?”. Invariant: a goal is only a name for settings of the plan; nothing else depends on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from loralab.core.errors import UserError
from loralab.core.records import DatasetProfile


@dataclass(frozen=True)
class Goal:
    """One answer, in a person's words, and the settings it stands for."""

    label: str
    changes: tuple[tuple[str, Any], ...]


GOALS = {
    "answer": Goal("Answer like these examples", (("learn_from", "replies"),)),
    "sort": Goal("Sort texts into labels", (("learn_from", "replies"),)),
    "write": Goal("Write like this", (("learn_from", "everything"),)),
}
CHOICES = [(goal.label, name) for name, goal in GOALS.items()]


def fitting(profile: DatasetProfile) -> str:
    """The goal that the shape of the examples suggests."""
    return {"label": "sort", "text": "write"}.get(profile.shape, "answer")


def changes(goal: str, profile: DatasetProfile) -> dict[str, Any]:
    """The settings a goal stands for. Raises UserError when the examples cannot teach it."""
    if goal == "sort" and not profile.labels:
        raise UserError(
            "These examples have no labels to sort into.", "Choose another goal, or a file with a column of labels.", code="goal_mismatch"
        )
    if goal == "answer" and profile.shape == "text":
        raise UserError("This is running text without questions and answers.", "Choose “Write like this”.", code="goal_mismatch")
    return dict(GOALS[goal].changes)


def learn_from(goal: str) -> str:
    """Which part of an example is learned under this goal."""
    return str(dict(GOALS[goal].changes).get("learn_from", "replies"))
