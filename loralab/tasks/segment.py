"""The segment task: mark in a picture which pixels are what."""

from __future__ import annotations

from typing import Literal

from loralab.tasks import Task
from loralab.tasks.pictures import BASE, CARD, PLANNER, PicturePlan


class SegmentPlan(PicturePlan):
    """Settings of a run that learns to mark in a picture which pixels are what."""

    task: Literal["segment"] = "segment"  # type: ignore[assignment]


TASK = Task(
    kind="segment", plan=SegmentPlan, session="loralab.sessions.pictures.segment:open_session", card=CARD, planner=PLANNER, base=BASE
)
