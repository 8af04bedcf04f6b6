"""Owns what is said and done when a disk does not take what is written: full, read-only, not ours, broken.

Invariant: a person reads what happened to which place, never an error number; a run keeps back a little room for its last words.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Generator
from pathlib import Path

from loralab.core.errors import LabError, Unavailable

FULL = frozenset({errno.ENOSPC, errno.EFBIG, getattr(errno, "EDQUOT", errno.ENOSPC)})  # also a quota, or a limit on a file's size
REFUSED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
RESERVE = 1 << 20  # bytes: thousands of lines of a log


def is_full(error: BaseException) -> bool:
    """Whether `error` means that there is no room left; libraries written in other languages only say it in words."""
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno in FULL
    return "no space left" in str(error).lower()


def told(error: OSError, place: Path) -> LabError:
    """The error a person can act on, for one of the system's about writing to `place`."""
    if is_full(error):
        what = f"The disk that holds {place} is full."
        return Unavailable(what, "Free some space and go on; nothing that was saved is lost.", code="disk_full")
    if error.errno in REFUSED:
        return Unavailable(f"{place} cannot be written to.", "Choose another workspace folder, or change its rights.", code="no_permission")
    what = f"{place} could not be written: {error.strerror or error}."
    return Unavailable(what, "Check the disk, or choose another workspace folder.", code="disk_error")


@contextlib.contextmanager
def writing(place: Path) -> Generator[None, None, None]:
    """Turn an error of the system inside into one that a person can act on."""
    try:
        yield
    except OSError as error:
        raise told(error, place) from error


def check_writable(folder: Path) -> None:
    """Raise Unavailable when nothing can be written into `folder`. Tried, not asked: rights on network drives and to root say little."""
    probe = folder / f".probe-{os.getpid()}"
    with writing(folder):
        try:
            with probe.open("wb") as file:
                file.write(bytes(4096))
                file.flush()
                os.fsync(file.fileno())
        finally:
            with contextlib.suppress(OSError):
                probe.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Make a rename inside `folder` outlast a power cut; Windows does so by itself."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


class Reserve:
    """A file that only holds room. Given back when the disk is full, so that what happened can still be written down."""

    def __init__(self, path: Path, size: int = RESERVE) -> None:
        self.path, self.size = path, size

    def take(self) -> bool:
        """Hold the room (real zeros: a hole in a file holds nothing); False when there is not that much."""
        try:
            if self.path.exists() and self.path.stat().st_size == self.size:
                return True
            with self.path.open("wb") as file:
                file.write(bytes(self.size))
                file.flush()
                os.fsync(file.fileno())
        except OSError:
            self.give()
            return False
        return True

    def give(self) -> None:
        """Let go of it."""
        with contextlib.suppress(OSError):
            self.path.unlink(missing_ok=True)
