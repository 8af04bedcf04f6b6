"""Owns the parts LoRALab works without: what each is for, what it takes, where there is a ready build of it, and whether it is here.

Invariants: the list is data/parts.json, which set-up reads as well, and nowhere else is said what needs what; asking imports nothing of a
part and starts nothing.
"""

from __future__ import annotations

import importlib.util
import json
import platform
import sys
from functools import lru_cache

from loralab.core.errors import Problem, Unavailable, UserError
from loralab.core.paths import DATA
from loralab.core.records import Record
from loralab.core.words import size

FILE = DATA / "parts.json"


class Part(Record):
    """A part LoRALab works without."""

    name: str
    title: str
    gives: str  # what it is for, as the rest of a sentence that begins with its title
    without: str  # what is missing where it is
    code: str  # of the problem that says it is missing
    modules: tuple[tuple[str, ...], ...]  # it is here where all of one of these can be imported
    packages: tuple[str, ...]  # in requirements.txt
    brings: tuple[str, ...]  # what nothing else needs; in the constraints
    licence: str
    download_bytes: int  # on Linux; about the same elsewhere
    disk_bytes: int
    python: tuple[int, int]
    builds: dict[str, tuple[str, ...]]  # system -> kinds of processor there is a ready build for
    macos: int
    glibc: tuple[int, int]
    on_request: bool = False  # not fetched when LoRALab is set up, only when somebody adds it
    present: bool = False
    obstacle: str = ""  # why it cannot be added to this computer, in a sentence; empty: it can

    @property
    def cost(self) -> str:
        """What adding it takes, in words."""
        return f"{size(self.download_bytes)} to fetch, {size(self.disk_bytes)} on the disk"

    @property
    def todo(self) -> str:
        """What to do about its absence."""
        return self.obstacle or f"Add the part “{self.title}” ({size(self.download_bytes)}, one click under “About this computer”)."


def parts() -> tuple[Part, ...]:
    """Every part, with whether it is here and whether it could be."""
    return tuple(part.model_copy(update={"present": _is_here(part), "obstacle": _obstacle(part)}) for part in _listed())


def part_of(name: str) -> Part:
    """The part of this name. Raises UserError where there is none."""
    found = next((part for part in parts() if part.name == name), None)
    if found is None:
        todo = f"Choose one of: {', '.join(part.name for part in _listed())}."
        raise UserError(f"There is no part called “{name}”.", todo, code="unknown_part")
    return found


def missing(name: str, what: str = "") -> Problem | None:
    """What to say where a part is not here, None where it is. `what`: the sentence, where the usual one does not do."""
    part = part_of(name)
    if part.present:
        return None
    said = what or f"{part.title} is not installed here, so {part.without}."
    return Problem(code=part.code, what=said, todo=part.todo, part=part.name)


def unavailable(name: str, what: str) -> Unavailable:
    """The error of what cannot be done without a part, or with one that does not start."""
    part = part_of(name)
    return Unavailable(what, part.todo, code=part.code, part=name)


@lru_cache(maxsize=1)
def _listed() -> tuple[Part, ...]:
    return tuple(Part.model_validate(entry) for entry in json.loads(FILE.read_text("utf-8")))


def _is_here(part: Part) -> bool:
    return any(all(importlib.util.find_spec(name) for name in modules) for modules in part.modules)


def _obstacle(part: Part) -> str:
    system, machine = platform.system(), platform.machine()
    if sys.version_info < part.python:
        wanted = ".".join(map(str, part.python))
        return f"It needs Python {wanted} or newer, and LoRALab runs in Python {platform.python_version()} here: install Python 3.12."
    if machine not in part.builds.get(system, ()):
        return f"There is no ready build of it for this kind of computer ({system}, {machine})."
    release = platform.mac_ver()[0].split(".")[0]
    if system == "Darwin" and release.isdigit() and int(release) < part.macos:
        return f"It needs macOS {part.macos} or newer, and this is macOS {release}."
    library, version = platform.libc_ver()
    if system == "Linux" and (library != "glibc" or _number(version) < part.glibc):
        return f"There is no ready build of it for a Linux as old or as unusual as this one ({library or 'no glibc'} {version})."
    return ""


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(piece) for piece in version.split(".") if piece.isdigit())
