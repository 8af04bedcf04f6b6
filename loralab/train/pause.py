"""Owns waiting because the person asked for it: a battery running low, a machine getting hot.

Invariants: a safety copy is written before it waits; it says why it waits and that it goes on by itself; a stop request is answered
while it waits; what cannot be read never makes a run wait.
"""

from __future__ import annotations

import importlib.util
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import psutil

from loralab.core.events import Noted
from loralab.core.records import Plan
from loralab.core.words import duration
from loralab.train import checkpointing

if TYPE_CHECKING:
    from loralab.train.loop import Run

LOOK_EVERY = 10.0  # seconds between two readings: sensors are files and drivers, each reading takes milliseconds
ANSWER_EVERY = 0.5  # seconds in which a stop request is answered while waiting
MARGIN = 5  # per cent, or degrees, that it must be better by, so that a run does not stop and go all the time

# Sensors that measure a processor, by their driver's name; a disk or a wireless card may be as hot as it likes.
_PROCESSORS = frozenset({"coretemp", "k10temp", "zenpower", "cpu_thermal", "cpu-thermal", "soc_thermal", "scpi_sensors", "acpitz"})


@dataclass(frozen=True)
class Reading:
    """How the machine is; None where it is not known."""

    battery: float | None = None  # per cent left; None on mains, too
    temperature: float | None = None  # °C, the hottest of processor and card


def read() -> Reading:
    """Ask the system."""
    return Reading(_battery(), _hottest([*_processor(), *_cards()]))


@dataclass
class Sensors:
    """What a run reads its machine with, and when it last did."""

    read: Callable[[], Reading] = field(default=read)
    looked: float = -math.inf  # seconds of time.monotonic


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
    if not (plan.pause_below_battery or plan.pause_above_temperature) or time.monotonic() - sensors.looked < LOOK_EVERY:
        return
    sensors.looked = time.monotonic()
    reason = why(plan, sensors.read())
    if not reason:
        return
    begun, step = time.monotonic(), run.progress.step
    checkpointing.save(run)
    run.folder.emit(Noted(step=step, text=f"Waiting because {reason}. It goes on by itself.", phase=f"waiting: {reason}"))
    while reason and not run.folder.stop_asked:
        _sleep(run)
        reason = why(plan, sensors.read(), MARGIN)
    sensors.looked = time.monotonic()
    waited = time.monotonic() - begun
    run.clock.skip(waited)
    if not reason:
        run.folder.emit(Noted(step=step, text=f"Going on after waiting for {duration(waited)}.", phase="training"))


def _sleep(run: Run) -> None:
    until = time.monotonic() + LOOK_EVERY
    while time.monotonic() < until and not run.folder.stop_asked:
        time.sleep(min(ANSWER_EVERY, LOOK_EVERY))


# ---- sensors -----------------------------------------------------------------------------------------------------------------


def _battery() -> float | None:
    sensor: Any = getattr(psutil, "sensors_battery", None)  # absent on some systems
    try:
        found = sensor() if sensor else None
    except (OSError, RuntimeError, ValueError):  # a driver that does not answer: not known
        return None
    return None if found is None or found.power_plugged is not False else float(found.percent)


def _processor() -> list[float]:
    sensor: Any = getattr(psutil, "sensors_temperatures", None)  # Linux and FreeBSD only
    try:
        found = sensor() if sensor else {}
    except (OSError, RuntimeError, ValueError):
        return []
    return [entry.current for driver, entries in found.items() if driver in _PROCESSORS for entry in entries]


def _cards() -> list[float]:
    """NVIDIA cards, through their driver's own library where it is installed."""
    if importlib.util.find_spec("pynvml") is None:
        return []
    import pynvml

    try:
        pynvml.nvmlInit()
        try:
            cards = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
            return [float(pynvml.nvmlDeviceGetTemperature(card, pynvml.NVML_TEMPERATURE_GPU)) for card in cards]
        finally:
            pynvml.nvmlShutdown()
    except pynvml.NVMLError:  # no driver, or a card that does not answer
        return []


def _hottest(found: list[float]) -> float | None:
    """The highest of what can be true: broken sensors say -1, 255 or 65,261."""
    return max((t for t in found if 0 < t < 150), default=None)
