"""Owns a text task on a machine where no example of more than 40 tokens fits, for workers started with LORALAB_PLUGINS."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from loralab.tasks import Task
from loralab.tasks.text import TextPlan, check

if TYPE_CHECKING:
    from loralab.runs.run_folder import RunFolder
    from loralab.train.session import Session


class CrampedPlan(TextPlan):
    """Settings of a text run."""

    task: Literal["cramped"] = "cramped"  # type: ignore[assignment]


def _open(plan: CrampedPlan, folder: RunFolder) -> Session:
    from loralab.sessions.text import TextSession
    from loralab.train.session import Batch

    class Cramped(TextSession):
        def loss(self, batch: Batch) -> Any:
            if self.model.training and max(batch.sizes) > 40:
                raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes.")
            return super().loss(batch)

    return Cramped(plan, folder)


TASK = Task(kind="cramped", plan=CrampedPlan, label="Cramped", check=check, open=_open)
