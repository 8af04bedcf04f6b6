"""Owns what must be installed and the look at what is. Invariant: reads folder names only, so the answer costs milliseconds.

A package counts as installed when its `.dist-info` folder holds RECORD: pip writes that file last, so an interrupted installation
never passes for a whole one.
"""

from __future__ import annotations

import hashlib
import re
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

_LINE = re.compile(
    r"^(?P<name>[A-Za-z0-9._-]+)(\[[^\]]*\])?==(?P<version>[^;\s]+)"
    r"\s*(;\s*python_version\s*(?P<sign><|>=)\s*\"(?P<bound>\d+\.\d+)\")?$"
)


@dataclass(frozen=True)
class Pin:
    """One package at one version."""

    name: str
    version: str


def plain(name: str) -> str:
    """A package's name the way two spellings of it compare equal."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_pins(file: Path, python: tuple[int, int]) -> list[Pin]:
    """The lines of a requirements file that apply to this Python. Raises ValueError on a line that is not an exact pin."""
    found = []
    for raw in file.read_text(encoding="utf-8").splitlines():
        line = raw.split("#")[0].strip()
        if not line:
            continue
        match = _LINE.match(line)
        if match is None:
            raise ValueError(f"{file.name}: {line!r} is not of the form name==version")
        if match["bound"]:
            bound = tuple(int(part) for part in match["bound"].split("."))
            if (python >= bound) != (match["sign"] == ">="):
                continue
        found.append(Pin(plain(match["name"]), match["version"]))
    return found


def installed(folders: Iterable[Path]) -> dict[str, str]:
    """Name to version of the whole packages in these site folders; the first folder wins, as it does for import."""
    found: dict[str, str] = {}
    for folder in folders:
        if not folder.is_dir():
            continue
        for info in folder.glob("*.dist-info"):
            name, _, version = info.name.removesuffix(".dist-info").partition("-")
            if (info / "RECORD").is_file():
                found.setdefault(plain(name), version)
    return found


def missing(wanted: Iterable[Pin], found: dict[str, str]) -> list[Pin]:
    """The pins not met. A local build such as 2.13.0+cpu meets 2.13.0."""
    return [pin for pin in wanted if found.get(pin.name, "").split("+")[0] != pin.version]


def drop_halves(folder: Path) -> list[str]:
    """Remove the traces of packages whose installation was cut off, so that pip installs them again. Returns their names."""
    halves = [info for info in folder.glob("*.dist-info") if not (info / "RECORD").is_file()]
    for info in halves:
        shutil.rmtree(info)
    return [info.name.removesuffix(".dist-info") for info in halves]


def digest(files: Iterable[Path]) -> str:
    """A fingerprint of requirement files: a changed pin makes a finished set-up unfinished."""
    together = hashlib.sha256()
    for file in files:
        together.update(file.read_bytes().replace(b"\r\n", b"\n"))
    return together.hexdigest()
