"""Owns putting a finished export where a person wants it. Invariant: the place holds the whole of it, or what was there before."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from loralab.core.errors import UserError


def copy_out(result: Mapping[str, Any], place: Path) -> Path:
    """Copy what an export told that it made: its one file to `place` (into it, where that is a folder), or its folder.

    Raises UserError where it is not there any more, does not do what was trained, or `place` cannot take it.
    """
    folder, name = Path(str(result.get("folder") or "")), str(result.get("file") or "")
    if not result.get("folder") or not folder.is_dir():
        raise UserError("What was made is not there any more.", "Make it again.", code="no_export")
    if result.get("parity") == "differs":
        raise UserError("It does not answer as what was trained, so it was not passed on.", "Make it again.", code="differs")
    alone = bool(name) and bool(result.get("single", True)) and (folder / name).is_file()
    if alone:
        return _file(folder / name, place / name if place.is_dir() else place)
    if place.suffix or place.is_file():
        what = "This is too large for one file, so it is a folder."
        raise UserError(what, f"Name a folder instead, such as {place.with_suffix('')}.", code="is_a_folder")
    if place.is_dir() and any(place.iterdir()):
        raise UserError(f"The folder {place.name} is there already and has something in it.", "Name a new one.", code="exists")
    return _folder(folder, place)


def _file(file: Path, place: Path) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    writing = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    try:
        with file.open("rb") as source, writing.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
            target.flush()
            os.fsync(target.fileno())
        os.replace(writing, place)
    finally:
        writing.unlink(missing_ok=True)
    return place


def _folder(folder: Path, place: Path) -> Path:
    place.parent.mkdir(parents=True, exist_ok=True)
    writing = place.with_name(f".{place.name}.{secrets.token_hex(4)}")
    try:
        shutil.copytree(folder, writing)
        if place.is_dir():
            place.rmdir()
        os.replace(writing, place)
    finally:
        shutil.rmtree(writing, ignore_errors=True)
    return place
