"""The preference task: learn from pairs of answers which one is preferred (DPO), with the adapter of a text run."""

from __future__ import annotations

from typing import Literal

from loralab.core.records import setting
from loralab.tasks import Task
from loralab.tasks.text import TextPlan


class PreferencePlan(TextPlan):
    """Settings of a run on pairs: a text run's, and how far it may go from the model it began with."""

    task: Literal["preference"] = "preference"  # type: ignore[assignment]
    beta: float = setting(
        0.1,
        "How strongly it is held to the model it began with: a small number lets it go further for what is preferred.",
        group="learning",
        label="Held back",
        gt=0,
        le=10,
    )
    epochs: float = setting(
        2.0, "How many times the model sees every pair.", group="basics", label="Rounds over the examples", unit="epochs", gt=0, le=1000
    )


TASK = Task(
    kind="preference", plan=PreferencePlan, session="loralab.sessions.preference:PreferenceSession", card="loralab.reports.card:write"
)
