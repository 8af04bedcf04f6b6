"""Owns the environment the app runs in: finds a whole one, or makes `.venv` whole, from whatever state it was left in.

Invariant: the stamp is written last, so a stamped environment is complete; nothing outside `.venv` and `.setup` is ever changed.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from loralab.core.lock import try_lock
from loralab.core.paths import CHECKOUT, write_atomic
from loralab.setup.progress import Progress, SetupProblem, Terminal

GROUPS = {"core": "requirements.txt", "tests": "tests/requirements.txt"}
CONSTRAINTS = "loralab/setup/constraints.txt"
_ASIDE = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV", "PIP_LOG", "PIP_QUIET", "PYTHONHOME", "PYTHONPATH")
_CALM = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_NO_COLOR": "1", "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}


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
        """The venv's site-packages; a folder that is not there while there is none."""
        found = [*self.venv.glob("lib/python*/site-packages"), *self.venv.glob("Lib/site-packages")]
        return found[0] if found else self.venv / "none"

    @property
    def stamp(self) -> Path:
        return self.venv / "loralab-setup.json"

    @property
    def log(self) -> Path:
        return self.root / ".setup" / "launch.log"

    def files(self, groups: Sequence[str]) -> list[Path]:
        """The requirement files of these groups."""
        return [self.root / GROUPS[group] for group in groups]

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
    if stamped(place, groups):
        return place.python
    ours = Path(sys.prefix).resolve() == place.venv.resolve()
    if not ours and is_whole(place, Path(sys.executable), groups, map(Path, sys.path)):
        return Path(sys.executable)
    if place.python.exists() and is_whole(place, place.python, groups, [place.site]):  # made by hand, or its stamp was lost
        write_stamp(place, groups)
        return place.python
    return None


def is_whole(place: Place, python: Path, groups: Sequence[str], folders: Iterable[Path]) -> bool:
    """Whether pip, left alone with what is installed, finds nothing to do, and nothing was left half done."""
    files = [f"--requirement={file}" for file in place.files(groups)]
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
        on_debian = f"on Debian or Ubuntu run `sudo apt install python{sys.version_info[0]}.{sys.version_info[1]}-venv`, then start again."
        todo = on_debian if sys.platform == "linux" else "install Python 3.12 from python.org and start launch.py with it."
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
