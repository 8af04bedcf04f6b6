"""The doctor for pictures: one check per file, found by discovery, run in name order. Checks are pure: they read and say what they see.

To add one write `<name>.py` here with a CHECK function from Pictures to Problems; nothing else is edited.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from loralab.core import plugins
from loralab.core.errors import Problem
from loralab.core.words import listed
from loralab.datasets.images.pictures import Pictures

Check = Callable[[Pictures], list[Problem]]

_ORDER = {"error": 0, "warning": 1, "info": 2}


def examine(pictures: Pictures) -> tuple[Problem, ...]:
    """All findings, those of reading included, the gravest first."""
    found = list(pictures.findings)
    for check in plugins.discover("loralab.datasets.images.checks", "CHECK").values():
        found += check(pictures)
    return tuple(sorted(found, key=lambda problem: _ORDER.get(problem.severity, 3)))


def where(pictures: Pictures, places: Sequence[int], limit: int = 3) -> str:
    """Which pictures: “a.png”, “a.png and b.png”, “a.png, b.png, c.png and 40 more”."""
    names = [pictures.examples[place].source for place in places[:limit]]
    if len(places) > limit:
        return f"{', '.join(names)} and {len(places) - limit:,} more"
    return listed(names)
