"""Owns a text task on a machine where no example of more than 40 tokens fits, for workers started with LORALAB_PLUGINS."""

from __future__ import annotations

from typing import Literal

from loralab.tasks import Task
from loralab.tasks.text import TextPlan


class CrampedPlan(TextPlan):
    """Settings of a text run."""

    task: Literal["cramped"] = "cramped"  # type: ignore[assignment]


TASK = Task(kind="cramped", plan=CrampedPlan, session="tests.support.cramped_session:CrampedSession")
