"""Owns taking a lock on an open file. Invariant: the system gives it back however the process ends. Standard library only."""

from __future__ import annotations

import os
import sys

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


def try_lock(handle: int) -> bool:
    """Take the lock on an open file without waiting; whether it was free."""
    try:
        if sys.platform == "win32":
            os.lseek(handle, 0, os.SEEK_SET)  # it locks where the file stands
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
