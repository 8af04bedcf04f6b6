"""The kind: what a person can set. A worker knows it through LORALAB_PLUGINS="loralab.tasks:tests.support.fake_pictures.task"."""

from __future__ import annotations

from typing import Literal

from loralab.core.records import Plan, setting
from loralab.tasks import Task


class PicturePlan(Plan):
    """Settings of a run that tells pictures apart."""

    task: Literal["pictures"] = "pictures"  # pyright: ignore[reportIncompatibleVariableOverride]
    filters: int = setting(8, "Patterns the model can look for.", group="model", label="Filters", ge=1)
    learning_rate: float = setting(3e-3, "How big each correction is.", group="learning", label="Learning rate", gt=0, lt=1)
    token_budget: int = setting(0, "Pixels computed at once; 0 means no limit.", group="memory", label="Pixels at once", ge=0)
    room_for: int = setting(0, "Pixels of which this machine cannot hold more; 0 means any number.", group="memory", label="Room", ge=0)


TASK = Task(kind="pictures", plan=PicturePlan, session="tests.support.fake_pictures.session:PictureSession")
