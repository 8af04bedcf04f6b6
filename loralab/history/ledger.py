"""Owns memory.jsonl, what no run folder tells: findings, actions and advice, lessons of deleted and imported runs, what is to be forgotten.

Plain lines, one entry each. Invariants: written by the app alone, under a lock; an append is whole or it is not there, a torn line of a
dead writer is cut off before the next; a line that cannot be read is passed over and costs nothing but itself; whenever something is taken
out the file is replaced as a whole, and its first line changes, so that who has read part of it begins again.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

from filelock import FileLock, Timeout
from pydantic import Field, TypeAdapter, ValidationError

from loralab.core import disk, paths
from loralab.core.errors import Unavailable
from loralab.core.events import drop_torn_line
from loralab.core.records import Record
from loralab.history.record import Act, Advice, Cause, Memory

LOCK_SECONDS = 10.0


class Workspace(Record):
    """Whose memory this is: a random name that says nothing about computer or person. `edition` grows when lines are taken out."""

    type: Literal["workspace"] = "workspace"
    id: str
    edition: int = 0


class Lesson(Record):
    """The memory of a run whose folder is not here: kept when it was deleted, or imported."""

    type: Literal["lesson"] = "lesson"
    memory: Memory


class Found(Record):
    """What the advisor found in a run, instead of what it had found before."""

    type: Literal["found"] = "found"
    run: str
    causes: tuple[Cause, ...]


class Done(Record):
    """An action, or, with an id that is known, what came of it."""

    type: Literal["done"] = "done"
    action: Act


class Advised(Record):
    """An advice, or, with an id that is known, whether it was taken."""

    type: Literal["advised"] = "advised"
    advice: Advice


class Forgotten(Record):
    """A run that is not to be remembered, also where its folder is still there."""

    type: Literal["forgotten"] = "forgotten"
    run: str


Entry = Annotated[Workspace | Lesson | Found | Done | Advised | Forgotten, Field(discriminator="type")]
_ENTRY: TypeAdapter[Entry] = TypeAdapter(Entry)


class Ledger:
    """memory.jsonl of one workspace. Safe from any thread and from two apps at once."""

    def __init__(self, home: Path) -> None:
        self.path = home / "memory.jsonl"
        self._lock = FileLock(home / ".memory.lock", timeout=LOCK_SECONDS)

    # ---- reading ---------------------------------------------------------------------------------------------------------
    def mark(self) -> str:
        """What tells this edition of the file from every other: a digest of its first line; empty where there is none."""
        try:
            with self.path.open("rb") as file:
                line = file.readline(1 << 16)
        except OSError:
            return ""
        return hashlib.sha256(line).hexdigest() if line.endswith(b"\n") else ""

    def stamp(self) -> tuple[int, int]:
        """Size and time of the last change."""
        try:
            stat = self.path.stat()
        except OSError:
            return 0, 0
        return stat.st_size, stat.st_mtime_ns

    def read(self, offset: int = 0) -> tuple[list[Entry], int]:
        """Entries from byte `offset` on, and the offset to ask from next time. What cannot be read is passed over."""
        if not self.path.is_file():
            return [], 0
        with self.path.open("rb") as file:
            file.seek(offset)
            raw = file.read()
        whole = raw.rfind(b"\n") + 1
        return list(_entries(raw[:whole])), offset + whole

    def workspace(self) -> Workspace | None:
        """Whose memory this is; None before anything was written."""
        return next((entry for entry in self.read()[0] if isinstance(entry, Workspace)), None)

    # ---- writing ---------------------------------------------------------------------------------------------------------
    def append(self, *entries: Entry) -> None:
        """Add entries. Raises Unavailable where the disk does not take them; then none is there."""
        with self._writing():
            if not self.mark():
                self._replace([self._own(), *self.read()[0]])
            drop_torn_line(self.path)
            size = self.path.stat().st_size
            handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0))
            try:
                _write(handle, _lines(entries))
            except OSError:
                os.ftruncate(handle, size)
                raise
            finally:
                os.close(handle)

    def add(self, entries: Iterable[Entry]) -> None:
        """Add many entries at once: all of them or, where anything goes wrong, none."""
        with self._writing():
            self._replace([*self._next_edition(), *entries])

    def forget(self, runs: Iterable[str]) -> None:
        """Take out every line about these runs, and see to it that they are not remembered again."""
        gone = set(runs)
        with self._writing():
            kept = [entry for entry in self._next_edition() if _about(entry) not in gone]
            self._replace([*kept, *(Forgotten(run=run) for run in sorted(gone))])

    def forget_everything(self, present: Iterable[str]) -> None:
        """Begin anew under a new name; `present` are the runs whose folders are there and must not be remembered again."""
        with self._writing():
            self._replace([Workspace(id=secrets.token_hex(8)), *(Forgotten(run=run) for run in sorted(present))])

    def named(self) -> str:
        """The workspace's random name, given now if it has none yet."""
        if (own := self.workspace()) is None:
            self.append()
            own = self.workspace()
        return own.id if own else ""

    def _own(self) -> Workspace:
        return self.workspace() or Workspace(id=secrets.token_hex(8))

    def _next_edition(self) -> list[Entry]:
        own = self._own()
        rest = [entry for entry in self.read()[0] if not isinstance(entry, Workspace)]
        return [own.model_copy(update={"edition": own.edition + 1}), *rest]

    def _replace(self, entries: Iterable[Entry]) -> None:
        paths.write_atomic(self.path, _lines(entries))

    @contextmanager
    def _writing(self) -> Iterator[None]:
        try:
            with disk.writing(self.path), self._lock:
                yield
        except Timeout as error:
            what = "Another window of this app is writing to the memory and does not let go."
            raise Unavailable(what, "Close the other window, then try again.", code="memory_busy") from error


def _about(entry: Entry) -> str:
    match entry:
        case Lesson():
            return entry.memory.run
        case Found() | Forgotten():
            return entry.run
        case Done():
            return entry.action.run
        case Advised():
            return entry.advice.run
        case _:
            return ""


def _lines(entries: Iterable[Entry]) -> bytes:
    return b"".join(_dumped(entry) + b"\n" for entry in entries)


def _dumped(entry: Entry) -> bytes:
    return b'{"type":"%s",' % entry.type.encode() + _ENTRY.dump_json(entry, exclude_defaults=True)[1:]


def _entries(raw: bytes) -> Iterator[Entry]:
    for line in raw.splitlines():
        try:
            yield _ENTRY.validate_json(line)
        except ValidationError:  # a torn or damaged line, or one of a newer version
            continue


def _write(handle: int, raw: bytes) -> None:
    while raw:
        raw = raw[os.write(handle, raw) :]
    os.fsync(handle)
