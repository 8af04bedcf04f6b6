"""Owns fingerprints of files."""

from __future__ import annotations

import hashlib
from pathlib import Path


def digest(path: Path) -> str:
    """sha256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() if hasattr(hashlib, "file_digest") else _digest_310(file)


def _digest_310(file: object) -> str:
    total = hashlib.sha256()
    while block := file.read(1 << 20):  # type: ignore[attr-defined]
        total.update(block)
    return total.hexdigest()
