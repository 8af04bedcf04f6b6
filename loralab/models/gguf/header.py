"""Owns what a GGUF file says of itself: its values and where its tensors lie. Reads no weights and needs no library.

Invariant: a length is believed only as far as the file reaches, so a damaged or hostile file ends in words and never in a full memory.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from loralab.core.errors import UserError

_SCALARS = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
_TEXT, _LIST = 8, 9
_MOST = 4_000_000  # values of a list, tensors, names: more than any vocabulary there is


@dataclass(frozen=True)
class Tensor:
    """A tensor of the file: shape as torch has it (rows first), ggml's number of its type, first byte."""

    name: str
    shape: tuple[int, ...]
    kind: int
    start: int


@dataclass(frozen=True)
class Header:
    """The values of a GGUF file, and its tensors by name."""

    path: Path
    values: dict[str, Any]
    tensors: dict[str, Tensor]

    @property
    def architecture(self) -> str:
        """llama.cpp's name of the family."""
        return str(self.values.get("general.architecture", ""))

    def own(self, name: str, default: Any = None) -> Any:
        """A value that belongs to the family, such as `block_count`."""
        return self.values.get(f"{self.architecture}.{name}", default)


def read(path: Path) -> Header:
    """What a GGUF file holds. Raises UserError where it is none, or not whole."""
    todo = "Get the file again, or choose another one."
    if not path.is_file():
        raise UserError(f"There is no file {path}.", "Check the path.", code="no_file")
    try:
        with path.open("rb") as file:
            return _Reader(file, path.stat().st_size).header(path)
    except (ValueError, struct.error, UnicodeDecodeError, OverflowError) as error:
        raise UserError(f"{path.name} is not a complete GGUF file ({error}).", todo, code="damaged_gguf") from error


@dataclass
class _Reader:
    file: BinaryIO
    size: int

    def header(self, path: Path) -> Header:
        if self.file.read(4) != b"GGUF":
            raise ValueError("it does not begin as one")
        version, tensors, values = self._plain("I"), self._plain("Q"), self._plain("Q")
        if version not in (2, 3) or max(tensors, values) > _MOST:
            raise ValueError(f"its version {version} is not one that is in use")
        found = {self._text(): self._value(self._plain("I")) for _ in range(values)}
        places = [self._tensor() for _ in range(tensors)]
        step = int(found.get("general.alignment", 32)) or 32
        data = -(-self.file.tell() // step) * step
        if places and data > self.size:
            raise ValueError("it is cut short")
        return Header(path, found, {t.name: Tensor(t.name, t.shape, t.kind, data + t.start) for t in places})

    def _tensor(self) -> Tensor:
        name, axes = self._text(), self._plain("I")
        if axes > 8:
            raise ValueError("a tensor has too many axes")
        shape = tuple(self._plain("Q") for _ in range(axes))[::-1]
        return Tensor(name, shape, self._plain("I"), self._plain("Q"))

    def _plain(self, form: str) -> Any:
        width = struct.calcsize(f"<{form}")
        return struct.unpack(f"<{form}", self._bytes(width))[0]

    def _bytes(self, count: int) -> bytes:
        if count > self.size:
            raise ValueError("it is cut short")
        found = self.file.read(count)
        if len(found) < count:
            raise ValueError("it is cut short")
        return found

    def _text(self) -> str:
        return self._bytes(self._plain("Q")).decode("utf-8", "replace")

    def _value(self, kind: int) -> Any:
        if kind == _TEXT:
            return self._text()
        if kind in _SCALARS:
            return self._plain(_SCALARS[kind])
        if kind != _LIST:
            raise ValueError("it holds a value of an unknown kind")
        inner, count = self._plain("I"), self._plain("Q")
        if count > _MOST or inner == _LIST:
            raise ValueError("it holds a list that cannot be")
        if inner in _SCALARS:
            form = _SCALARS[inner]
            return list(struct.unpack(f"<{count}{form}", self._bytes(count * struct.calcsize(f"<{form}"))))
        return [self._text() for _ in range(count)]
