"""Owns the environment the app runs in: finds a whole one, or makes `.venv` whole, from whatever state it was left in.

Invariant: the stamp is written last, so a stamped environment is complete; nothing outside `.venv` and `.setup` is ever changed.
"""

from __future__ import annotations

import contextlib
import importlib.util
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from loralab.core.paths import CHECKOUT, write_atomic
from loralab.setup.pins import Pin, digest, installed, missing, read_pins
from loralab.setup.problem import Interrupted, SetupProblem
from loralab.setup.progress import Progress, Terminal

GROUPS = {"core": "requirements.txt", "tests": "tests/requirements.txt"}
CONSTRAINTS = "loralab/setup/constraints.txt"


@dataclass(frozen=True)
class Place:
    """Where set-up reads and writes; tests point it at a folder of their own."""

    root: Path = CHECKOUT

    @property
    def venv(self) -> Path:
        return self.root / ".venv"

    @property
    def python(self) -> Path:
        return self.venv / ("Scripts/python.exe" if os.name == "nt" else "bin/python")

    @property
    def site(self) -> Path:
        """The venv's site-packages."""
        if os.name == "nt":
            return self.venv / "Lib" / "site-packages"
        major, minor = self.version()
        return self.venv / "lib" / f"python{major}.{minor}" / "site-packages"

    @property
    def stamp(self) -> Path:
        return self.venv / "loralab-setup.json"

    @property
    def log(self) -> Path:
        return self.root / ".setup" / "launch.log"

    def file(self, group: str) -> Path:
        """The requirements of a group."""
        return self.root / GROUPS[group]

    def version(self) -> tuple[int, int]:
        """The venv's Python, from its own note; this interpreter's where there is none yet."""
        try:
            note = (self.venv / "pyvenv.cfg").read_text(encoding="utf-8")
        except OSError:
            return sys.version_info[:2]
        match = re.search(r"(?m)^version(?:_info)?\s*=\s*(\d+)\.(\d+)", note)
        return (int(match[1]), int(match[2])) if match else sys.version_info[:2]


def group_digest(place: Place, group: str) -> str:
    """The fingerprint a finished group carries in the stamp."""
    return digest([place.file(group), place.root / CONSTRAINTS])


def read_stamp(place: Place) -> dict[str, str]:
    """What is finished; nothing when there is no stamp or it cannot be read."""
    try:
        stamp = json.loads(place.stamp.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return stamp if isinstance(stamp, dict) else {}


def write_stamp(place: Place, groups: Sequence[str], torch: str = "") -> None:
    """Say that these groups are whole. Only called when they are."""
    stamp = read_stamp(place) | {group: group_digest(place, group) for group in groups}
    write_atomic(place.stamp, json.dumps(stamp | ({"torch": torch} if torch else {}), indent=1))


def stamped(place: Place, groups: Sequence[str]) -> bool:
    """Whether the groups were finished for exactly these requirements; reads three small files and needs no network."""
    stamp = read_stamp(place)
    return place.python.exists() and all(stamp.get(group) == group_digest(place, group) for group in groups)


def wanted(place: Place, groups: Sequence[str], python: tuple[int, int]) -> list[Pin]:
    """What the groups ask for on this Python."""
    return [pin for group in groups for pin in read_pins(place.file(group), python)]


def running_is_whole(place: Place, groups: Sequence[str]) -> bool:
    """Whether the Python that runs launch.py already has everything pinned."""
    if Path(sys.prefix).resolve() == place.venv.resolve():
        return False
    folders = [Path(entry) for entry in sys.path if entry.rstrip("/\\").endswith("-packages")]
    return not missing(wanted(place, groups, sys.version_info[:2]), installed(folders))


def find_whole(place: Place, groups: Sequence[str]) -> Path | None:
    """A Python with everything the groups ask for, None when something has to be installed. Starts no process but to check a venv."""
    if stamped(place, groups):
        return place.python
    if running_is_whole(place, groups):
        return Path(sys.executable)
    left = missing(wanted(place, groups, place.version()), installed([place.site]))
    if not left and place.python.exists() and _runs(place, "import sys"):
        write_stamp(place, groups)
        return place.python
    return None


def _runs(place: Place, code: str) -> bool:
    """Whether the venv's Python starts and can do `code`."""
    try:
        return subprocess.run([str(place.python), "-I", "-c", code], capture_output=True, timeout=60, check=False).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def make_venv(place: Place, progress: Progress) -> None:
    """Leave a `.venv` whose Python runs and has pip: keep a sound one, mend one without pip, make a broken one anew."""
    progress.begin("Making a place for LoRALab's own packages", ".venv")
    if place.python.exists() and (place.venv / "pyvenv.cfg").is_file() and _runs(place, "import sys"):
        if _runs(place, "import pip"):
            return
        if _run_python(place, [str(place.python), "-m", "ensurepip", "--upgrade", "--default-pip"]) and _runs(place, "import pip"):
            return
    if importlib.util.find_spec("venv") is None or importlib.util.find_spec("ensurepip") is None:
        raise SetupProblem(no_venv_words())
    base = getattr(sys, "_base_executable", "") or sys.executable
    if not _run_python(place, [base, "-m", "venv", "--clear", str(place.venv)]) or not _runs(place, "import pip"):
        raise SetupProblem(f"A place for LoRALab's packages could not be made in {place.venv}: the details are in {place.log}.")


def no_venv_words() -> str:
    """What to do on a Python that was packaged without venv and pip."""
    version = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if sys.platform == "linux":
        return (
            f"This Python comes without its venv part: on Debian or Ubuntu run `sudo apt install python{version}-venv`, then start again."
        )
    return "This Python comes without its venv part: install Python 3.12 from python.org and start launch.py with it."


def _run_python(place: Place, command: list[str]) -> bool:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    place.log.parent.mkdir(parents=True, exist_ok=True)
    with place.log.open("a", encoding="utf-8") as record:
        record.write(f"$ {' '.join(command)}\n{done.stdout}{done.stderr}")
    return done.returncode == 0


@contextlib.contextmanager
def only_one(place: Place, progress: Progress, terminal: Terminal) -> Iterator[None]:
    """Let one set-up at a time work on `.venv`; a second waits and says so. The system drops the lock of a killed process."""
    place.log.parent.mkdir(parents=True, exist_ok=True)
    with (place.log.parent / "lock").open("a+b") as file:
        while not _take(file.fileno()):
            progress.begin("Waiting", "another window is setting LoRALab up")
            terminal.show()
            if progress.cancelled.wait(0.5):
                raise Interrupted("Set-up was stopped.")
        yield


def _take(handle: int) -> bool:
    """Take the lock on an open file without waiting."""
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def note_start(place: Place) -> None:
    """Begin a new log."""
    place.log.parent.mkdir(parents=True, exist_ok=True)
    place.log.write_text(f"LoRALab set-up, {time.strftime('%Y-%m-%d %H:%M:%S')}, Python {sys.version}, {sys.platform}\n", encoding="utf-8")
