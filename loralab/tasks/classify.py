"""The classify task: tell pictures apart by their class."""

from __future__ import annotations

from typing import Literal

from loralab.tasks import Task
from loralab.tasks.pictures import BASE, CARD, PLANNER, PicturePlan


class ClassifyPlan(PicturePlan):
    """Settings of a run that learns to tell pictures apart by their class."""

    task: Literal["classify"] = "classify"  # type: ignore[assignment]


TASK = Task(
    kind="classify", plan=ClassifyPlan, session="loralab.sessions.pictures.classify:open_session", card=CARD, planner=PLANNER, base=BASE
)
