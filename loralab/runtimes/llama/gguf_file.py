"""Owns looking into a GGUF file without llama.cpp. Invariant: a file that is absent, cut short or something else is told in words."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gguf

from loralab.core.errors import UserError


def check(path: Path) -> gguf.GGUFReader:
    """The file, opened for reading. Raises UserError when it is not whole."""
    todo = "Export it again."
    if not path.is_file():
        raise UserError(f"There is no file {path.name}.", todo, code="no_file")
    try:
        return gguf.GGUFReader(path)
    except (ValueError, IndexError, KeyError, TypeError, OverflowError, MemoryError) as error:
        raise UserError(f"{path.name} is cut short, damaged or no GGUF file.", todo, code="damaged_gguf") from error


def field(reader: gguf.GGUFReader, name: str) -> Any:
    """A value of the file's header, or None."""
    found = reader.get_field(name)
    return found.contents() if found else None
