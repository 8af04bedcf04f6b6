"""Owns doing a pipeline: which steps are due and why, each done once, and found again by the next call.

Invariant: what was done is written after it was done, whole; a step broken off is begun again or gone on with, never taken for done.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from loralab.core import disk
from loralab.core.errors import RunFailed
from loralab.core.events import RunView
from loralab.core.paths import room, write_atomic
from loralab.core.words import listed

STEPS = ("setup", "train", "evaluate", "export", "serve", "benchmark-onnx", "publish")  # in their order; `clean` takes all back


class Due(NamedTuple):
    """A step, and why it is due; empty: it is not."""

    step: str
    why: str


class Step(Protocol):
    """What a step is to the engine."""

    def inputs(self, done: Done) -> dict[str, str]:
        """What it is made from: a name for people -> its content, or a digest of it."""
        ...

    def there(self, made: dict[str, Any]) -> bool:
        """Whether what it made is still there."""
        ...

    def make(self, done: Done, begun: dict[str, Any], note: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
        """Do it; what was made. `begun`: what an earlier call, that was broken off, noted."""
        ...


class Done:
    """What a pipeline has done so far in a workspace, in a file of its own."""

    def __init__(self, home: Path, name: str) -> None:
        self.file = room("pipelines", home) / f"{hashlib.sha256(name.encode()).hexdigest()[:12]}.json"
        self.steps: dict[str, dict[str, Any]] = {}
        if self.file.is_file():
            try:
                self.steps = json.loads(self.file.read_text("utf-8"))
            except ValueError:  # a file that somebody else wrote: everything is due
                self.steps = {}

    def made(self, step: str) -> dict[str, Any]:
        """What a step made; empty where it was not done."""
        return self.steps.get(step, {}).get("made", {})

    def begun(self, step: str, inputs: dict[str, str]) -> dict[str, Any]:
        """What a call that was broken off noted of this step, where it was made from the same."""
        known = self.steps.get(step, {})
        return known.get("begun", {}) if known.get("begun_from") == inputs else {}

    def note(self, step: str, **values: Any) -> None:
        """Write down what became of a step."""
        self.steps[step] = self.steps.get(step, {}) | values
        with disk.writing(self.file.parent):
            write_atomic(self.file, json.dumps(self.steps, indent=1))


class Pipeline:
    """Steps in their order, with what was done of them. `tell(words)` hears what is done."""

    def __init__(self, done: Done, steps: Mapping[str, Step], tell: Callable[[str], object]) -> None:
        self.done, self._steps, self._tell = done, steps, tell

    def due(self, last: str = "") -> list[Due]:
        """Every step up to `last`, in order, with why it is due. What follows a step that is due is said to wait for it."""
        found: list[Due] = []
        waits = ""
        for name in self._up_to(last):
            why = self._why(name) or (f"it comes after {waits}, which is due" if waits and self._after(name) else "")
            waits = waits or (name if why and name != "setup" else "")
            found.append(Due(name, why))
        return found

    def run(self, last: str = "") -> dict[str, Any]:
        """Do what is due, up to the step `last`; what each step has made."""
        for name in self._up_to(last):
            why = self._why(name)
            if not why:
                self._tell(f"{name}: nothing has changed.")
                continue
            self._tell(f"{name}: {why}.")
            step = self._steps[name]
            inputs = step.inputs(self.done)
            begun = self.done.begun(name, inputs)
            self.done.note(name, made={}, inputs={}, begun=begun, begun_from=inputs)
            made = step.make(self.done, begun, lambda values, name=name: self.done.note(name, begun=values))
            self.done.note(name, made=made, inputs=inputs, begun={}, begun_from={})
        return {name: self.done.made(name) for name in self._up_to(last)}

    def _up_to(self, last: str) -> list[str]:
        names = [name for name in STEPS if name in self._steps]
        return names[: names.index(last) + 1] if last in names else names

    def _after(self, name: str) -> bool:
        return name not in ("setup", "train")

    def _why(self, name: str) -> str:
        """Why a step is due: what is not as it was when it was done."""
        known, step = self.done.steps.get(name, {}), self._steps[name]
        if not known.get("made"):
            return "it was broken off" if known.get("begun") else "it was not done yet"
        before, now = known["inputs"], step.inputs(self.done)
        changed = [what for what in {**before, **now} if before.get(what) != now.get(what)]
        if changed:
            return f"{listed(changed)} changed"
        return "" if step.there(known["made"]) else "what it made is not there any more"


def ended_well(view: RunView) -> RunView:
    """The view of a run that has done its work. Raises RunFailed with its own words."""
    if view.state != "finished":
        ending = view.ending
        raise RunFailed(
            (ending.what if ending else "") or "The run was stopped.",
            (ending.todo if ending else "") or "Start the pipeline again.",
            code="run_failed",
        )
    return view
