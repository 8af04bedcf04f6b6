"""Owns what is computed once about sorted pictures: which are right, what could be reached unseen, what was chosen beforehand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from loralab.evaluations.images import classes, intervals
from loralab.evaluations.images.intervals import Bools, Compared, Draws, Ints
from loralab.evaluations.images.seen import SeenClasses
from loralab.evaluations.shared.shares import Matrix

IMBALANCED = 2 / 3  # share of the commonest of two kinds, from which on being right alone says little
NEGATIVE = frozenset(
    (
        "normal",
        "healthy",
        "negative",
        "no",
        "none",
        "benign",
        "other",
        "background",
        "good",
        "ok",
        "control",
        "clear",
        "without",
        "absent",
        "0",
    )
)


@dataclass(frozen=True)
class Sides:
    """The probabilities before and after, and what was chosen on the watched pictures: the temperature of after, the confidence below
    which it says that it does not know, and, of two kinds, the point from which on a picture is taken for the one looked for.
    """

    seen: SeenClasses
    drawn: Draws
    before: Matrix
    after: Matrix
    heat: float
    threshold: float
    point: float

    @property
    def n(self) -> int:
        return self.seen.n

    @property
    def labels(self) -> Sequence[str]:
        return self.seen.labels

    @property
    def truth(self) -> Ints:
        return self.seen.truth

    @cached_property
    def was(self) -> Bools:
        """Which were right before."""
        return classes.right(self.truth, self.before)

    @cached_property
    def good(self) -> Bools:
        """Which are right after."""
        return classes.right(self.truth, self.after)

    @cached_property
    def said(self) -> Ints:
        """What each is called after."""
        return self.after.argmax(1)

    @cached_property
    def kinds(self) -> list[int]:
        """Kinds of which some were kept aside."""
        return [int(kind) for kind in np.unique(self.truth)]

    @cached_property
    def counts(self) -> list[int]:
        """How many of each kind were kept aside."""
        return np.bincount(self.truth, minlength=len(self.labels)).tolist()

    @property
    def commonest(self) -> int:
        """The kind that whoever always says the same had best say, of the pictures that are judged."""
        return self.counts.index(max(self.counts))

    @property
    def by_habit(self) -> int:
        """How many are right when always that is said."""
        return max(self.counts)

    @cached_property
    def gain(self) -> Compared:
        """Being right against always saying the commonest."""
        habit = (self.truth == self.commonest).astype(np.float64)
        return intervals.compare(intervals.mean(habit), intervals.mean(self.good), self.drawn, self.good - habit)

    @cached_property
    def apart(self) -> Compared:
        """Telling kinds apart against guessing."""
        return intervals.compare(lambda weights: np.full(len(weights), 0.5), classes.macro_auc(self.truth, self.after), self.drawn)

    @cached_property
    def between(self) -> tuple[float, float]:
        """The 95 % interval of the share that is right."""
        return intervals.share(self.good, 1.0, self.drawn)

    @property
    def uneven(self) -> bool:
        """Whether there are two kinds of which one is much more common among the learned, and both were kept aside."""
        learned = list(self.seen.learned)
        return len(learned) == 2 and len(self.kinds) == 2 and max(learned) >= IMBALANCED * sum(learned) > 0

    def of_kind(self, kind: int) -> tuple[int, int, int]:
        """How many of a kind are found, how many there are, and how often it is said."""
        here, given = self.truth == kind, self.said == kind
        return int((here & given).sum()), int(here.sum()), int(given.sum())


def sides_of(seen: SeenClasses) -> Sides:
    """The sides, with what is chosen on the watched pictures; without such, nothing is doubted and the point is a half."""
    watched = len(seen.watch_truth) > 0
    heat = classes.temperature(seen.watch_truth, seen.watch_after) if watched else 1.0
    threshold, point = 0.0, 0.5
    if watched:
        calm = classes.tempered(seen.watch_after, heat)
        threshold = classes.doubt(calm.max(1), classes.right(seen.watch_truth, calm))
        if len(seen.labels) == 2:
            wanted = positive(seen.labels, seen.positive)
            point = classes.point(seen.watch_truth == wanted, calm[:, wanted])
    before = classes.habit(np.bincount(seen.truth, minlength=len(seen.labels)).tolist(), seen.n) if seen.before is None else seen.before
    return Sides(seen, intervals.draws(seen.groups), before, classes.tempered(seen.after, heat), heat, threshold, point)


def positive(labels: Sequence[str], said: int | None = None) -> int:
    """Of two kinds, the one that is looked for: as a person said, else the one that is not named like “normal”, else the second."""
    if said is not None:
        return said
    plain = [bool(NEGATIVE & set(label.lower().replace("_", " ").replace("-", " ").split())) for label in labels]
    return plain.index(False) if sum(plain) == 1 and len(plain) == 2 else 1
