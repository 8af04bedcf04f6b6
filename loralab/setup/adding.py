"""Owns adding an optional part to the environment the app runs in, while it runs.

Invariants: the part is unpacked and opened in a folder of its own first; only what opened is moved into the environment, and what could not
be moved whole is taken out again: so one that fails, is cancelled or is cut off leaves the environment as it was. Nothing that is there is
replaced: only packages that nothing here has are fetched, at the versions LoRALab was tested with.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from loralab.setup.environment import CONSTRAINTS, Listed, Place, installer_environment, only_one, plain
from loralab.setup.installer import Installer
from loralab.setup.progress import Progress, SetupProblem, Terminal, explain

_FETCHED, _OPENED = (0.0, 0.9), 0.95  # of the whole, as measured
_PATIENCE_S = 300  # for opening a part the first time, on a slow disk with a virus scanner
AGAIN = "add it again"
_AT_HAND = ("bin", "Scripts", "include", "share", "__pycache__")  # for a command line; and what Python makes again by itself


class Cancelled(Exception):
    """The person asked for a stop."""


class _Ear(Terminal):
    """Hands the progress on instead of writing it; raises Cancelled where somebody asked for that."""

    def __init__(self, progress: Progress, note: Callable[[Progress], object], stop: Callable[[], bool]) -> None:
        super().__init__(progress)
        self.note, self.stop = note, stop

    def show(self) -> None:
        if self.stop():
            raise Cancelled
        self.note(self.progress)

    def say(self, words: str) -> None:
        """Nobody reads a terminal here."""


def add(place: Place, name: str, note: Callable[[Progress], object], stop: Callable[[], bool]) -> None:
    """Add the part `name` to a place. Raises SetupProblem with a sentence, or Cancelled; both leave the place as it was."""
    part = next(part for part in place.parts() if part["name"] == name)
    progress = Progress()
    ear = _Ear(progress, note, stop)
    try:
        with only_one(place, progress, ear):
            _add(place, part, progress, ear)
    except OSError as error:
        raise SetupProblem(explain(str(error), place.log, AGAIN)) from error


def _add(place: Place, part: Listed, progress: Progress, ear: _Ear) -> None:
    aside = place.log.with_name(f"adding-{part['name']}")
    shutil.rmtree(aside, ignore_errors=True)  # of one that was cut off
    try:
        there = place.packages()
        absent = [package for package in (*part["packages"], *part["brings"]) if plain(package) not in there]
        asked = place.log.with_name("adding.txt")
        asked.write_text(place.lines(absent, *place.files(["core"]), place.root / CONSTRAINTS), encoding="utf-8")
        progress.begin("Fetching", part["title"])
        ear.show()
        to = [f"--target={aside}", "--no-deps", "--only-binary=:all:", f"--requirement={asked}"]
        Installer(place, progress, ear).insist(_FETCHED, len(absent), to, ["--retries", "2", "--timeout", "20"], AGAIN)
        _open(place, part, aside, progress, ear)
        progress.begin("Putting it in its place", part["title"])
        progress.fraction = _OPENED
        ear.show()
        _move_in(aside, place.site)
        progress.fraction = 1.0
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _open(place: Place, part: Listed, aside: Path, progress: Progress, ear: _Ear) -> None:
    """Import the part where it lies aside. Raises SetupProblem where it does not open: the system may be too old for it."""
    progress.begin("Opening it for the first time", part["title"])
    command = [str(place.python), "-c", f"import {', '.join(_modules(part, aside))}"]
    around = installer_environment() | {"PYTHONPATH": str(aside)}
    with subprocess.Popen(command, env=around, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE) as child:
        try:
            for _ in range(2 * _PATIENCE_S):
                ear.show()
                try:
                    said = child.communicate(timeout=0.5)[1].decode(errors="replace")
                    break
                except subprocess.TimeoutExpired:
                    continue
            else:
                raise SetupProblem(f"{part['title']} did not open within {_PATIENCE_S // 60} minutes: close other programs and try again.")
        finally:
            child.kill()
    if child.returncode:
        with place.log.open("a", encoding="utf-8") as record:
            record.write(f"$ {' '.join(command)}\n{said}\n")
        library = "the newest Visual C++ runtime from microsoft.com" if sys.platform == "win32" else "the newest updates of your system"
        last = (said.strip().splitlines() or ["it said nothing"])[-1][:200]
        raise SetupProblem(f"{part['title']} was fetched and does not open here ({last}): install {library}, then add it again.")


def _modules(part: Listed, aside: Path) -> list[str]:
    """What to import to see whether a part opens: of its modules, those that came."""
    return next(group for group in part["modules"] if any((aside / name).exists() or (aside / f"{name}.py").exists() for name in group))


def _move_in(aside: Path, site: Path) -> None:
    """Move a part's files into the environment, each package's own note last; what was moved goes out again where one cannot be."""
    moved: list[Path] = []
    try:
        for here in _in_order(aside):
            there = site / here.relative_to(aside)
            there.parent.mkdir(parents=True, exist_ok=True)
            if there.is_dir():  # left by an addition that was cut off: without its note it was never there
                shutil.rmtree(there)
            os.replace(here, there)
            moved.append(there)
    except OSError:
        for there in moved:
            shutil.rmtree(there) if there.is_dir() else there.unlink()
        raise


def _in_order(aside: Path) -> Iterator[Path]:
    """What is to be moved: modules and packages, each for itself in a shared name space, then the notes of what is installed."""
    entries = [entry for entry in sorted(aside.iterdir()) if entry.name not in _AT_HAND]
    notes = [entry for entry in entries if entry.suffix == ".dist-info"]
    for entry in (*(entry for entry in entries if entry not in notes), *notes):
        shared = entry.is_dir() and entry not in notes and not (entry / "__init__.py").exists()
        yield from sorted(entry.iterdir()) if shared else [entry]
