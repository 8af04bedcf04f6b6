"""Owns sentences about labels that several ways of writing them down need."""

from __future__ import annotations

from collections.abc import Sequence

from loralab.core.errors import Problem
from loralab.core.words import count, listed, plural
from loralab.datasets.images.found import BoxCount, Found

_MENDED = (
    ("clipped", "reached beyond its picture and was cut at its edge", "reached beyond their pictures and were cut at their edges"),
    ("turned", "had its corners exchanged and was put right", "had their corners exchanged and were put right"),
    ("scaled", "was drawn on another size of its picture and was fitted", "were drawn on another size of their pictures and were fitted"),
)


def outlines_note(outlines: int) -> list[Problem]:
    """That outlines are learned as the boxes around them."""
    if not outlines:
        return []
    what = f"{count(outlines, 'thing')} {plural(outlines, 'has', 'have')} an outline; what is learned is the box around it."
    return [
        Problem(
            code="outlines_as_boxes",
            what=what,
            todo="To learn the outlines themselves, choose marking where it is asked what is meant.",
            severity="info",
        )
    ]


def shows_nothing(found: Found) -> list[Problem]:
    """How many pictures have no box at all."""
    empty = sum(not (item.target and item.target.regions) for item in found.items)
    if not empty:
        return []
    what = f"{count(empty, 'picture')} {plural(empty, 'has', 'have')} no box: {plural(empty, 'it shows', 'they show')} nothing to be found."
    most = 2 * empty > len(found.items)
    todo = "Check whether their boxes are missing." if most else "Nothing has to be done where that is meant."
    return [Problem(code="no_box_pictures", what=what, todo=todo, severity="warning" if most else "info")]


def box_notes(boxes: BoxCount | None) -> list[Problem]:
    """What became of boxes that were not kept as they were; the numbers add up to those that were read."""
    if boxes is None:
        return []
    notes: list[Problem] = []
    if lost := boxes.dropped.total():
        reasons = listed([f"{reason} ({n:,})" for reason, n in boxes.dropped.most_common() if n])
        what = f"{boxes.kept:,} of {count(boxes.read, 'box', 'boxes')} are used, and {lost:,} {plural(lost, 'is', 'are')} not: {reasons}."
        severity = "warning" if 20 * lost >= boxes.read else "info"
        notes.append(Problem(code="boxes_left_out", what=what, todo="Have a look at these if you expected them.", severity=severity))
    for name, one, many in _MENDED:
        if n := int(getattr(boxes, name)):
            what = f"{count(n, 'box', 'boxes')} {one if n == 1 else many}."
            notes.append(Problem(code=f"boxes_{name}", what=what, todo="Nothing has to be done.", severity="info"))
    return notes


def listed_missing(names: Sequence[str], where: str) -> list[Problem]:
    """That a list names pictures that are not there."""
    if not names:
        return []
    n = len(names)
    what = f"{where} names {count(n, 'picture')} that {plural(n, 'is', 'are')} not there, for instance {names[0]}."
    return [Problem(code="listed_missing", what=what, todo="Add them, or go on without.", severity="warning")]
