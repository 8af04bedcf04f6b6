"""Owns one installation: starts uv where there is one, else pip, and turns what they print into progress, a failure into a sentence.

Invariant: every line is in the log; a stopped launch leaves no installer behind. What uv cannot do, pip is asked for.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loralab.setup.environment import Place, installer_environment
from loralab.setup.progress import AGAIN, Progress, SetupProblem, Terminal, explain

_WORDS = {"torch": "PyTorch, which does the arithmetic", "gradio": "Gradio, which draws the pages"}
# pip: Downloading torch-2.13.0-cp312-cp312-linux_x86_64.whl (190.1 MB); uv: Downloading torch (190.1MiB)
_FETCH = re.compile(
    r"(?:Downloading|Using cached|Processing) (?:\S*/)?([A-Za-z0-9_.-]+?)(?:-\d[^\s/]*\.(?:whl|tar\.gz))?(?: \((?:from .+|(.+))\))?$"
)
_FETCHING = 0.55  # of an installation, the part before anything is unpacked, as measured


@dataclass
class Watch:
    """Reads an installer's lines. It is the part from `start` to `end` of the whole set-up; `expected` packages may be missing."""

    progress: Progress
    start: float
    end: float
    expected: int
    site: Path
    fetched: int = 0
    label: str = ""
    unpacked_before: int | None = None

    def read(self, line: str) -> None:
        """Take one line into the progress."""
        if match := re.match(r"Progress (\d+) of (\d+)", line):
            now, total = int(match[1]) / 1e6, int(match[2]) / 1e6
            if total > 1:
                self.progress.detail = f"{self.label}: {now:.0f} of {total:.0f} MB"
                self._reach(_FETCHING * (self.fetched - 1 + now / total) / max(self.expected, self.fetched, 1))
        elif match := re.match(r"Resolved (\d+) package", line):
            self.expected = int(match[1])
        elif line.startswith(("Installing collected packages", "Prepared ")):
            self.expected = line.count(",") + 1 if line.startswith("I") else self.expected
            self.progress.begin("Unpacking", "this can take a few minutes")
            self.unpacked_before = self._unpacked()
        elif ".metadata" not in line and (match := _FETCH.match(line)):
            self.fetched += 1
            self.label = _WORDS.get(match[1], match[1])
            self.progress.begin("Fetching", f"{self.label} ({match[2]})" if match[2] else self.label)
            self.progress.done, self.progress.total = self.fetched, max(self.expected, self.fetched)
            self._reach(_FETCHING * (self.fetched - 1) / self.progress.total)

    def tick(self) -> None:
        """Look how many packages are unpacked: an installer says nothing while it does that."""
        if self.unpacked_before is not None:
            self.progress.done, self.progress.total = min(self._unpacked() - self.unpacked_before, self.expected), self.expected
            self._reach(_FETCHING + (1 - _FETCHING) * self.progress.done / max(self.expected, 1))

    def _unpacked(self) -> int:
        return len(list(self.site.glob("*.dist-info/RECORD")))

    def _reach(self, part: float) -> None:
        self.progress.fraction = max(self.progress.fraction, self.start + (self.end - self.start) * min(part, 1.0))


@dataclass
class Installer:
    """Installs into the venv of a place."""

    place: Place
    progress: Progress
    terminal: Terminal
    uv: str | None = field(default_factory=lambda: shutil.which("uv"))

    def insist(
        self, share: tuple[float, float], expected: int, arguments: Sequence[str], patience: Sequence[str] = (), again: str = AGAIN
    ) -> None:
        """Install what the arguments ask for. Raises SetupProblem where it fails.

        `again`: what its words say to do once the cause is gone. `patience`: pip's own switches for a slow net.
        """
        watch, python = Watch(self.progress, *share, expected, self.place.site), str(self.place.python)
        if self.uv and not self._run([self.uv, "pip", "install", "--python", python, "--compile-bytecode", *arguments], watch)[0]:
            return
        self.uv = None  # none is here, it has no way to the packages, or it does not know pip's settings
        bar = "raw" if any(self.place.site.glob("pip-2[5-9]*.dist-info")) else "off"  # raw: for a program to read
        code, said = self._run([python, "-m", "pip", "install", "--progress-bar", bar, *patience, *arguments], watch)
        if code:
            raise SetupProblem(explain(said, self.place.log, again))

    def _run(self, command: Sequence[str], watch: Watch) -> tuple[int, str]:
        said: list[str] = []
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        process = subprocess.Popen(command, env=installer_environment(), encoding="utf-8", errors="replace", **pipes)
        reader = threading.Thread(target=self._read, args=(process, watch, said, " ".join(command)), daemon=True)
        reader.start()
        try:
            while reader.is_alive():
                reader.join(0.5)
                watch.tick()
                self.terminal.show()
            return process.wait(), "".join(said)
        finally:  # nothing to end where it has ended by itself
            process.terminate()
            process.wait()

    def _read(self, process: subprocess.Popen[str], watch: Watch, said: list[str], command: str) -> None:
        with self.place.log.open("a", encoding="utf-8") as record:
            record.write(f"$ {command}\n")
            for line in process.stdout or ():
                watch.read(line.strip())
                if not line.startswith("Progress "):
                    record.write(line)
                    said.append(line)
