"""Several pictures of one patient or source: a model that knows the patient looks better than it is."""

from __future__ import annotations

from collections import defaultdict

from loralab.core.errors import Problem
from loralab.core.words import count, plural
from loralab.datasets.images.names import HELDOUT
from loralab.datasets.images.pictures import Pictures


def check(pictures: Pictures) -> list[Problem]:
    """That pictures belong together and stay on one side; a warning where the files put them on two."""
    sides: defaultdict[str, set[bool]] = defaultdict(set)
    sizes: defaultdict[str, int] = defaultdict(int)
    for example, side in zip(pictures.examples, pictures.sides, strict=True):
        if example.group:
            sizes[example.group] += 1
            if side:
                sides[example.group].add(side == HELDOUT)
    several = [group for group, n in sizes.items() if n > 1]
    if not several:
        return []
    whom = "patient" if pictures.medical else "patient or source"
    many = "patients" if pictures.medical else "patients or sources"
    crossing = [group for group in several if len(sides[group]) > 1]
    if crossing:
        n = len(crossing)
        what = (
            f"Pictures of {count(n, f'same {whom}', f'{many}')} are both among those to learn from and those to test with: {crossing[0]}."
        )
        todo = "Those to learn from are put aside here, so that what is measured also holds for others."
        return [Problem(code="source_across", what=what, todo=todo, severity="warning")]
    shown = "" if pictures.medical else f" The names of the files say so, as in “{several[0]}”."
    what = f"{count(len(sizes), whom, many)} {plural(len(sizes), 'is', 'are')} on several pictures.{shown}"
    todo = "All pictures of one stay on one side: either learned from or tested with."
    return [Problem(code="same_source", what=what, todo=todo, severity="info")]


CHECK = check
