"""What a plan for pictures would learn from, read before its first update. Invariant: the same files and settings are not read twice."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from loralab.core.facts import Facts
from loralab.core.records import DatasetProfile
from loralab.datasets.images.door import Pictures, load_pictures, profile_pictures
from loralab.datasets.images.run_facts import of_plan
from loralab.tasks.draw import DrawPlan
from loralab.tasks.pictures import PicturePlan

Stamp = tuple[tuple[str, int, int], ...]
Roles = tuple[tuple[str, str], ...]


def what_pictures_teach(plan: PicturePlan | DrawPlan, stamp: Stamp, home: Path | None) -> tuple[Facts, DatasetProfile]:
    """Facts of a plan, and what reading its pictures found. `stamp`: changes when any of the files does.

    Raises UserError where nothing can be learned from them.
    """
    roles = tuple(sorted(plan.roles.items())) if not plan.guessed else ()
    pictures, profile = _read(Path(plan.dataset), stamp, home, roles)
    if plan.guessed:  # read again by its roles it would look certain
        profile = profile.model_copy(update={"certain": False})
    return of_plan(pictures, plan), profile


@lru_cache(maxsize=2)
def _read(path: Path, _stamp: Stamp, home: Path | None, roles: Roles) -> tuple[Pictures, DatasetProfile]:
    said = dict(roles) or None
    return load_pictures(path, home, said), profile_pictures(path, home, said)
