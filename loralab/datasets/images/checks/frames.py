"""Files with several pictures in them: moving ones, pages of a TIFF."""

from __future__ import annotations

from loralab.core.errors import Problem
from loralab.core.words import count, plural
from loralab.datasets.images.pictures import Pictures


def check(pictures: Pictures) -> list[Problem]:
    """How many there are; the first picture of each is used."""
    several = sum(fact.frames > 1 for fact in pictures.facts)
    if not several:
        return []
    what = f"{count(several, 'file')} {plural(several, 'holds', 'hold')} several pictures, as moving ones do; the first of each is used."
    return [Problem(code="several_frames", what=what, todo="Save the others as files of their own if they are needed.", severity="info")]


CHECK = check
