"""Owns worker processes as the system sees them: how one is spawned, whether it still lives, how it is ended.

Invariants: a worker outlives the process that started it and holds none of its pipes; a process id used again by a stranger is never
taken for our worker; a finished child is reaped, so that it cannot pass for a living one.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import psutil

from loralab.paths import CHECKOUT
from loralab.records import Record

CLOCK_SLACK = 2.0  # seconds: birth times are computed from the boot time, which moves when the clock is set

# Passive waiting: two busy threads spinning for each other make training up to eight times slower on a busy machine.
ENVIRONMENT = {
    "OMP_WAIT_POLICY": "PASSIVE",
    "GOMP_SPINCOUNT": "0",
    "TOKENIZERS_PARALLELISM": "false",
    "PYTHONUNBUFFERED": "1",
    "PYTHONUTF8": "1",
    "HF_HUB_DISABLE_TELEMETRY": "1",
}


class WorkerProcess(Record):
    """worker.json: which process to watch. `created` is its birth time, `offset` the size of the log when it was spawned."""

    pid: int
    created: float
    attempt: int = 1
    offset: int = 0


def spawn(run_folder: Path, home: Path, *, online: bool, attempt: int, offset: int) -> tuple[WorkerProcess, subprocess.Popen[bytes]]:
    """Start `python -m loralab.worker RUN_FOLDER` on its own: new session, output to worker.log, nothing on standard input."""
    environment = {**os.environ, **ENVIRONMENT, "LORALAB_HOME": str(home)}
    if not online:
        environment["HF_HUB_OFFLINE"] = "1"
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS
    with (run_folder / "worker.log").open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "loralab.worker", str(run_folder)],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=CHECKOUT,
            env=environment,
            start_new_session=True,
            creationflags=flags,
        )
    return WorkerProcess(pid=child.pid, created=_birth(child.pid), attempt=attempt, offset=offset), child


def _birth(pid: int) -> float:
    """Birth time of a process, 0.0 when it is gone already (then no living process can match it)."""
    try:
        return psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        return 0.0


def alive(worker: WorkerProcess, run_folder: Path) -> bool:
    """Whether this very worker still runs: same id and same birth; where the clock was set in between, the command line decides."""
    try:
        process = psutil.Process(worker.pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        if abs(process.create_time() - worker.created) <= CLOCK_SLACK:
            return True
        return str(run_folder) in process.cmdline()
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return False  # a process of another user cannot be our worker


def end(worker: WorkerProcess, run_folder: Path, grace: float) -> None:
    """Terminate a worker, and kill it when it is still there after `grace` seconds. Does nothing when it is gone."""
    if not alive(worker, run_folder):
        return
    try:
        process = psutil.Process(worker.pid)
        process.terminate()
        _gone, left = psutil.wait_procs([process], timeout=grace)
        for stubborn in left:
            stubborn.kill()
        psutil.wait_procs(left, timeout=grace)
    except psutil.NoSuchProcess:
        return
