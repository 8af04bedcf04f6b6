"""Owns what the app does when nobody is waiting for it: measuring how fast this computer is, once.

Invariant: never before the first page is there, never beside a run, always at low priority and in a process of its own.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from loralab.lab import Lab
from ui.errors import LOG

AFTER = 10.0  # seconds after the first page
EVERY = 60.0  # between two looks whether the machine is free


def measuring(lab: Lab, after: float = AFTER, every: float = EVERY) -> Callable[[], None]:
    """A function to call whenever a page opens; the first call starts the measuring in the background."""
    begun = threading.Lock()  # held for good by the first

    def work() -> None:
        time.sleep(after)
        while lab.queue():
            time.sleep(every)
        measured = lab.measure_speed(quietly=True)
        LOG.info("This computer reaches %s TFLOP/s in fp32 and %s in bf16.", measured.fp32_tflops, measured.bf16_tflops)

    def begin() -> None:
        if begun.acquire(blocking=False):
            threading.Thread(target=work, name="measuring", daemon=True).start()

    return begin
