"""What a GGUF file says of itself at its very beginning, read without any library. Invariant: at most a megabyte is read, and a file
that lies about its sizes gives None.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

MAX_BYTES = 1 << 20  # bytes looked at
_NUMBER_FORMATS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_TEXT, _LIST = 8, 9


def read_head(path: Path) -> dict[str, Any] | None:
    """The plain values before the first long list (its general.* names stand there); None where it is not a GGUF file."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES)
    except OSError:
        return None
    if raw[:4] != b"GGUF" or len(raw) < 24:
        return None
    reader = _Reader(raw, 4)
    try:
        version, _, count = reader.take("<I"), reader.take("<Q"), reader.take("<Q")
        return _values(reader, min(count, 1000)) if 2 <= version <= 3 else None
    except (struct.error, UnicodeDecodeError, KeyError):
        return None


class _Reader:
    """Where one is in the bytes."""

    def __init__(self, raw: bytes, at: int) -> None:
        self.raw, self.at = raw, at

    def take(self, form: str) -> Any:
        value = struct.unpack_from(form, self.raw, self.at)[0]
        self.at += struct.calcsize(form)
        return value

    def text(self) -> str:
        """Raises struct.error where it would go beyond what was read."""
        size = self.take("<Q")
        if self.at + size > len(self.raw):
            raise struct.error("a text longer than the file")
        self.at += size
        return self.raw[self.at - size : self.at].decode("utf-8")


def _values(reader: _Reader, count: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for _ in range(count):
        name, kind = reader.text(), reader.take("<I")
        if name.startswith("tokenizer."):
            break
        if kind == _LIST:
            inner, size = reader.take("<I"), reader.take("<Q")
            if size > 1000:
                break
            for _ in range(size):
                reader.text() if inner == _TEXT else reader.take(_NUMBER_FORMATS[inner])
        else:
            found[name] = reader.text() if kind == _TEXT else reader.take(_NUMBER_FORMATS[kind])
    return found
