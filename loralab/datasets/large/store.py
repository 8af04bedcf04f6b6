"""Owns examples that lie on the disk: a line of JSON each in `examples.jsonl`, and in `index` where it begins and what it is the same as.

Invariants: one row of the index stands for one line, in the order of the file; what was written before the last `sync` is never changed, so
a reading that was broken off goes on there; looking at the examples holds a few of them at a time.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, overload

import numpy as np

from loralab.core.records import Example
from loralab.models.tool_calls import calls_tools

_ROW = np.dtype(
    [
        ("at", "<u8"),
        ("size", "<u4"),
        ("words", "<u4"),
        ("question", "<u8"),
        ("content", "<u8"),
        ("held_out", "?"),
        ("calls", "?"),
        ("written", "?"),
    ]
)
_EXAMPLES, _INDEX = "examples.jsonl", "index"


class Writer:
    """Appends examples to a store, from `begin` = (examples, bytes) on: whatever lies behind that is thrown away."""

    def __init__(self, folder: Path, begin: tuple[int, int]) -> None:
        n, at = begin
        self.n, self.at = n, at
        self._lines, self._index = (_opened(folder / name, size) for name, size in ((_EXAMPLES, at), (_INDEX, n * _ROW.itemsize)))

    @staticmethod
    def holds(folder: Path, begin: tuple[int, int]) -> bool:
        """Whether so much was really written."""
        sizes = ((_EXAMPLES, begin[1]), (_INDEX, begin[0] * _ROW.itemsize))
        return all((folder / name).is_file() and (folder / name).stat().st_size >= size for name, size in sizes)

    def add(self, examples: Sequence[Example], question: Callable[[Example], str], content: Callable[[Example], str]) -> None:
        """Write examples; two with the same `content` are copies, with the same `question` never parted."""
        index = np.zeros(len(examples), _ROW)
        lines: list[bytes] = []
        for place, example in enumerate(examples):
            line = example.model_dump_json(exclude_defaults=True).encode() + b"\n"
            marks = _mark(question(example)), _mark(content(example))
            index[place] = (
                self.at,
                len(line),
                spoken(example),
                *marks,
                example.held_out,
                calls_tools(example),
                example.origin == "synthetic",
            )
            lines.append(line)
            self.at += len(line)
        self._lines.write(b"".join(lines))
        self._index.write(index.tobytes())
        self.n += len(examples)

    def sync(self) -> None:
        """See to it that what was added outlives a power cut."""
        for file in (self._lines, self._index):
            file.flush()
            os.fsync(file.fileno())

    def close(self) -> None:
        """Let go of the files."""
        self._lines.close()
        self._index.close()


def _opened(path: Path, size: int) -> Any:
    file = path.open("r+b" if path.exists() else "w+b")
    file.truncate(size)
    file.seek(size)
    return file


def _mark(text: str) -> int:
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def spoken(example: Example) -> int:
    """Words of an example; where a script has no blanks between them, two letters count as one."""
    text = "\n".join(message.said for message in example.messages) if example.messages else example.text
    unspaced = 0 if text.isascii() else sum("\u3040" <= char <= "\u9fff" for char in text)
    return max(len(text.split()), unspaced // 2)


class StoredExamples(Sequence[Example]):
    """The examples of a store, or some of them (`places`, ascending); each is read when it is looked at."""

    def __init__(self, folder: Path, n: int, places: np.ndarray[Any, Any] | None = None, labels: Mapping[str, int] | None = None) -> None:
        self._folder, self._n = folder, n
        self.labels = dict(labels or {})  # of all of them: class -> examples
        self._places = np.arange(n) if places is None else places
        self._lock = threading.Lock()

    @cached_property
    def _index(self) -> np.ndarray[Any, Any]:
        return np.fromfile(self._folder / _INDEX, _ROW, self._n)[self._places]

    @cached_property
    def _file(self) -> Any:
        return (self._folder / _EXAMPLES).open("rb")

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, at: int) -> Example: ...
    @overload
    def __getitem__(self, at: slice) -> StoredExamples: ...
    def __getitem__(self, at: int | slice) -> Example | StoredExamples:
        if isinstance(at, slice):
            return self.take(np.arange(len(self))[at])
        row = self._index[at]
        with self._lock:
            self._file.seek(int(row["at"]))
            return Example.model_validate_json(self._file.read(int(row["size"])))

    def __iter__(self) -> Iterator[Example]:
        return (self[place] for place in range(len(self)))

    def take(self, places: np.ndarray[Any, Any] | Sequence[int]) -> StoredExamples:
        """Those at these positions, ascending."""
        return StoredExamples(self._folder, self._n, self._places[np.asarray(places, dtype=np.int64)])

    def evenly(self, most: int) -> StoredExamples:
        """At most so many, evenly spread, always the same ones."""
        return self if len(self) <= most else self.take(np.unique(np.linspace(0, len(self) - 1, most).astype(np.int64)))

    @property
    def id(self) -> str:
        """Hash of what is learned from."""
        return hashlib.sha256(np.ascontiguousarray(self.contents).tobytes()).hexdigest()[:16]

    @property
    def words(self) -> list[int]:
        """Words of each."""
        return self._index["words"].tolist()

    @property
    def questions(self) -> np.ndarray[Any, Any]:
        """A number for what each asks."""
        return self._index["question"]

    @property
    def contents(self) -> np.ndarray[Any, Any]:
        """A number for what each says."""
        return self._index["content"]

    @property
    def calling(self) -> np.ndarray[Any, Any]:
        """Whether tools are called in each."""
        return self._index["calls"]

    @property
    def marked(self) -> np.ndarray[Any, Any]:
        """Whether the file marks each to test with."""
        return self._index["held_out"]

    @property
    def written(self) -> np.ndarray[Any, Any]:
        """Whether a language model wrote each."""
        return self._index["written"]
