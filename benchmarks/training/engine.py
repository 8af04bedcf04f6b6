"""The benchmark's end of an engine: a child process that makes steps when told to."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from loralab.core.child import ENVIRONMENT

HERE = Path(__file__).resolve().parents[2]
OURS = "ours"


@dataclass(frozen=True)
class Kind:
    """An engine as it is compared: which loop, in which environment, with which of its own settings."""

    words: str
    engine: str
    environment: str = ""  # of environments.PACKAGES; empty: ours
    shipped: bool = False  # as it comes; otherwise at its best documented settings
    padding_free: bool = False


KINDS = {
    OURS: Kind("LoRALab", OURS),
    "trainer": Kind("Trainer + PEFT, best", "trainer", "huggingface"),
    "trl": Kind("TRL, best: sorted by length", "trl", "huggingface"),
    "trl_padding_free": Kind("TRL, best: padding-free", "trl", "huggingface", padding_free=True),
    "trl_shipped": Kind("TRL as shipped", "trl", "huggingface", shipped=True),
    "llamafactory": Kind("LLaMA-Factory, best", "llamafactory", "llamafactory"),
    "llamafactory_shipped": Kind("LLaMA-Factory as shipped", "llamafactory", "llamafactory", shipped=True),
}


def kind(name: str) -> Kind:
    """The kind of an engine by its name; `ours+precision=nf4` is ours with settings of its plan changed."""
    plain, _, changes = name.partition("+")
    return replace(KINDS[plain], words=f"{KINDS[plain].words}, {changes}") if changes else KINDS[plain]


def _changes(name: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for change in filter(None, name.partition("+")[2].split("+")):
        setting, _, value = change.partition("=")
        try:
            found[setting] = json.loads(value)
        except ValueError:
            found[setting] = value
    return found


class EngineFailed(Exception):
    """An engine ended before it was told to. The text is its last word."""


class Engine:
    """One engine's process. `settings` are written for it into `folder`; its prints go into a log there."""

    def __init__(self, name: str, python: Path, settings: dict[str, Any], folder: Path) -> None:
        chosen = kind(name)
        self.name, self.log = name, folder / "log.txt"
        folder.mkdir(parents=True)
        own: dict[str, Any] = {"folder": str(folder), "gradients": str(folder / "gradients.safetensors"), "engine": chosen.engine}
        written = folder / "settings.json"
        own |= {"shipped": chosen.shipped, "padding_free": chosen.padding_free}
        if chosen.engine == OURS:
            own |= {"follows": name != OURS, "plan": settings["plan"] | _changes(name)}
        written.write_text(json.dumps({"recipe": False} | settings | own), "utf-8")
        program = ["-m", "benchmarks.training.ours"] if chosen.engine == OURS else [str(Path(__file__).with_name("peers.py"))]
        # passive waiting is ours, and a gift to the peers: a thread that waits takes nothing from the engine whose turn it is
        environment = os.environ | ENVIRONMENT | {"HF_HUB_OFFLINE": "1"}
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [str(python), *program, str(written)], cwd=HERE, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log
            )
        self.about = self.answer()

    @property
    def gradients(self) -> Path:
        """Where its first update's gradient is."""
        return self.log.with_name("gradients.safetensors")

    def ask(self, what: str, **more: Any) -> dict[str, Any]:
        """Ask for something and wait for the answer. Raises EngineFailed."""
        try:
            if self.process.stdin:
                self.process.stdin.write(json.dumps({"do": what} | more).encode() + b"\n")
                self.process.stdin.flush()
        except BrokenPipeError as error:
            raise EngineFailed(self.last_words()) from error
        return self.answer()

    def answer(self) -> dict[str, Any]:
        """The next line it says. Raises EngineFailed where it ended instead."""
        line = self.process.stdout.readline() if self.process.stdout else b""
        if not line:
            self.end()
            raise EngineFailed(self.last_words())
        return json.loads(line)

    def end(self) -> None:
        """Tell it that there are no more turns, and wait."""
        if self.process.stdin:
            self.process.stdin.close()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def last_words(self) -> str:
        """The last line of its log, which names the error where there was one."""
        lines = [line.strip() for line in self.log.read_text("utf-8", errors="replace").splitlines() if line.strip()]
        sys.stderr.write("\n".join(lines[-12:]) + "\n")
        return lines[-1][:200] if lines else f"it ended with status {self.process.returncode}"
