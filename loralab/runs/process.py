"""Owns a run's processes as the system sees them: how its keeper is spawned, whether anything of it still lives, how it is ended.

Invariants: a worker outlives the app that started it, holds none of its pipes, and never outlives its keeper; a process id used again
by a stranger is never taken for ours; a finished child is reaped, so that it cannot pass for a living one.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil

from loralab.core.child import ENVIRONMENT
from loralab.core.paths import CHECKOUT
from loralab.core.records import Record
from loralab.runs.worker_lock import held

CLOCK_SLACK = 2.0  # seconds: birth times are computed from the boot time, which moves when the clock is set


class WorkerProcess(Record):
    """worker.json: which process to watch, the keeper. `created` is its birth time, `offset` the size of the log when it was spawned."""

    pid: int
    created: float
    attempt: int = 1
    offset: int = 0


def spawn(run_folder: Path, home: Path, *, online: bool, attempt: int, offset: int) -> tuple[WorkerProcess, subprocess.Popen[bytes]]:
    """Start `python -m loralab.runs.supervisor RUN_FOLDER` on its own: new session, output to worker.log, nothing on standard input."""
    environment = {**os.environ, **ENVIRONMENT, "LORALAB_HOME": str(home)}
    if not online:
        environment["HF_HUB_OFFLINE"] = "1"
    flags = 0
    if sys.platform == "win32":
        flags = subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.DETACHED_PROCESS
    with (run_folder / "worker.log").open("ab") as log:
        child = subprocess.Popen(
            [sys.executable, "-m", "loralab.runs.supervisor", str(run_folder)],
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


def alive(keeper: WorkerProcess, run_folder: Path) -> bool:
    """Whether this very keeper still runs: same id and same birth; where the clock was set in between, the command line decides."""
    try:
        process = psutil.Process(keeper.pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        if abs(process.create_time() - keeper.created) <= CLOCK_SLACK:
            return True
        return str(run_folder) in process.cmdline()
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return False  # a process of another user cannot be ours


def end(keeper: WorkerProcess | None, run_folder: Path, grace: float) -> None:
    """Kill a run's keeper and everything below it, the keeper first so that it starts nothing anew; then wait `grace` seconds for them."""
    victims: list[psutil.Process] = []
    if keeper is not None and alive(keeper, run_folder):
        with contextlib.suppress(psutil.NoSuchProcess):
            process = psutil.Process(keeper.pid)
            workers = [child for child in process.children() if _is_worker(child, run_folder)]  # not the next run's, if it hands over now
            victims = [process, *workers, *(below for worker in workers for below in worker.children(recursive=True))]
    if not victims and held(run_folder):  # its keeper is gone already: look for the worker by its command line
        victims = [process for process in psutil.process_iter() if _is_worker(process, run_folder)]
    for victim in victims:
        with contextlib.suppress(psutil.NoSuchProcess):
            victim.kill()
    limit = time.monotonic() + grace
    while any(map(_living, victims)) and time.monotonic() < limit:  # psutil.wait_procs also waits for whoever is to reap them
        time.sleep(0.01)


def _living(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def _is_worker(process: psutil.Process, run_folder: Path) -> bool:
    try:
        command = process.cmdline()
    except psutil.Error:
        return False
    return "loralab.runs.worker" in command and str(run_folder) in command
