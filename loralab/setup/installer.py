"""Owns one run of pip: starts it, turns what it prints into progress, and a failure into a sentence.

Invariant: every line pip prints is in the log; a cancelled or killed launch leaves no pip behind.
"""

from __future__ import annotations

import os
import queue
import re
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from loralab.setup.pins import plain
from loralab.setup.problem import Interrupted
from loralab.setup.progress import Progress, Terminal

_WORDS = {
    "torch": "PyTorch, the part that does the arithmetic",
    "transformers": "transformers, which knows the language models",
    "peft": "PEFT, which makes the adapters",
    "trl": "TRL, a second way to train",
    "gradio": "Gradio, which draws the pages",
    "pyarrow": "pyarrow, which reads tables",
    "datasets": "datasets, which reads collections of examples",
    "plotly": "plotly, which draws the curves",
    "pip": "a newer installer",
}
_WHEEL = re.compile(
    r"(?:Downloading|Using cached|Processing)\s+(?:\S*/)?(?P<name>[A-Za-z0-9_.]+?)-\d[^\s/]*\.(?:whl|tar\.gz)"
    r"(?P<meta>\.metadata)?(?:\s+\((?P<size>[\d.]+ [kMG]?B)\))?"
)
_DROPPED = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_REQUIRE_VIRTUALENV", "PIP_LOG", "PIP_QUIET", "PYTHONHOME", "PYTHONPATH")
_CALM = {"PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_NO_INPUT": "1", "PIP_NO_COLOR": "1", "PYTHONUTF8": "1", "PYTHONUNBUFFERED": "1"}
_BYTES = 2**20


@dataclass(frozen=True)
class Share:
    """The part of the whole set-up that one run of pip is, as measured: from `start` to `end`, both 0 to 1."""

    start: float
    end: float
    fetching: float = 0.55  # of it, the part before pip begins to unpack


@dataclass
class PipWatch:
    """Reads pip's lines. `expected` packages are thought to be missing; the real list replaces it when pip names it."""

    progress: Progress
    share: Share
    expected: int
    site: Path
    seen: set[str] = field(default_factory=set)
    unpacking: list[str] = field(default_factory=list)
    size: str = ""
    label: str = ""

    def read(self, line: str) -> None:
        """Take one line of pip's output into the progress."""
        if match := re.match(r"Progress (\d+) of (\d+)", line):
            self._bytes(int(match[1]), int(match[2]))
        elif match := re.match(r"Collecting ([A-Za-z0-9._-]+)", line):
            self.progress.detail = f"looking up {match[1]}"
        elif match := _WHEEL.search(line):
            if not match["meta"]:
                self._fetch(match["name"], match["size"] or "")
        elif match := re.match(r"Installing collected packages: (.+)", line):
            self.unpacking = [plain(name) for name in match[1].split(", ")]
            self.progress.begin("Unpacking", "this can take a few minutes")
            self.tick()

    def tick(self) -> None:
        """Look how many packages are unpacked: pip says nothing while it does that."""
        if not self.unpacking:
            return
        ready = {plain(record.parent.name.split("-")[0]) for record in self.site.glob("*.dist-info/RECORD")}
        waiting = [name for name in self.unpacking if name not in ready]
        done, total = len(self.unpacking) - len(waiting), len(self.unpacking)
        self.progress.done, self.progress.total = done, total
        if waiting:
            self.progress.detail = _WORDS.get(waiting[0], waiting[0])
        self._reach(self.share.fetching + (1 - self.share.fetching) * done / max(total, 1))

    def _fetch(self, name: str, size: str) -> None:
        self.seen.add(plain(name))
        self.size, self.label = size, _WORDS.get(plain(name), name)
        self.progress.title = "Fetching"
        self.progress.detail = f"{self.label} ({size})" if size else self.label
        self.progress.total = max(self.expected, len(self.seen))
        self.progress.done = len(self.seen)
        self._reach(self.share.fetching * min(1.0, len(self.seen) / max(self.progress.total, 1)))

    def _bytes(self, now: int, total: int) -> None:
        if total < _BYTES:
            return
        self.progress.detail = f"{self.label}: {now / 1e6:.0f} of {total / 1e6:.0f} MB"
        before = (len(self.seen) - 1) / max(self.progress.total, 1)
        self._reach(self.share.fetching * min(1.0, before + now / total / max(self.progress.total, 1)))

    def _reach(self, part: float) -> None:
        reached = self.share.start + (self.share.end - self.share.start) * part
        self.progress.fraction = max(self.progress.fraction, reached)


def pip_environment() -> dict[str, str]:
    """The environment of a pip that installs into its own venv and nowhere else, and asks nothing."""
    return {name: value for name, value in os.environ.items() if name not in _DROPPED} | _CALM


def pip_can_count(site: Path) -> bool:
    """Whether this venv's pip (24.1 and later) prints its downloads in a form a program can read."""
    for info in site.glob("pip-*.dist-info"):
        numbers = re.match(r"pip-(\d+)\.(\d+)", info.name)
        return numbers is not None and (int(numbers[1]), int(numbers[2])) >= (24, 1)
    return False


def run_pip(python: Path, arguments: Sequence[str], watch: PipWatch, terminal: Terminal, log: Path) -> tuple[int, str]:
    """Run `pip install` with these arguments. Returns its exit code and output. Raises Interrupted when the person stops it."""
    bar = "raw" if pip_can_count(watch.site) else "off"
    command = [str(python), "-m", "pip", "install", "--progress-bar", bar, *arguments]
    lines: queue.Queue[str | None] = queue.Queue()
    said: list[str] = []
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("a", encoding="utf-8") as record,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=pip_environment(),
            text=True,
            encoding="utf-8",
            errors="replace",
        ) as process,
    ):
        record.write(f"$ [{time.monotonic() - watch.progress.began:.0f} s] {' '.join(command)}\n")
        threading.Thread(target=_read_into, args=(process, lines), daemon=True).start()
        try:
            while (line := _next(lines, watch)) is not None:
                if watch.progress.cancelled.is_set():
                    raise Interrupted("Set-up was stopped: start again and it goes on where it stopped.")
                if line:
                    watch.read(line.strip())
                    if not line.startswith("Progress "):
                        record.write(line)
                        said.append(line)
                terminal.show()
        finally:
            if process.poll() is None and not _ended(process):
                process.kill()
        return process.wait(), "".join(said)


def _read_into(process: subprocess.Popen[str], lines: queue.Queue[str | None]) -> None:
    if process.stdout is not None:
        for line in process.stdout:
            lines.put(line)
    lines.put(None)


def _next(lines: queue.Queue[str | None], watch: PipWatch) -> str | None:
    """The next line; an empty one when pip was silent for half a second; None at its end."""
    try:
        return lines.get(timeout=0.5)
    except queue.Empty:
        watch.tick()
        return ""


def _ended(process: subprocess.Popen[str]) -> bool:
    """Ask pip to stop, so that it can clear up; False when it does not within five seconds."""
    process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        return False
    return True
