"""Owns what is known of a worker's death besides its exit code: whether memory was short when it died.

A process that was killed leaves no word. That the system did it for want of memory is said only where something shows it: the kernel names
the process, its count of processes ended so went up, or hardly any memory was free in the last seconds.

Invariants: nothing is concluded from silence; on Linux only small parts of the standard library are imported: a keeper watches with it.
"""

from __future__ import annotations

import os
import re
import sys
import threading
import time
from collections import deque

EVERY_SECONDS = 1.0
LAST = 10  # looks that count as “when it died”
SHORT_SHARE = 0.1  # of all memory: with less free than this, programs that make room early (earlyoom, systemd-oomd) begin to end others
TAIL_BYTES = 1 << 20  # of the kernel's log

_KILLED = re.compile(rb"(?:Killed process|oom_reaper: reaped process) (\d+)")


class Death:
    """What was seen of memory around a death."""

    def __init__(self, oom_kills: int = 0, *, named: bool = False, free_bytes: int = 0, total_bytes: int = 0) -> None:
        self.oom_kills = oom_kills  # processes that the system ended for want of memory while the worker ran
        self.named = named  # the kernel's log names this very process
        self.free_bytes = free_bytes  # the least that was free in its last seconds; 0 where nobody measured
        self.total_bytes = total_bytes

    @property
    def sure(self) -> bool:
        """Whether the system itself says that it was for want of memory."""
        return self.named or self.oom_kills > 0

    @property
    def short(self) -> bool:
        """Whether there is reason to say that it was."""
        return self.sure or 0 < self.free_bytes < SHORT_SHARE * self.total_bytes


class Watch:
    """Looks at the free memory while a worker lives; `seen` says what there was to see once it is dead."""

    def __init__(self) -> None:
        self._kills, self._since = oom_kills(), time.monotonic()
        self._free: deque[tuple[int, int]] = deque([free_memory()], LAST)
        self._over = threading.Event()
        threading.Thread(target=self._look, daemon=True).start()

    def seen(self, pid: int) -> Death:
        """What was seen by the time process `pid` had died."""
        self._over.set()
        free, total = min(list(self._free))
        named = in_kernel_log(pid, self._since)
        return Death(max(0, oom_kills() - self._kills), named=named, free_bytes=free, total_bytes=total)

    def _look(self) -> None:
        while not self._over.wait(EVERY_SECONDS):
            self._free.append(free_memory())


def free_memory() -> tuple[int, int]:
    """Bytes of main memory that are free and in all; zeros where the system does not say."""
    if sys.platform != "linux":
        import psutil

        memory = psutil.virtual_memory()
        return int(memory.available), int(memory.total)
    try:
        with open("/proc/meminfo", "rb") as lines:  # noqa: PTH123
            found = {name: int(value.split()[0]) << 10 for name, _, value in (line.partition(b":") for line in lines)}
        return found[b"MemAvailable"], found[b"MemTotal"]
    except (OSError, KeyError, ValueError, IndexError):
        return 0, 0


def oom_kills() -> int:
    """How many processes the system (Linux) has ended for want of memory: in our own group of processes, or where that is not counted,
    in all; 0 where it does not say.
    """
    for path, name in (*_own_group(), ("/proc/vmstat", "oom_kill")):
        try:
            with open(path, encoding="ascii") as counts:  # noqa: PTH123
                found = [int(line.split()[1]) for line in counts if line.startswith(f"{name} ")]
        except (OSError, ValueError, IndexError):
            continue
        if found:
            return found[0]
    return 0


def _own_group() -> list[tuple[str, str]]:
    """Files that count for the control group we are in: version 2 of these, then version 1. A worker is in the group of its keeper."""
    try:
        with open("/proc/self/cgroup", encoding="utf-8") as lines:  # noqa: PTH123
            groups = [line.rstrip("\n").split(":", 2) for line in lines]
    except OSError:
        return []
    second = [(f"/sys/fs/cgroup{path}/memory.events", "oom_kill") for _, kinds, path in groups if not kinds]
    first = [(f"/sys/fs/cgroup/memory{path}/memory.oom_control", "oom_kill") for _, kinds, path in groups if "memory" in kinds.split(",")]
    return second + first


def in_kernel_log(pid: int, since: float) -> bool:
    """Whether the kernel says that it ended this process for want of memory, after `since` on its clock. Most users may not read its log:
    then it says nothing.
    """
    try:
        log = os.open("/dev/kmsg", os.O_RDONLY | getattr(os, "O_NONBLOCK", 0))
    except OSError:
        return False
    try:
        return pid in _ended(log, since)
    finally:
        os.close(log)


def _ended(log: int, since: float) -> set[int]:
    """Processes that the kernel's log names as ended, one record a read: “level,number,microseconds,…;text”."""
    found: set[int] = set()
    read = 0
    while read < TAIL_BYTES:
        try:
            record = os.read(log, 8192)
        except BlockingIOError:  # all was read
            break
        except BrokenPipeError:  # overwritten meanwhile: the next read goes on
            continue
        except OSError:
            break
        if not record:
            break
        read += len(record)
        head = record.split(b";", 1)[0].split(b",")
        if len(head) > 2 and head[2].isdigit() and int(head[2]) >= 1e6 * since - 1e6:
            found |= {int(pid) for pid in _KILLED.findall(record)}
    return found
