"""Owns how a folder of medical pictures is known that was taken in here. Cheap: who asks opens no picture."""

from __future__ import annotations

from pathlib import Path

KEPT = "loralab-pictures.json"
TITLE = "medical pictures"


def is_kept(path: Path) -> bool:
    """Whether a folder is one that was made here."""
    return (path / KEPT).is_file()
