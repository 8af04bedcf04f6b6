"""The question “what should it do?” about examples that are there: of the seven kinds those that teach differently.

Invariant: a goal is only a name for settings of the plan; nothing else depends on it.
"""

from __future__ import annotations

from typing import Any

from advisor.proposals.kinds import KINDS, KindName
from loralab.core.errors import UserError
from loralab.core.records import DatasetProfile

# Questions and answers of any kind are learned alike: “answer” stands for all of them.
LABELS: dict[KindName, str] = {"answer": "Answer like these examples", "sort": "Sort texts into labels", "write": "Write like this"}
CHOICES = [(label, str(kind)) for kind, label in LABELS.items()]
PREFERENCE = "preference"
PAIRED = {"answer": "Learn to answer like the chosen ones", PREFERENCE: "Learn what is preferred"}  # where there are rejected answers, too

SEEING = {
    "classify": "Tell these kinds of pictures apart",
    "segment": "Mark in a picture what is where",
    "detect": "Find these things in a picture and draw a box around each",
    "draw": "Draw new pictures in this style",
}


def choices(profile: DatasetProfile) -> list[tuple[str, str]]:
    """What may be chosen for these examples, as label and goal; of pictures it follows from what lies beside them."""
    if of_pictures(profile):
        return [(SEEING.get(profile.task, SEEING["classify"]), "answer")]
    return [(label, goal) for goal, label in PAIRED.items()] if _paired(profile) else CHOICES


def of_pictures(profile: DatasetProfile) -> bool:
    """Whether these examples are pictures."""
    return profile.task in SEEING


def _paired(profile: DatasetProfile) -> bool:
    return any(example.rejected for example in profile.examples)


def fitting(profile: DatasetProfile) -> str:
    """The goal that the shape of the examples suggests; pictures say themselves what they are for."""
    return next((kind for kind in LABELS if KINDS[kind].shape == profile.shape), "answer")


def changes(goal: str, profile: DatasetProfile) -> dict[str, Any]:
    """The settings a goal stands for. Raises UserError when the examples cannot teach it."""
    if of_pictures(profile):
        return {}
    if goal == "sort" and not profile.labels:
        raise UserError(
            "These examples have no labels to sort into.", "Choose another goal, or a file with a column of labels.", code="goal_mismatch"
        )
    if goal == "answer" and profile.shape == "text":
        raise UserError("This is running text without questions and answers.", "Choose “Write like this”.", code="goal_mismatch")
    if goal == PREFERENCE:
        if not _paired(profile):
            raise UserError("These examples have no rejected answers.", "Choose “Answer like these examples”.", code="goal_mismatch")
        return {"task": PREFERENCE, "learn_from": "replies"}
    return {"learn_from": learn_from(goal)}


def learn_from(goal: str) -> str:
    """Which part of an example is learned under this goal."""
    return next((kind.learn_from for name, kind in KINDS.items() if name == goal), "replies")
