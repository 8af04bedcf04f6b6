"""Owns the Train job: from a plan to the session or engine that runs it."""

from __future__ import annotations

from typing import Any

from loralab.errors import UserError
from loralab.tasks import parse_plan, tasks
from loralab.train.run import RunFolder

OURS = "loralab"  # the engine every kind of training has


def run(folder: RunFolder) -> dict[str, Any]:
    """Train as the plan says; returns the run's result (steps, seconds, tokens_per_second, outcome...)."""
    plan = parse_plan(folder.job.plan)
    task = tasks()[plan.task]
    engine = getattr(plan, "engine", OURS)
    if engine in task.engines:
        return task.engines[engine](plan, folder)
    if engine != OURS:
        raise UserError(f"“{engine}” cannot do this kind of training.", f"Set engine to {OURS}.", code="unknown_engine")
    from loralab.train.loop import train

    return train(task.open(plan, folder), plan, folder)
