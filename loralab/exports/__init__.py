"""Owns taking results away: one file per format, each written whole or not at all into the workspace's exports folder.

To add a format write `loralab/exports/<name>.py` with a `FORMAT` constant; nothing else is edited. Modules are light at the top;
torch is imported inside the functions, because the app lists the formats too.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loralab.core import plugins
from loralab.core.errors import Problem
from loralab.core.events import Event, RunView
from loralab.core.parity import Parity
from loralab.reports.card import Origin
from loralab.tasks import tasks
from loralab.tasks.draw import DrawPlan
from loralab.tasks.pictures import PicturePlan


@dataclass(frozen=True)
class Source:
    """What an export is made from: a run, its plan and story, the base model's folder and the adapter's."""

    run: str
    plan: dict[str, Any]
    view: RunView
    model: Path
    adapter: Path
    base: Origin
    variant: str = ""  # which of the format's variants; empty: its first
    events: tuple[Event, ...] = ()  # all the run told
    changed: Problem | None = None  # the base is not what it was when the run began

    @property
    def task(self) -> str:
        """The kind of training it came of."""
        return str(self.plan.get("task") or "text")


APART = ("copying", "drawing", "gguf", "offers", "onnx", "page", "parity", "pictures")  # hold no format, or those of another kind of run
PICTURES_APART = ("checks", "code", "graph", "held", "inside", "making", "papers", "program", "proof", "reference", "smaller")
DRAWING_APART = ("making", "names", "program")
Note = Callable[[str], object]  # tells people what is being done now


@dataclass(frozen=True)
class Trial:
    """How a finished export is tried in the program it is for, before it is called done.

    `open(source, folder, room, context)` loads it (a Runtime that reads `context` tokens; `room` is an empty folder to work in);
    `inside(source, folder, trained)` looks into it without that program: a Check for its weights, settings and tokenizer each, while the
    file's numbers take their place in `trained`; `kind` is the type of its numbers, by which the bounds go; `missing` says what is not
    installed here (None: nothing).
    """

    open: Callable[[Source, Path, Path, int], Any]
    inside: Callable[[Source, Path, Any], Iterable[Any]]
    kind: Callable[[Source], str]
    missing: Callable[[], Problem | None] = lambda: None


@dataclass(frozen=True)
class Proof:
    """How a finished export that reads no tokens is compared with what was trained. `missing` says what is not installed here."""

    compare: Callable[[Source, Path, Note], Parity]
    missing: Callable[[], Problem | None] = lambda: None


@dataclass(frozen=True)
class Format:
    """One way to take a result away.

    `refuse` says why a source cannot take this form (None: it can); `needs_bytes` is the disk it takes; `export` writes into an empty
    folder and returns facts for the record (numbers that were measured on the result).
    """

    name: str
    label: str
    words: str  # one sentence: what it is good for
    refuse: Callable[[Source], Problem | None]
    needs_bytes: Callable[[Source], int]
    export: Callable[[Source, Path, Note], dict[str, Any]]
    size_bytes: Callable[[Source], int] | None = None  # about what is left of that afterwards; None: all of it
    zipped: bool = True
    variants: Mapping[str, str] = field(default_factory=dict)  # name -> words; the first is the usual one
    trial: Trial | None = None  # None, and no proof: nothing here can load it, which the result then says
    proof: Proof | None = None  # in the place of a trial
    seconds: Callable[[Source], float] | None = None  # about what it takes, where that does not go by the size of the base
    hand_over: Callable[[Source, Path, Note], dict[str, Any]] | None = None  # give the finished folder to a program here, if asked for
    program_here: Callable[[], bool] = lambda: False  # whether that program is on this computer


def formats(task: str = "text") -> dict[str, Format]:
    """All formats by name that a run of a kind of training can be taken away in: those of text, those of pictures or those of drawing."""
    known = tasks().get(task)
    package, apart = "loralab.exports", APART
    if known is not None and issubclass(known.plan, PicturePlan):
        package, apart = "loralab.exports.pictures", PICTURES_APART
    elif known is not None and issubclass(known.plan, DrawPlan):
        package, apart = "loralab.exports.drawing", DRAWING_APART
    found = plugins.discover(package, "FORMAT", apart).values()
    return {form.name: form for form in sorted(found, key=lambda form: form.name)}


def later(name: str) -> Callable[..., Any]:
    """The function named `module:thing`, which is looked up when it is called: what it needs is opened by a worker only."""
    module, _, thing = name.partition(":")

    def found(*given: Any) -> Any:
        return getattr(importlib.import_module(module), thing)(*given)

    return found


def label_of(form: str, variant: str) -> str:
    """What an export is called: its format in words, and which variant."""
    known = formats().get(form)
    variant = variant or next(iter(known.variants), "") if known else ""
    return " ".join(filter(None, (known.label if known else "export", variant.upper())))
