"""Owns the environment the app runs in: finds a whole one, or makes `.venv` whole, from whatever state it was left in.

Invariant: the stamp is written last, so a stamped environment is complete; nothing outside `.venv` and `.setup` is ever changed. Both lie
beside launch.py, or in the user's own data folder where that may not be written. What the app works without (data/parts.json) is no reason
for an environment not to be whole.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Collection, Generator, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from loralab.core.lock import try_lock
from loralab.core.paths import CHECKOUT, write_atomic
from loralab.setup.progress import Progress, SetupProblem, Terminal

GROUPS = {"core": "requirements.txt", "tests": "tests/requirements.txt"}
CONSTRAINTS = "loralab/setup/constraints.txt"
PARTS = "data/parts.json"
Listed = dict[str, Any]  # a part as the list has it; core/parts.py types it, once there is something to type it with
_ASIDE = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV", "PIP_LOG", "PIP_QUIET", "PYTHONHOME", "PYTHONPATH")
_CALM = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_NO_COLOR": "1", "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}


@dataclass(frozen=True)
class Place:
    """Where set-up reads and writes; tests point it at folders of their own. `environment`: another one than `.venv`."""

    root: Path = CHECKOUT
    environment: Path | None = None

    @property
    def keep(self) -> Path:
        """The folder that holds `.venv` and `.setup`."""
        return self.root if may_write(self.root) else data_folder(self.root)

    @property
    def venv(self) -> Path:
        return self.environment or self.keep / ".venv"

    @property
    def python(self) -> Path:
        return self.venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def site(self) -> Path:
        """The venv's site-packages; a folder that is not there while there is none."""
        found = [*self.venv.glob("lib/python*/site-packages"), *self.venv.glob("Lib/site-packages")]
        return found[0] if found else self.venv / "none"

    @property
    def stamp(self) -> Path:
        return self.venv / "loralab-setup.json"

    @property
    def log(self) -> Path:
        return self.keep / ".setup" / "launch.log"

    def files(self, groups: Sequence[str]) -> list[Path]:
        """The requirement files of these groups."""
        return [self.root / GROUPS[group] for group in groups]

    def parts(self) -> list[Listed]:
        """The parts the app works without, as the list of them says."""
        file = self.root / PARTS
        return json.loads(file.read_text(encoding="utf-8")) if file.is_file() else []

    def lines(self, names: Collection[str], *files: Path) -> str:
        """The lines of requirement files that ask for the packages of these names."""
        lines = [line for file in files for line in file.read_text(encoding="utf-8").splitlines()]
        return "".join(f"{line}\n" for line in lines if _package(line) in names)

    def packages(self) -> set[str]:
        """The names of what lies in the venv, whole."""
        return {plain(file.parent.name.split("-")[0]) for file in self.site.glob("*.dist-info/RECORD")}

    def needed(self, groups: Sequence[str]) -> list[Path]:
        """Requirement files of these groups without what the app works without; made beside the log."""
        optional = {package for part in self.parts() for package in part["packages"]}
        self.log.parent.mkdir(parents=True, exist_ok=True)
        made: list[Path] = []
        for group, file in zip(groups, self.files(groups), strict=True):
            lines = file.read_text(encoding="utf-8").splitlines()
            made.append(self.log.with_name(f"needed-{group}.txt"))
            write_atomic(made[-1], "".join(f"{line}\n" for line in lines if _package(line) not in optional))
        return made

    def runs(self, command: Sequence[str | Path], **environment: str) -> bool:
        """Whether a command ends well; what it said is in the log."""
        try:
            together = installer_environment() | environment
            done = subprocess.run(list(map(str, command)), env=together, capture_output=True, text=True, timeout=600, check=False)
        except (OSError, subprocess.TimeoutExpired):
            return False
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("a", encoding="utf-8") as record:
            record.write(f"$ {' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
        return done.returncode == 0


def _package(line: str) -> str:
    """The package a line of a requirement file asks for; empty for a comment."""
    return re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0]


def plain(package: str) -> str:
    """A package's name in the one form that all its spellings have."""
    return re.sub(r"[-_.]+", "-", package).lower()


@lru_cache
def may_write(folder: Path) -> bool:
    """Whether files can be made in a folder: tried, because the rights alone do not tell (a mounted image, Program Files)."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return True
    except OSError:
        return False


def data_folder(root: Path) -> Path:
    """The user's own folder for a LoRALab that lies where nothing may be written."""
    home, name = Path.home(), hashlib.sha256(str(root).encode()).hexdigest()[:8]
    if os.name == "nt":
        base = Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    elif sys.platform == "darwin":
        base = home / "Library" / "Application Support"
    else:
        base = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    return base / "LoRALab" / name


