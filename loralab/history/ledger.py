"""memory.jsonl, what no run's folder tells: findings, advice, lessons of deleted and imported runs, what is to be forgotten.

Invariants: written by the app alone, under a lock; taking something out replaces the file as a whole, and a line that cannot be read stays
unless it speaks of what is forgotten.
"""

from __future__ import annotations

import secrets
import zlib
from collections.abc import Generator, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

from filelock import FileLock, Timeout
from pydantic import Field, TypeAdapter

from loralab.core import disk
from loralab.core.errors import Unavailable
from loralab.core.log import AppendLog, Unreadable
from loralab.history.record import Advice, Cause, Kept, Memory

LOCK_SECONDS = 10.0


class Workspace(Kept):
    """Whose memory this is: a random name that says nothing about computer or person."""

    type: Literal["workspace"]
    id: str = Field(max_length=40)


class Lesson(Kept):
    """The memory of a run whose folder is not here: kept when it was deleted, or imported."""

    type: Literal["lesson"]
    memory: Memory


class Found(Kept):
    """What the advisor found in a run, instead of what it had found before."""

    type: Literal["found"]
    run: str
    causes: tuple[Cause, ...]


class Advised(Kept):
    """An advice, or, with an id that is known, whether it was taken."""

    type: Literal["advised"]
    advice: Advice


class Forgotten(Kept):
    """A run that is not to be remembered, also where its folder is still there."""

    type: Literal["forgotten"]
    run: str


class Unlearned(Kept):
    """A single point that is not to be learned from, while the rest of its run is."""

    type: Literal["unlearned"]
    point: str


Entry = Annotated[Workspace | Lesson | Found | Advised | Forgotten | Unlearned, Field(discriminator="type")]
ENTRY: TypeAdapter[Entry] = TypeAdapter(Entry)


class Ledger:
    """memory.jsonl of one workspace. Safe from any thread and from two apps at once."""

    def __init__(self, home: Path) -> None:
        self.path = home / "memory.jsonl"
        self._log: AppendLog[Entry] = AppendLog(self.path, ENTRY, sync=True, compact=True)
        self._lock = FileLock(home / ".memory.lock", timeout=LOCK_SECONDS)

    # ---- reading ---------------------------------------------------------------------------------------------------------
    def since(self, mark: str) -> tuple[list[Entry], str, bool]:
        """What was added since `mark`, the next mark, and whether it is all there is, because the file is another one than then."""
        size, changed = self._stamp()
        known_size, known_change, offset, digest = map(int, mark.split()) if mark else (0, 0, 0, 0)
        if (size, changed) == (known_size, known_change):
            return [], mark, False
        again = size <= offset or self._digest(offset) != digest
        lines, offset = self._log.read(0 if again else offset)
        return [line for line in lines if not isinstance(line, Unreadable)], f"{size} {changed} {offset} {self._digest(offset)}", again

    def forgotten(self) -> set[str]:
        """The runs that are to be forgotten."""
        return {line.run for line in self._log.read()[0] if isinstance(line, Forgotten)}

    def named(self) -> str:
        """The workspace's random name, given now if it has none yet."""
        if not (name := self._name()):
            self.append()
            name = self._name()
        return name

    # ---- writing ---------------------------------------------------------------------------------------------------------
    def append(self, *entries: Entry) -> None:
        """Add entries. Raises Unavailable where the disk does not take them; then none is there."""
        with self._writing():
            name = [] if self._name() else [_new_workspace()]
            self._log.append(*name, *entries)

    def forget(self, runs: Iterable[str]) -> None:
        """Take out every line about these runs, and see to it that they are not remembered again."""
        gone = set(runs)
        with self._writing():
            lines = self._log.read()[0]
            name = [] if any(isinstance(line, Workspace) for line in lines) else [_new_workspace()]
            kept = [line for line in lines if not _is_about(line, gone)]
            self._log.replace([*name, *kept, *(Forgotten(type="forgotten", run=run) for run in sorted(gone))])

    def forget_advice(self, advice: str) -> None:
        """Take out every line about one advice."""
        with self._writing():
            lines = self._log.read()[0]
            self._log.replace([line for line in lines if not (isinstance(line, Advised) and line.advice.id == advice)])

    def forget_everything(self, present: Iterable[str]) -> None:
        """Begin anew under a new name; `present` are the runs whose folders are there and must not be remembered again."""
        with self._writing():
            self._log.replace([_new_workspace(), *(Forgotten(type="forgotten", run=run) for run in sorted(present))])

    # ---- within ----------------------------------------------------------------------------------------------------------
    def _name(self) -> str:
        return next((line.id for line in self._log.read()[0] if isinstance(line, Workspace)), "")

    def _stamp(self) -> tuple[int, int]:
        try:
            stat = self.path.stat()
        except OSError:
            return 0, 0
        return stat.st_size, stat.st_mtime_ns

    def _digest(self, size: int) -> int:
        """Of the first bytes: the same as long as the file was only added to."""
        if not size or not self.path.is_file():
            return 0
        with self.path.open("rb") as file:
            return zlib.crc32(file.read(size))

    @contextmanager
    def _writing(self) -> Generator[None, None, None]:
        try:
            with disk.writing(self.path), self._lock:
                yield
        except Timeout as error:
            what = "Another window of this app is writing to the memory and is not done yet."
            raise Unavailable(what, "Close the other window, then try again.", code="memory_busy") from error


def _new_workspace() -> Workspace:
    return Workspace(type="workspace", id=secrets.token_hex(8))


def _is_about(line: Entry | Unreadable, runs: set[str]) -> bool:
    match line:
        case Lesson():
            return line.memory.run in runs
        case Found() | Forgotten():
            return line.run in runs
        case Advised():
            return line.advice.run in runs
        case Unlearned():
            return any(f":{run}:" in line.point for run in runs)
        case Unreadable():
            return any(run.encode() in line.raw for run in runs)
        case _:
            return False
