"""What a machine says of its battery and its heat. Invariant: what cannot be read is not known; it is never a number made up."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import psutil

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
    last_read: float = -math.inf  # seconds of time.monotonic


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
    import pynvml  # noqa: PLC0415  (an optional part)

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
