"""Full tuning: all weights learn and the result is a new model, not an adapter. How the starter learned to chat; for small models."""

from __future__ import annotations

from typing import Literal

from loralab.core.records import setting
from loralab.tasks import Task
from loralab.tasks.text import TextPlan


class FullPlan(TextPlan):
    """Settings of a text run in which every weight learns; the adapter's settings are not used."""

    task: Literal["full"] = "full"  # type: ignore[assignment]
    learning_rate: float = setting(3e-4, "How big each correction is.", group="learning", label="Learning rate", gt=0, lt=1)


TASK = Task(kind="full", plan=FullPlan, session="loralab.sessions.full:FullSession")
