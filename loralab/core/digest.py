"""Owns fingerprints of whole files, for the app and its workers. Invariant: a file is never held in memory whole."""

from __future__ import annotations

import hashlib
from pathlib import Path


def digest(path: Path) -> str:
    """sha256 of a file, in hex."""
    total = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            total.update(block)
    return total.hexdigest()
