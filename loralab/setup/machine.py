"""Owns the facts about this computer that decide what is installed. Invariant: asking changes nothing."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

TORCH_INDEX = "https://download.pytorch.org/whl/"
_GIB = 2**30


@dataclass(frozen=True)
class Card:
    """An NVIDIA card: its driver's major version and its compute capability."""

    driver: int
    capability: float


@dataclass(frozen=True)
class TorchBuild:
    """Which build of PyTorch fits: where it is found (None: the usual index) and how much room it takes."""

    name: str  # cpu | cu126 | cu130 | default
    index: str | None
    words: str
    gibibytes: float


def torch_build(system: str, card: Card | None) -> TorchBuild:
    """Choose the build of PyTorch 2.13 for a system (`platform.system()`) and its NVIDIA card, if any.

    The default wheel is CUDA 13.0 on Linux, CPU only on Windows, and Metal on a Mac. CUDA 13 needs driver 580 and a card of capability 7.5
    (Turing, 2018); CUDA 12.6 runs older cards from driver 525. Below that the processor is used.
    """
    if system == "Darwin":
        return TorchBuild("default", None, "for this Mac", 3)
    if card is None or card.driver < 525:
        return TorchBuild("cpu", TORCH_INDEX + "cpu", "for the processor", 3)
    if card.driver < 580 or card.capability < 7.5:
        return TorchBuild("cu126", TORCH_INDEX + "cu126", "for the NVIDIA card", 10)
    if system == "Windows":
        return TorchBuild("cu130", TORCH_INDEX + "cu130", "for the NVIDIA card", 8)
    return TorchBuild("default", None, "for the NVIDIA card", 10)


def parse_card(text: str) -> Card | None:
    """The first card in `nvidia-smi --query-gpu=driver_version,compute_cap --format=csv,noheader`; None when it is not that."""
    match = re.search(r"(?m)^\s*(\d+)[\d.]*\s*,\s*(\d+\.\d+)\s*$", text)
    return Card(int(match[1]), float(match[2])) if match else None


def find_card() -> Card | None:
    """The NVIDIA card of this computer, None when there is none or its driver does not answer within ten seconds."""
    asked = shutil.which("nvidia-smi")
    if asked is None:
        return None
    query = [asked, "--query-gpu=driver_version,compute_cap", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_card(answer.stdout) if answer.returncode == 0 else None


def wrong_python() -> str | None:
    """Why this Python cannot run LoRALab, in one sentence; None when it can. Its version was checked by launch.py."""
    if sys.maxsize < 2**32:
        return "This is a 32-bit Python, which is too small for training: install the 64-bit Python 3.12 from python.org."
    if platform.system() == "Darwin" and platform.machine() == "x86_64":
        return "PyTorch is no longer made for Macs with an Intel processor: use a Mac with Apple silicon, or Linux or Windows."
    return None


def short_of_space(folder: Path, gibibytes: float) -> str | None:
    """A sentence when less room is free than set-up needs, else None."""
    free = shutil.disk_usage(folder).free / _GIB
    if free >= gibibytes:
        return None
    return f"Set-up needs about {gibibytes:.1f} GB and only {free:.1f} GB is free: free some space on the disk of {folder} and start again."


def find_chromium() -> str | None:
    """A Chromium-like browser that tests can drive, None when there is none."""
    return next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"))), None)


def has_screen() -> bool:
    """Whether a browser window can be opened here."""
    return sys.platform in ("win32", "darwin") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
