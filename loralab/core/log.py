"""An append-only log of typed lines, one JSON record each: what happened in a run, and what no run's folder tells.

Invariants: a line is whole or it is not there; whoever appends learns what the disk did not take; a line that cannot be read is handed
out as such, in its place, and costs nothing but itself.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from loralab.core.paths import write_atomic

EntryT = TypeVar("EntryT")


@dataclass(frozen=True)
class Unreadable:
    """A line of a newer version, or of a damaged part of the disk."""

    raw: bytes


class AppendLog(Generic[EntryT]):
    """One file of lines. `sync`: wait for the disk at each append. `compact`: leave out what is a field's default."""

    def __init__(self, path: Path, entry: TypeAdapter[EntryT], *, sync: bool = False, compact: bool = False) -> None:
        self.path, self.sync, self.compact = path, sync, compact
        self._entry = entry

    def append(self, *entries: EntryT) -> None:
        """Add entries: all of them, or none and OSError. Half a line that a dead writer left is cut off first."""
        drop_torn_line(self.path)
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o666)
        try:
            self._write(handle, self._lines(entries))
        finally:
            os.close(handle)

    def read(self, offset: int = 0) -> tuple[list[EntryT | Unreadable], int]:
        """Entries from byte `offset` on, and the offset to ask from next time. A line still being written is left for then."""
        if not self.path.is_file():
            return [], 0
        with self.path.open("rb") as file:
            file.seek(offset)
            raw = file.read()
        whole = raw.rfind(b"\n") + 1
        return [self._parsed(line) for line in raw[:whole].splitlines()], offset + whole

    def replace(self, entries: Iterable[EntryT | Unreadable]) -> None:
        """Put other lines in place of all there are, at once or not at all. Raises OSError."""
        write_atomic(self.path, self._lines(entries))

    def _write(self, handle: int, raw: bytes) -> None:
        size = os.fstat(handle).st_size
        try:
            while raw:
                raw = raw[os.write(handle, raw) :]
            if self.sync:
                os.fsync(handle)
        except OSError:
            os.ftruncate(handle, size)
            raise

    def _lines(self, entries: Iterable[EntryT | Unreadable]) -> bytes:
        return b"".join((one.raw if isinstance(one, Unreadable) else self._dumped(one)) + b"\n" for one in entries)

    def _dumped(self, entry: EntryT) -> bytes:
        return self._entry.dump_json(entry, exclude_defaults=self.compact)

    def _parsed(self, line: bytes) -> EntryT | Unreadable:
        try:
            return self._entry.validate_json(line)
        except ValidationError:
            return Unreadable(line)


def drop_torn_line(path: Path) -> None:
    """Cut a log back to its last newline: a killed writer may have left half a line, and appending to it would lose both."""
    if not path.exists() or path.stat().st_size == 0:
        return
    with path.open("rb+") as file:
        file.seek(-1, os.SEEK_END)
        if file.read(1) != b"\n":
            content = path.read_bytes()
            file.truncate(content.rfind(b"\n") + 1)
