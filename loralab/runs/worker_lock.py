"""Owns the tie between a worker and its keeper, from the worker's side: it never outlives the keeper, and there is one per run.

Invariant: a worker holds its run's lock for life, however that life ends. Standard library only: this runs before a worker's first word.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from collections.abc import Generator
from pathlib import Path
from typing import IO

from loralab.core.lock import try_lock
from loralab.runs.protocol import KEEPER, LOCK

PR_SET_PDEATHSIG = 1  # prctl(2): the signal a process gets when its parent is gone


def follow_keeper() -> None:
    """Called by a worker first of all: on Linux the system kills it the moment its keeper is gone; elsewhere it asks `orphaned`."""
    if KEEPER not in os.environ:
        return  # started by hand, or under a launcher of several processes
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):  # a C library without it: `orphaned` is asked there, too
            ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if orphaned():  # it went before we could ask
        sys.exit(f"The keeper of this worker ({os.environ[KEEPER]}) is gone.")


def orphaned() -> bool:
    """Whether this process is a worker whose keeper is gone. Costs a microsecond."""
    keeper = int(os.environ.get(KEEPER, "0"))
    if not keeper:
        return False
    if os.name == "posix":
        return os.getppid() != keeper
    import psutil  # the parent's id of a Windows process stays what it was

    return not psutil.pid_exists(keeper)


def take_lock(run_folder: Path, seconds: float = 0.0) -> IO[bytes] | None:
    """The run's lock, to be kept open for life (the system gives it back however the process ends); None when another has it.

    Not the filelock package: importing it takes a tenth of a worker's start.
    """
    file = (run_folder / LOCK).open("ab")
    limit = time.monotonic() + seconds
    while not try_lock(file.fileno()):
        if time.monotonic() >= limit:
            file.close()
            return None
        time.sleep(0.05)
    return file


@contextlib.contextmanager
def lock_free(run_folder: Path) -> Generator[bool, None, None]:
    """Whether no worker of this run lives; while inside and true, none can begin."""
    file = take_lock(run_folder)
    try:
        yield file is not None
    finally:
        if file is not None:
            file.close()


def held(run_folder: Path) -> bool:
    """Whether a worker of this run lives."""
    with lock_free(run_folder) as free:
        return not free
