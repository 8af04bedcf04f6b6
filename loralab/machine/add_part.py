"""Owns adding an optional part for the app that runs. Invariant: whatever goes wrong is told in words, and nothing was changed then."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from pathlib import Path

from loralab.core.errors import Unavailable
from loralab.core.parts import Part, part_of
from loralab.core.records import Record
from loralab.setup.adding import Cancelled, add
from loralab.setup.environment import Place
from loralab.setup.progress import Progress, SetupProblem


class PartProgress(Record):
    """How far the addition of a part is."""

    words: str
    fraction: float = 0.0


def add_part(name: str, note: Callable[[PartProgress], object], stop: Callable[[], bool], place: Place | None = None) -> Part:
    """Fetch a part into the app's own environment; the part, which is not `present` where `stop` said so. Raises UserError for an unknown
    part, Unavailable where it cannot be added.
    """
    part = part_of(name)
    if part.present:
        return part
    if part.obstacle:
        raise Unavailable(f"{part.title} cannot be added to this computer.", part.obstacle, code="part_not_here")
    try:
        add(place or running(), name, lambda progress: note(_told(progress)), stop)
    except Cancelled:
        return part
    except SetupProblem as problem:
        what, _, todo = str(problem).partition(": ")
        raise Unavailable(f"{what}.", f"{todo[:1].upper()}{todo[1:]}", code="part_not_added", part=name) from problem
    importlib.invalidate_caches()
    return part_of(name)


def running() -> Place:
    """The environment this process runs in. Raises Unavailable where that is not LoRALab's own to change."""
    own = Place()
    if Path(sys.prefix).resolve() == own.venv.resolve():
        return own
    if sys.prefix == sys.base_prefix:
        what = "LoRALab runs in the Python that this computer's other programs use, and leaves that as it is."
        raise Unavailable(what, "Close it and start it with a double click on LoRALab in its folder.", code="not_our_python")
    return Place(own.root, Path(sys.prefix))


def _told(progress: Progress) -> PartProgress:
    counted = f", {progress.done} of {progress.total}" if progress.total > 1 else ""
    words = f"{progress.title}: {progress.detail}{counted}" if progress.detail else progress.title
    return PartProgress(words=words, fraction=progress.fraction)
