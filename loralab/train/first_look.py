"""Owns what is known before the first update: the loss on the held-out examples and the first answers, remembered in the workspace.

Invariants: what was measured is used again only where the session says that everything it depends on is the same (model, examples,
settings, machine, versions); what was cut short, or needed help, is never remembered; a file that cannot be read only means looking again.
"""

from __future__ import annotations

import contextlib
import math
from pathlib import Path

from pydantic import Field, ValidationError

from loralab.core.paths import write_atomic
from loralab.core.records import Record, Sample
from loralab.train.state import Run

FILE = "first_looks.json"  # in the workspace
MOST = 64  # looks kept, the youngest


class FirstLook(Record):
    """A look before training: mean loss per target (nats) over `rows` examples, the seconds it took, and the first answers."""

    loss: float
    rows: int
    seconds: float
    samples: tuple[Sample, ...] = ()


class _Kept(Record):
    looks: dict[str, FirstLook] = Field(default_factory=dict)


def known(run: Run) -> FirstLook | None:
    """The look of an earlier run that began from the very same; None where there is none."""
    key = _key(run)
    return _read(_file(run)).looks.get(key) if key else None


def keep(run: Run, look: FirstLook) -> None:
    """Remember a look that was whole. A disk that is full only means looking again."""
    key = _key(run)
    if not key or run.folder.stop_asked or run.why or run.progress.heldout_left_out or not math.isfinite(look.loss):
        return
    looks = {name: old for name, old in _read(_file(run)).looks.items() if name != key}
    youngest = dict([*looks.items(), (key, look)][-MOST:])
    with contextlib.suppress(OSError):
        write_atomic(_file(run), _Kept(looks=youngest).model_dump_json())


def _key(run: Run) -> str:
    """Nothing is remembered of a run that lies in no workspace."""
    return run.session.starting_point() if run.folder.path.parent.name == "runs" else ""


def _file(run: Run) -> Path:
    return run.folder.path.parents[1] / FILE


def _read(path: Path) -> _Kept:
    try:
        return _Kept.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return _Kept()