def installer_environment() -> dict[str, str]:
    """The environment of an installer that works on its own venv and nothing else, and asks nothing."""
    return {name: value for name, value in os.environ.items() if name not in _ASIDE} | _CALM


def group_digest(place: Place, group: str) -> str:
    """The fingerprint a finished group carries in the stamp: a changed pin makes a finished set-up unfinished."""
    files = (*place.files([group]), place.root / CONSTRAINTS)
    return hashlib.sha256(b"".join(file.read_bytes().replace(b"\r\n", b"\n") for file in files)).hexdigest()


def read_stamp(place: Place) -> dict[str, str]:
    """What is finished; nothing when there is no stamp or it cannot be read."""
    try:
        stamp = json.loads(place.stamp.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def write_stamp(place: Place, groups: Sequence[str]) -> None:
    """Say that these groups are whole. Only called when they are."""
    write_atomic(place.stamp, json.dumps(read_stamp(place) | {group: group_digest(place, group) for group in groups}, indent=1))


def stamped(place: Place, groups: Sequence[str]) -> bool:
    """Whether the groups were finished for exactly these requirements; reads three small files and needs no network."""
    stamp = read_stamp(place)
    return place.python.exists() and all(stamp.get(group) == group_digest(place, group) for group in groups)


def find_whole(place: Place, groups: Sequence[str]) -> Path | None:
    """A Python with everything the groups ask for, None when something has to be installed."""
    shared = Place(place.root, place.root / ".venv")  # set up by somebody who may write there
    for made in (place, shared):
        if stamped(made, groups):
            return made.python
    ours = Path(sys.prefix).resolve() == place.venv.resolve()
    if not ours and is_whole(place, Path(sys.executable), groups, map(Path, sys.path)):
        return Path(sys.executable)
    if place.python.exists() and is_whole(place, place.python, groups, [place.site]):  # made by hand, or its stamp was lost
        write_stamp(place, groups)
        return place.python
    return None


def is_whole(place: Place, python: Path, groups: Sequence[str], folders: Iterable[Path]) -> bool:
    """Whether pip, left alone with what is installed, finds nothing to do, and nothing was left half done."""
    files = [f"--requirement={file}" for file in place.needed(groups)]
    alone = [python, "-m", "pip", "install", "--dry-run", "--no-index", "--no-deps", *files]
    settled = {"PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PIP_BREAK_SYSTEM_PACKAGES": "1"}  # it changes nothing there
    return not any(halves(folder) for folder in folders) and place.runs(alone, **settled)


def halves(folder: Path) -> list[Path]:
    """The traces of packages whose installation was cut off: an installer writes RECORD last."""
    return [info for info in folder.glob("*.dist-info") if not (info / "RECORD").is_file()]


def make_venv(place: Place, progress: Progress) -> None:
    """Leave a `.venv` whose Python runs and has pip: keep a sound one, mend one without pip, make a broken one anew."""
    progress.begin("Making a place for LoRALab's own packages", ".venv")
    has_pip = [place.python, "-c", "import pip"]
    if place.runs(has_pip):
        return
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        version = f"{sys.version_info[0]}.{sys.version_info[1]}"
        on_debian = f"install “python{version}-venv” with your system's software centre, then start again."
        todo = on_debian if sys.platform == "linux" else "install Python 3.12 from python.org and open LoRALab again."
        raise SetupProblem(f"This Python comes without its venv part: {todo}")
    base = getattr(sys, "_base_executable", "") or sys.executable
    anew = [] if place.runs([place.python, "-c", ""]) else ["--clear"]
    if not place.runs([base, "-m", "venv", *anew, place.venv]) or not place.runs(has_pip):
        raise SetupProblem(f"A place for LoRALab's packages could not be made in {place.venv}: the details are in {place.log}.")


@contextlib.contextmanager
def only_one(place: Place, progress: Progress, terminal: Terminal) -> Generator[None, None, None]:
    """Let one set-up at a time work on `.venv`; a second waits and says so."""
    place.log.parent.mkdir(parents=True, exist_ok=True)
    with (place.log.parent / "lock").open("a+b") as file:
        while not try_lock(file.fileno()):
            progress.begin("Waiting", "another window is setting LoRALab up")
            terminal.show()
            time.sleep(0.5)
        yield
