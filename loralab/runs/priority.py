"""Heavy work steps back for the person's own programs.

Invariant: only this worker and what it starts are touched, and only towards less. Where the system refuses, nothing happens.
"""

from __future__ import annotations

import contextlib
import os
import sys
from pathlib import Path

import psutil

NICE = 5  # of 19: noticeable beside others, full speed alone
BEHIND = 12  # behind heavy work: beside it a sixth of a processor, by the kernel's table of weights (sched_prio_to_weight)
GROUP = Path("/proc/self/autogroup")


def step_back(nice: int = NICE) -> None:
    """Lower the priority of this process to at least `nice`, in the system's own measure.

    Linux shares the processor among sessions first (autogroup, sched(7)): between a worker, which has a session of its own, and a browser
    niceness alone decides nothing, so the session's is lowered, too, where it is the worker's own.
    """
    with contextlib.suppress(OSError, psutil.Error):
        if sys.platform == "win32":
            psutil.Process().nice(psutil.BELOW_NORMAL_PRIORITY_CLASS)
            return
        os.setpriority(os.PRIO_PROCESS, 0, max(nice, os.getpriority(os.PRIO_PROCESS, 0)))
        if os.getsid(0) in (os.getpid(), os.getppid()) and GROUP.exists():
            GROUP.write_text(str(nice))
