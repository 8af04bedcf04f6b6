"""Owns what a way of writing labels down gives: pictures with what is to be learned of them, what was left out, and an account of boxes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from loralab.core.errors import Problem
from loralab.core.records import LeftOut, Target
from loralab.datasets.images.facts import Facts
from loralab.datasets.images.place import Place

Roles = Mapping[str, str]


@dataclass(frozen=True)
class Item:
    """A picture and what is to be learned of it. `side`: “learn”, “watch” or “heldout” where the files say so."""

    name: str
    label: str | None = None
    target: Target | None = None
    side: str = ""
    group: str = ""
    caption: str = ""  # what it shows in words, where one learns to draw such


@dataclass
class BoxCount:
    """What became of boxes: read = kept + the sum of `dropped`. The others count boxes that are kept, and were mended."""

    read: int = 0
    kept: int = 0
    clipped: int = 0
    turned: int = 0  # right and left, or top and bottom, were exchanged
    scaled: int = 0  # said for another size of their picture
    dropped: Counter[str] = field(default_factory=Counter)  # by reason

    def drop(self, reason: str, boxes: int = 1) -> None:
        """Count boxes that were read and are not kept."""
        self.read += boxes
        self.dropped[reason] += boxes


@dataclass(frozen=True)
class MaskTable:
    """What the values in mask files mean: value -> 0 background, i the i-th of the labels. Values that are not named are background.

    `above`: every value greater than this is the one class, for masks that are grey at their rims.
    """

    places: Mapping[int, int] = field(default_factory=dict)
    above: int | None = None


@dataclass
class Found:
    """A data set of pictures as its labels tell it."""

    task: str
    items: list[Item]
    lost: list[LeftOut] = field(default_factory=list)
    labels: tuple[str, ...] = ()  # in the order that the files give; empty: by name
    boxes: BoxCount | None = None
    table: MaskTable = field(default_factory=MaskTable)
    notes: list[Problem] = field(default_factory=list)
    columns: tuple[str, ...] = ()
    roles: dict[str, str] = field(default_factory=dict)
    certain: bool = True
    others: tuple[dict[str, str], ...] = ()  # roles with which it could be meant otherwise

    def lose(self, source: str, reason: str) -> None:
        """Count a picture, or a line about one, that is not kept."""
        self.lost.append(LeftOut(row=0, source=source, reason=reason))


@dataclass(frozen=True)
class Format:
    """A way of writing labels down. Where several claim a place and speak of one task, the one with the lowest `rank` is taken."""

    name: str
    task: str
    rank: int
    claims: Callable[[Place], bool]  # cheap: names, and the beginnings of some texts
    read: Callable[[Place, Facts, Roles], Found]  # raises UserError where nothing can be learned
    settles: tuple[str, ...] = ()  # tasks that could be learned of the same marks, and are not asked about: who outlines wants outlines
