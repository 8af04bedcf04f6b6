"""Owns what a judge of pictures is given: the right answers of pictures it never saw, and what was said to them before and after.

Invariant: sides are in the order of the pictures; nothing here was learned from; the watched pictures were looked at while learning, to
choose by, and are none of the judged ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from loralab.evaluations.images.boxes import Found
from loralab.evaluations.images.intervals import Ints
from loralab.evaluations.images.masks import Mask
from loralab.evaluations.shared.shares import Matrix

AnySeen = TypeVar("AnySeen", bound="Seen")


@dataclass(frozen=True, kw_only=True)
class Seen:
    """Pictures that were judged: names of the kinds, and of each picture its row in the file, its file and of whom or what it is.

    `groups`: an empty one is known of nobody. `facts`: of each picture something that a table may be split by, by its name (“camera”,
    “sex”).
    """

    labels: Sequence[str]
    rows: Sequence[int]
    media: Sequence[str]
    groups: Sequence[str]
    facts: Mapping[str, Sequence[str]] = field(default_factory=dict[str, Sequence[str]])

    @property
    def n(self) -> int:
        return len(self.rows)


@dataclass(frozen=True, kw_only=True)
class SeenClasses(Seen):
    """Pictures sorted into kinds: `truth` [pictures] from 0, probabilities [pictures, kinds] before and after.

    `learned`: how many pictures of each kind were learned from. `before` None: nothing was known, and it is held against always saying the
    commonest kind. `probe`: the frozen model with a head that learned alone. `positive`: of two kinds, the one that is looked for; None: it
    is told from the names.
    """

    truth: Ints
    after: Matrix
    learned: Sequence[int]
    before: Matrix | None = None
    probe: Matrix | None = None
    watch_truth: Ints = field(default_factory=lambda: np.zeros(0, np.int64))
    watch_after: Matrix = field(default_factory=lambda: np.zeros((0, 0)))
    positive: int | None = None


@dataclass(frozen=True, kw_only=True)
class SeenMasks(Seen):
    """Pictures with marked areas: one mask [height, width] each, 0 the background, then as `labels`; sides have the size of the truth."""

    truth: Sequence[Mask]
    before: Sequence[Mask]
    after: Sequence[Mask]
    probe: Sequence[Mask] | None = None
    watch_truth: Sequence[Mask] = ()


@dataclass(frozen=True, kw_only=True)
class SeenBoxes(Seen):
    """Pictures with things in boxes. `confidence`: from which on a box is shown; None: chosen on the watched pictures."""

    truth: Sequence[Found]
    before: Sequence[Found]
    after: Sequence[Found]
    probe: Sequence[Found] | None = None
    watch_truth: Sequence[Found] = ()
    watch_after: Sequence[Found] = ()
    confidence: float | None = None


def only(seen: AnySeen, places: Sequence[int]) -> AnySeen:
    """The same with the pictures at these places alone; what was watched stays."""
    apart = {"labels", "learned", "positive", "confidence", "watch_truth", "watch_after", "facts"}
    kept = {one.name: _picked(getattr(seen, one.name), places) for one in fields(seen) if one.name not in apart}
    kept["facts"] = {name: _picked(values, places) for name, values in seen.facts.items()}
    return replace(seen, **kept)


def _picked(values: Any, places: Sequence[int]) -> Any:
    if values is None:
        return None
    side: npt.NDArray[Any] | list[Any] = values if isinstance(values, np.ndarray) else list(values)
    return side[list(places)] if isinstance(side, np.ndarray) else [side[i] for i in places]
