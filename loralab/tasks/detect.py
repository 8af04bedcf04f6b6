"""The detect task: find things in a picture and draw a box around each."""

from __future__ import annotations

from typing import Literal

from loralab.tasks import Task
from loralab.tasks.pictures import BASE, CARD, PLANNER, PicturePlan


class DetectPlan(PicturePlan):
    """Settings of a run that learns to find things in a picture and draw a box around each."""

    task: Literal["detect"] = "detect"  # type: ignore[assignment]


TASK = Task(kind="detect", plan=DetectPlan, session="loralab.sessions.pictures.detect:open_session", card=CARD, planner=PLANNER, base=BASE)
