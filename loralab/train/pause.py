"""Owns waiting because the person asked for it: a battery running low, a machine getting hot.

Invariants: a safety copy is written before it waits; it says why it waits and that it goes on by itself; a stop request is answered
while it waits; what cannot be read never makes a run wait.
"""

from __future__ import annotations

import time

from loralab.core.events import Noted
from loralab.core.records import Plan
from loralab.core.words import duration
from loralab.train import checkpointing
from loralab.train.sensors import Reading
from loralab.train.state import Run

READ_EVERY = 10.0  # seconds between two readings: sensors are files and drivers, each reading takes milliseconds
ANSWER_EVERY = 0.5  # seconds in which a stop request is answered while waiting
MARGIN = 5  # per cent, or degrees, that it must be better by, so that a run does not stop and go all the time


def why(plan: Plan, reading: Reading, margin: float = 0) -> str:
    """The reason to wait, in words, or nothing. With `margin` it must be that much better than the plan's bound."""
    if plan.pause_below_battery and reading.battery is not None and reading.battery < min(100, plan.pause_below_battery + margin):
        return f"the battery is at {reading.battery:.0f} % (your limit is {plan.pause_below_battery} %)"
    if plan.pause_above_temperature and reading.temperature is not None and reading.temperature > plan.pause_above_temperature - margin:
        return f"the machine is at {reading.temperature:.0f} °C (your limit is {plan.pause_above_temperature} °C)"
    return ""


def wait(run: Run) -> None:
    """Wait, here, as long as the plan says so; the time is not training time. Costs nothing where the plan sets no limit."""
    plan, sensors = run.plan, run.sensors
    if not (plan.pause_below_battery or plan.pause_above_temperature) or time.monotonic() - sensors.last_read < READ_EVERY:
        return
    sensors.last_read = time.monotonic()
    reason = why(plan, sensors.read())
    if not reason:
        return
    begun, step = time.monotonic(), run.progress.step
    checkpointing.save(run)
    run.folder.emit(Noted(step=step, text=f"Waiting because {reason}. It goes on by itself.", phase=f"waiting: {reason}"))
    while reason and not run.folder.stop_asked:
        _sleep(run)
        reason = why(plan, sensors.read(), MARGIN)
    sensors.last_read = time.monotonic()
    waited = time.monotonic() - begun
    run.clock.skip(waited)
    if not reason:
        run.folder.emit(Noted(step=step, text=f"Going on after waiting for {duration(waited)}.", phase="training"))


def _sleep(run: Run) -> None:
    until = time.monotonic() + READ_EVERY
    while time.monotonic() < until and not run.folder.stop_asked:
        time.sleep(min(ANSWER_EVERY, READ_EVERY))
