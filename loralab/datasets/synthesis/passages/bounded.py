"""Owns reading documents that nobody vouches for: in a child process with an end to its time and memory.

Invariant: whatever a document holds, the caller gets what was made of it or a reason in words, within `seconds`, and goes on with the next.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import psutil

from loralab.core.child_process import Child
from loralab.core.errors import LabError
from loralab.core.words import count, size

MOST_BYTES = 64 << 20  # of one document; a book is 1 MB
SECONDS = 180.0  # for one document: a PDF of 1,500 pages takes one minute
MEMORY = 1536 << 20  # bytes of the process that reads it
_LOOK_S = 0.05
_MODULE = "loralab.datasets.synthesis.passages.child"


class Bounded:
    """A reader of documents that can be relied on to come back. Cheap to make; its process starts with the first document."""

    def __init__(self, seconds: float = SECONDS, memory: int = MEMORY, most_bytes: int = MOST_BYTES) -> None:
        self.seconds, self.memory, self.most_bytes = seconds, memory, most_bytes
        self._child: Child | None = None
        self._grew = False

    def read(self, path: Path, name: str, wanted: tuple[str, ...] = ()) -> dict[str, Any]:
        """`passages`, `rows`, `lost` of a document, or `reason` and `code` why there are none."""
        try:
            weight = path.stat().st_size
        except OSError as error:
            return _refused(f"It could not be opened: {error.strerror or error}.", "no_file")
        if weight > self.most_bytes:
            return _refused(f"It has {size(weight)}; at most {size(self.most_bytes)} of one document are read. Split it.", "file_too_big")
        try:
            return self._ask(path, name, wanted)
        except LabError as error:
            self.close()
            if self._grew:
                return _refused(f"It takes more than {size(self.memory)} of memory to read, so it was left alone.", "too_much_memory")
            if error.problem.code == "reader_late":
                return _refused(f"It was not read within {count(self.seconds, 'second')}, so it was left alone.", "too_long")
            return _refused("It is damaged in a way that stops whoever reads it.", "broken_document")

    def _ask(self, path: Path, name: str, wanted: tuple[str, ...]) -> dict[str, Any]:
        self._grew = False
        if self._child is None or not self._child.alive:
            limits = {"LORALAB_READER_MEMORY": str(self.memory)}
            self._child = Child(_MODULE, name="The reader", code="reader", todo="Leave this document out.", environment=limits)
        child = self._child
        child.seconds = self.seconds
        done = threading.Event()
        watch = threading.Thread(target=self._watch, args=(child, done), daemon=True)
        watch.start()
        try:
            return child.ask("read", path=os.fspath(path), name=name, wanted=list(wanted))[0]
        finally:
            done.set()
            watch.join()

    def _watch(self, child: Child, done: threading.Event) -> None:
        """End the child where it takes more memory than it may: not every system holds a process to a limit."""
        try:
            process = psutil.Process(child.pid)
            while not done.wait(_LOOK_S):
                if process.memory_info().rss > self.memory:
                    self._grew = True
                    child.kill()
                    return
        except psutil.Error:
            return  # it has ended, and whoever asked it hears that

    def close(self) -> None:
        """End the process."""
        child, self._child = self._child, None
        if child:
            child.close()


def _refused(reason: str, code: str) -> dict[str, Any]:
    return {"reason": reason, "code": code, "passages": [], "rows": [], "lost": []}
