"""Owns memory readings of this process. Bytes everywhere."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import psutil
import torch

SETTLED_FROM = 10_000_000  # weights of a model from which on its tensors are worth giving back at once
_PIECE = 512 * 1024  # bytes: larger pieces of memory come from the system and go back to it; with 128 KB updates of short rows take 1.4 x
_MMAP_THRESHOLD = -3  # glibc's M_MMAP_THRESHOLD


def used() -> int:
    """Bytes this process holds now: on the GPU where there is one, otherwise in main memory."""
    if torch.cuda.is_available():
        return int(torch.cuda.memory_allocated())
    return int(psutil.Process().memory_info().rss)


def peak() -> int:
    """Most bytes this process has held: `max_memory_allocated` on a GPU, the high-water mark of resident memory on a CPU."""
    if torch.cuda.is_available():
        return int(torch.cuda.max_memory_allocated())
    try:
        with Path("/proc/self/status").open() as status:
            for line in status:
                if line.startswith("VmHWM:"):
                    return int(line.split()[1]) * 1024
    except OSError:  # not Linux: the current reading is the best there is
        return used()
    return used()


def reset_peak() -> bool:
    """Begin the high-water mark anew; False where the system cannot (then `peak` speaks of the whole life of the process)."""
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
        return True
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def settle(weights: int) -> bool:
    """Let the C library give large tensors back to the system as soon as they are free; returns whether it was done.

    By default glibc raises its limit for that to 32 MB while a program runs, and keeps what was freed in pieces too scattered to be
    used again: two to four times the memory a step needs. Fixing the limit costs a fresh page per use, which only shows on tiny models.
    """
    if weights < SETTLED_FROM or not sys.platform.startswith("linux") or torch.cuda.is_available():
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries (musl) have none, and no such limit
    return bool(mallopt and mallopt(_MMAP_THRESHOLD, _PIECE))
