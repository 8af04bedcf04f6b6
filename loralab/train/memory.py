"""Owns memory readings of this process. Bytes everywhere."""

from __future__ import annotations

from pathlib import Path

import psutil
import torch


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
