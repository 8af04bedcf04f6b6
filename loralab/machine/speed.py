"""Owns how fast this computer multiplies: what was measured, where it is kept, and measuring it in a process of its own.

Invariants: nothing here imports torch; a number belongs to one processor, card and torch, so that a workspace carried to another
computer is measured again; a measurement that fails leaves no trace and hurts nobody, because it only makes estimates better.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from pathlib import Path

import psutil
from pydantic import ConfigDict, Field, ValidationError

from loralab.core.child import ENVIRONMENT
from loralab.core.paths import CHECKOUT, write_atomic
from loralab.core.records import Record

FILE = "machine.json"
MEASURED = {"bf16_tflops", "fp32_tflops", "device", "fingerprint"}
PATIENCE = 120.0  # seconds: most of it is the import of torch on a busy or slow computer
IDLE_NICENESS = 15


class Speed(Record):
    """What the probe measured. teraflops (1e12 operations a second, a multiplication and an addition are two)."""

    model_config = ConfigDict(extra="ignore")  # the file may hold more than is read here

    bf16_tflops: float | None = Field(default=None, gt=0)
    fp32_tflops: float | None = Field(default=None, gt=0)
    device: str = ""  # what was measured: cpu, cuda or mps
    fingerprint: str = ""  # of the computer it was measured on
    tokens_per_second: dict[str, float] = Field(default_factory=dict)  # by model name, filled in from past runs

    @property
    def known(self) -> bool:
        """Whether anything was measured."""
        return self.fp32_tflops is not None


def kept(home: Path, fingerprint: str) -> Speed:
    """What machine.json says about this very computer; nothing where it is about another, damaged or not there."""
    try:
        speed = Speed.model_validate_json((home / FILE).read_bytes())
    except (OSError, ValidationError):
        return Speed()
    return speed if speed.fingerprint == fingerprint else Speed()


def keep(home: Path, speed: Speed) -> None:
    """Write it down for the next time. A disk that is full or read-only only means measuring again."""
    with contextlib.suppress(OSError):
        write_atomic(home / FILE, speed.model_dump_json(indent=1, include=MEASURED))


def measure(fingerprint: str, *, quietly: bool = False) -> Speed:
    """Measure in a child process, which alone imports torch. `quietly` leaves the processor to others. Nothing known: it did not work."""
    child = subprocess.Popen(
        [sys.executable, "-m", "loralab.train.matmul"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        cwd=CHECKOUT,
        env={**os.environ, **ENVIRONMENT},
    )
    if quietly:
        _step_back(child.pid)
    try:
        said, _ = child.communicate(timeout=PATIENCE)
        speed = Speed.model_validate_json(said.splitlines()[-1])
    except (subprocess.TimeoutExpired, ValidationError, IndexError):
        child.kill()
        child.wait()
        return Speed()
    return speed.model_copy(update={"fingerprint": fingerprint})


def _step_back(pid: int) -> None:
    with contextlib.suppress(psutil.Error, OSError):
        psutil.Process(pid).nice(psutil.BELOW_NORMAL_PRIORITY_CLASS if sys.platform == "win32" else IDLE_NICENESS)
