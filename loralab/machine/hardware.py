"""Owns what this computer is: processor, memory, graphics card, disk, and which optional parts are there.

Invariant: measuring takes a few milliseconds, starts no program after the first call and imports no torch: the app's footer calls it.
Graphics cards are asked in gpu.py; speeds are not measured here but read from where speed.py keeps them.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
import sys
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import psutil
from pydantic import Field

from loralab.core.parts import Part, parts
from loralab.core.records import Record
from loralab.core.words import size
from loralab.machine.gpu import Gpu, apple_gpu, nvidia_cards
from loralab.machine.speed import Speed, kept

PACKAGES = ("torch", "transformers", "peft", "trl", "accelerate", "safetensors", "tokenizers", "huggingface-hub", "gradio")
_UNLIMITED = 1 << 60  # cgroup v1 writes a huge number for “no limit”


class Machine(Record):
    """This computer. Bytes everywhere; `memory_free` is what a new program may take, limits of a container included."""

    cpu: str
    cores: int  # physical, that this program may use
    amx_bf16: bool = False
    avx512_bf16: bool = False
    memory_total: int
    memory_free: int
    memory_limited: bool = False  # a container or service allows less than the computer has
    gpus: tuple[Gpu, ...] = ()
    apple_gpu: str = ""
    torch_cuda: str = ""  # CUDA version the installed torch was built for; empty: none
    disk_free: int
    platform: str
    python: str
    versions: dict[str, str] = Field(default_factory=dict)  # of packages; “absent” where missing
    optional: tuple[Part, ...] = ()
    speed: Speed = Speed()
    words: str = ""

    @property
    def accelerator(self) -> Literal["cuda", "mps", "cpu"]:
        """Where training would run: a card only counts when the installed torch can use it."""
        if self.gpus and self.torch_cuda:
            return "cuda"
        return "mps" if self.apple_gpu else "cpu"

    @property
    def fast_bf16(self) -> bool:
        """Whether half precision is quicker than fp32 here: measured where a probe ran, otherwise by what the chip has."""
        if self.accelerator == "cuda":
            return self.gpus[0].capability >= (8, 0)
        if self.speed.bf16_tflops and self.speed.fp32_tflops:
            return self.speed.bf16_tflops > 1.2 * self.speed.fp32_tflops
        return self.accelerator == "cpu" and (self.amx_bf16 or self.avx512_bf16)

    @property
    def training_memory_free(self) -> int:
        """Bytes a training run may take: of the card where it runs on one, otherwise of main memory."""
        return self.gpus[0].free_bytes if self.accelerator == "cuda" else self.memory_free

    def has(self, part: str) -> bool:
        """Whether an optional part is installed."""
        return any(p.present for p in self.optional if p.name == part)


def measure_machine(home: Path) -> Machine:
    """Measure this computer. `home` says which disk and holds machine.json."""
    total, free = _memory()
    cards = nvidia_cards()
    cpu, amx, avx = _processor()
    cores = _cores()
    machine = Machine(
        cpu=cpu,
        cores=cores,
        amx_bf16=amx,
        avx512_bf16=avx,
        memory_total=total,
        memory_free=free,
        memory_limited=total < psutil.virtual_memory().total,
        gpus=cards,
        apple_gpu=apple_gpu(cpu),
        torch_cuda=_torch_cuda(),
        disk_free=shutil.disk_usage(_existing(home)).free,
        platform=_platform(),
        python=platform.python_version(),
        versions=_versions(),
        optional=parts(),
        speed=kept(home, _fingerprint(cpu, cores, cards)),
    )
    return machine.model_copy(update={"words": _words(machine)})


def fingerprint(machine: Machine) -> str:
    """What measured speeds belong to: another processor, card or torch is measured again."""
    return _fingerprint(machine.cpu, machine.cores, machine.gpus)


def _fingerprint(cpu: str, cores: int, cards: tuple[Gpu, ...]) -> str:
    return " | ".join((cpu, f"{cores} cores", *(card.name for card in cards), f"torch {_versions()['torch']}", _torch_cuda()))


def _words(machine: Machine) -> str:
    if machine.gpus:
        card = machine.gpus[0]
        more = f" and {len(machine.gpus) - 1} more" if len(machine.gpus) > 1 else ""
        gpu = f"{card.name}{more} with {size(card.free_bytes)} of {size(card.total_bytes)} free"
        if not machine.torch_cuda:
            gpu += " (not used: the installed torch is for the processor only)"
    else:
        gpu = "graphics cores built in" if machine.apple_gpu else "no graphics card"
    memory, disk = machine.memory_free / 1e9, machine.disk_free / 1e9
    return f"{machine.cores}-core {machine.cpu}, {memory:.0f} GB of memory free, {gpu}, {disk:.0f} GB of disk free"


def _existing(path: Path) -> Path:
    return next(p for p in (path, *path.absolute().parents) if p.exists())


def _memory() -> tuple[int, int]:
    """Total and available bytes: the smaller of the machine's and of the container's own limit."""
    memory = psutil.virtual_memory()
    total, free = int(memory.total), int(memory.available)
    for limit, used in _limits(Path("/sys/fs/cgroup"), Path("/proc/self/cgroup")):
        total, free = min(total, limit), min(free, max(limit - used, 0))
    return total, free


def _limits(root: Path, membership: Path) -> list[tuple[int, int]]:
    """(limit, bytes in use that cannot be given back) of every memory control group this process is in, v1 and v2."""
    if not membership.is_file():
        return []
    found: list[tuple[int, int]] = []
    for line in membership.read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "":  # version 2
            base, names = root, ("memory.max", "memory.current", "inactive_file")
        elif "memory" in controllers.split(","):
            base, names = root / "memory", ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file")
        else:
            continue
        own = base / path.lstrip("/")
        for group in (own, *own.parents):  # a limit of any group above holds too; inside a container only the root is visible
            if group == base.parent:
                break
            limit = _number(group / names[0])
            if limit is not None and limit < _UNLIMITED:
                found.append((limit, (_number(group / names[1]) or 0) - _statistic(group / "memory.stat", names[2])))
    return found


def _number(path: Path) -> int | None:
    with contextlib.suppress(OSError, ValueError):  # absent, or the word “max”
        return int(path.read_text())
    return None


def _statistic(path: Path, name: str) -> int:
    with contextlib.suppress(OSError):
        for line in path.read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    return 0


def _cores() -> int:
    physical = psutil.cpu_count(logical=False) or psutil.cpu_count() or 1
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else physical
    return max(1, min(physical, allowed))


@lru_cache(maxsize=1)
def _processor() -> tuple[str, bool, bool]:
    """Name, and whether it computes bf16 in AMX or AVX-512. On systems that do not say, a probe decides."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        text = info.read_text()
        name = re.search(r"^(?:model name|Model)\s*:\s*(.+)$", text, re.MULTILINE)
        flags = re.search(r"^(?:flags|Features)\s*:\s*(.+)$", text, re.MULTILINE)
        have = set(flags[1].split()) if flags else set[str]()
        return (name[1].strip() if name else platform.machine()), "amx_bf16" in have, "avx512_bf16" in have
    if sys.platform == "darwin":
        with contextlib.suppress(OSError, subprocess.SubprocessError):
            command = ["sysctl", "-n", "machdep.cpu.brand_string"]
            return subprocess.run(command, capture_output=True, text=True, timeout=2, check=True).stdout.strip(), False, False
    return platform.processor() or platform.machine(), False, False


@lru_cache(maxsize=1)
def _platform() -> str:
    return platform.platform(terse=True)


@lru_cache(maxsize=1)
def _torch_cuda() -> str:
    """The CUDA version in torch/version.py, read as text: importing torch would cost two seconds and its memory."""
    found = importlib.util.find_spec("torch")
    if found is None or not found.origin:
        return ""
    file = Path(found.origin).with_name("version.py")
    match = re.search(r"^cuda\b[^=]*=\s*['\"]([\d.]+)['\"]", file.read_text("utf-8") if file.is_file() else "", re.MULTILINE)
    return match[1] if match else ""


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "absent"


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    return {package: _version(package) for package in PACKAGES}
