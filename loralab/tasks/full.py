"""Owns full tuning: all weights learn and the result is a new model, not an adapter. How the starter learned to chat; for small models."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from loralab.core.records import setting
from loralab.tasks import Task
from loralab.tasks.text import TextPlan, check

if TYPE_CHECKING:
    from loralab.runs.run_folder import RunFolder
    from loralab.train.session import Session


class FullPlan(TextPlan):
    """Settings of a text run in which every weight learns; the adapter's settings are not used."""

    task: Literal["full"] = "full"  # type: ignore[assignment]
    learning_rate: float = setting(3e-4, "How big each correction is.", group="learning", label="Learning rate", gt=0, lt=1)


def _open(plan: FullPlan, folder: RunFolder) -> Session:
    from loralab.sessions.full import FullSession

    return FullSession(plan, folder)


TASK = Task(kind="full", plan=FullPlan, label="All weights", check=check, open=_open)
