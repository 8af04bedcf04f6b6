"""Owns what is known about graphics cards: what they are, how much of their memory is free, and which other programs hold the rest.

Invariant: everything is asked of the driver's own library (NVML) and nothing of torch; a card or driver that does not answer is no card.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import platform
import sys
from collections.abc import Iterator
from typing import Any

import psutil

from loralab.core.records import Record

OURS = ("loralab.runs.worker", "ui.app", "launch.py")  # in the command line of a program of ours


class Holder(Record):
    """Another program with memory on a card. `bytes` is 0 where the driver does not say (Windows, and cards shared by a server)."""

    pid: int
    name: str
    bytes: int = 0
    ours: bool = False  # a run or a chat of LoRALab


class Gpu(Record):
    """A graphics card as its driver reports it. Bytes."""

    name: str
    total_bytes: int
    free_bytes: int
    driver: str = ""
    driver_cuda: str = ""  # newest CUDA version this driver can serve
    capability: tuple[int, int] = (0, 0)  # CUDA compute capability; bf16 from (8, 0) on
    holders: tuple[Holder, ...] = ()  # other programs that hold memory on it, most first

    @property
    def processes(self) -> int:
        """How many other programs hold memory on it."""
        return len(self.holders)


def nvidia_cards(nvml: Any = None) -> tuple[Gpu, ...]:
    """NVIDIA cards, as `nvml` (the module pynvml) tells; none where that or the driver is absent."""
    if nvml is None:
        if importlib.util.find_spec("pynvml") is None:
            return ()
        nvml = importlib.import_module("pynvml")
    try:
        nvml.nvmlInit()
        try:
            driver, cuda = _text(nvml.nvmlSystemGetDriverVersion()), _cuda(nvml)
            return tuple(_card(nvml, index, driver, cuda) for index in range(nvml.nvmlDeviceGetCount()))
        finally:
            nvml.nvmlShutdown()
    except nvml.NVMLError:  # no driver, or a card that does not answer: the processor is used
        return ()


def _card(nvml: Any, index: int, driver: str, cuda: str) -> Gpu:
    card = nvml.nvmlDeviceGetHandleByIndex(index)
    memory = nvml.nvmlDeviceGetMemoryInfo(card)
    return Gpu(
        name=_text(nvml.nvmlDeviceGetName(card)),
        total_bytes=int(memory.total),
        free_bytes=int(memory.free),
        driver=driver,
        driver_cuda=cuda,
        capability=tuple(nvml.nvmlDeviceGetCudaComputeCapability(card)),
        holders=_holders(nvml, card),
    )


class Reading(Record):
    """How busy and how hot a card is now; None where its driver does not say."""

    index: int
    used_bytes: int
    busy: float | None = None  # 0..1, of the last second or less
    celsius: float | None = None


def readings(nvml: Any = None) -> tuple[Reading, ...]:
    """What every NVIDIA card does now; none where the library or the driver is absent."""
    if nvml is None:
        if importlib.util.find_spec("pynvml") is None:
            return ()
        nvml = importlib.import_module("pynvml")
    try:
        nvml.nvmlInit()
        try:
            return tuple(_reading(nvml, index) for index in range(nvml.nvmlDeviceGetCount()))
        finally:
            nvml.nvmlShutdown()
    except nvml.NVMLError:
        return ()


def _reading(nvml: Any, index: int) -> Reading:
    card = nvml.nvmlDeviceGetHandleByIndex(index)

    def asked(what: Any) -> float | None:
        try:
            return float(what())
        except nvml.NVMLError:  # a card without a sensor
            return None

    busy = asked(lambda: nvml.nvmlDeviceGetUtilizationRates(card).gpu)
    return Reading(
        index=index,
        used_bytes=int(nvml.nvmlDeviceGetMemoryInfo(card).used),
        busy=None if busy is None else busy / 100,
        celsius=asked(lambda: nvml.nvmlDeviceGetTemperature(card, nvml.NVML_TEMPERATURE_GPU)),
    )


def _holders(nvml: Any, card: Any) -> tuple[Holder, ...]:
    """Programs that compute or draw on the card, this one left out. A program that does both is counted once, with the larger number."""
    held: dict[int, int] = {}
    for process in _processes(nvml, card):
        held[process.pid] = max(held.get(process.pid, 0), int(getattr(process, "usedGpuMemory", 0) or 0))
    held.pop(os.getpid(), None)
    found = [_holder(pid, size) for pid, size in held.items()]
    return tuple(sorted(found, key=lambda holder: (-holder.bytes, holder.pid)))


def _processes(nvml: Any, card: Any) -> Iterator[Any]:
    for ask in (nvml.nvmlDeviceGetComputeRunningProcesses, nvml.nvmlDeviceGetGraphicsRunningProcesses):
        try:
            found = ask(card)
        except nvml.NVMLError:  # not every card and driver tells
            continue
        yield from found


def _holder(pid: int, size: int) -> Holder:
    try:
        process = psutil.Process(pid)
        name, command = process.name(), " ".join(process.cmdline())
    except psutil.Error:  # gone since, another user's, or outside of this container
        return Holder(pid=pid, name="a program", bytes=size)
    return Holder(pid=pid, name=name or "a program", bytes=size, ours=any(part in command for part in OURS))


def _cuda(nvml: Any) -> str:
    """The newest CUDA version the driver serves, as 12.8."""
    try:
        number = int(nvml.nvmlSystemGetCudaDriverVersion())
    except nvml.NVMLError:
        return ""
    return f"{number // 1000}.{number % 1000 // 10}"


def _text(said: str | bytes) -> str:
    """Older versions of the library answer in bytes."""
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)


def apple_gpu(chip: str) -> str:
    """The chip's name where its graphics cores can train (Apple silicon), otherwise nothing."""
    return chip if sys.platform == "darwin" and platform.machine() == "arm64" else ""
