"""Owns the Train job: from a plan to the session or engine that runs it."""

from __future__ import annotations

from typing import Any

from loralab.tasks import parse_plan, tasks
from loralab.train.run import RunFolder


def run(folder: RunFolder) -> dict[str, Any]:
    """Train as the plan says; returns the run's result (steps, seconds, tokens_per_second, outcome...)."""
    plan = parse_plan(folder.job.plan)
    task = tasks()[plan.task]
    other = task.engines.get(getattr(plan, "engine", ""))
    if other is not None:
        return other(plan, folder)
    from loralab.train.loop import train

    return train(task.open(plan, folder), plan, folder)
