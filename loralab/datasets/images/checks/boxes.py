"""Boxes that were not kept, or not as they were."""

from __future__ import annotations

from loralab.core.errors import Problem
from loralab.datasets.images.notes import box_notes
from loralab.datasets.images.pictures import Pictures


def check(pictures: Pictures) -> list[Problem]:
    """What became of them; the numbers add up to those that were read."""
    return box_notes(pictures.boxes)


CHECK = check
