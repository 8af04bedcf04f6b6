"""What tells the classes apart without looking at what the pictures show: their size, their file, their brightness, their camera.

A model takes the easiest way. Where one class came from another camera or program, it learns that instead, and fails on new pictures.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from pathlib import PurePosixPath

import numpy as np
import numpy.typing as npt

from loralab.core.errors import Problem
from loralab.core.words import listed
from loralab.datasets.images.facts import Fact
from loralab.datasets.images.pictures import Pictures

TELLING = 0.9  # AUC from which on it is said
FEWEST = 8  # pictures of a class and of all others; fewer tell anything by chance
RARE = 5  # pictures with a value below which it is no value of its own
MOST_CLASSES = 50
MOST_TOLD = 3

Numbers = npt.NDArray[np.float64]

_MEASURED: tuple[tuple[str, Callable[[Fact], float]], ...] = (
    ("size of the file", lambda fact: fact.bytes),
    ("number of pixels", lambda fact: fact.width * fact.height),
    ("shape of the picture", lambda fact: fact.width / max(1, fact.height)),
    ("brightness", lambda fact: fact.brightness),
)


def check(pictures: Pictures) -> list[Problem]:
    """For the class that each of these tells best, where it tells it nearly always."""
    if pictures.task != "classify" or len(pictures.labels) > MOST_CLASSES:
        return []
    labels = np.array([pictures.labels.index(example.label or "") for example in pictures.examples])
    values = {name: np.array([of(fact) for fact in pictures.facts], float) for name, of in _MEASURED}
    for name, kinds in _kinds(pictures).items():
        values[name] = _odds(kinds, labels, len(pictures.labels))
    found = [(best[0], name, pictures.labels[best[1]]) for name, scores in values.items() if (best := _best(scores, labels))]
    return [_told(sorted(found, key=lambda one: -one[0])[:MOST_TOLD], len(pictures.labels))] if found else []


def auc(scores: Numbers, positive: npt.NDArray[np.bool_]) -> float:
    """Chance that a positive has a higher score than a negative, ties half (Mann-Whitney U over n m)."""
    _, place, counts = np.unique(scores, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks = (ends - (counts - 1) / 2)[place]
    n, m = int(positive.sum()), int((~positive).sum())
    return float((ranks[positive].sum() - n * (n + 1) / 2) / (n * m)) if n and m else 0.5


def _best(scores: Numbers, labels: npt.NDArray[np.int64]) -> tuple[float, int] | None:
    """The highest AUC and the class that is told best from all others; None below TELLING. `scores`: a number for each picture, which may
    tell by being large or small, or for each picture and class how much it speaks for it.
    """
    classes = int(labels.max()) + 1
    best: tuple[float, int] | None = None
    for place in range(1 if classes == 2 else 0, classes):
        mine = labels == place
        if min(mine.sum(), (~mine).sum()) < FEWEST:
            continue
        area = auc(scores[:, place] if scores.ndim == 2 else scores, mine)
        area = max(area, 1 - area) if scores.ndim == 1 else area
        if area >= TELLING and (best is None or area > best[0]):
            best = (area, place)
    return best


def _kinds(pictures: Pictures) -> dict[str, Sequence[str]]:
    """What pictures have that is no number, where several kinds of it are there."""
    kinds: dict[str, Sequence[str]] = {
        "kind of file": [PurePosixPath(example.source).suffix.lower() for example in pictures.examples],
        "camera": [fact.camera for fact in pictures.facts],
        "width and height": [f"{fact.width}x{fact.height}" for fact in pictures.facts],
    }
    for tag in sorted({tag for one in pictures.tags for tag in one}):
        kinds[f"entry “{tag}”"] = [one.get(tag, "") for one in pictures.tags]
    return {name: values for name, values in kinds.items() if len(set(values)) > 1}


def _odds(kinds: Sequence[str], labels: npt.NDArray[np.int64], classes: int) -> Numbers:
    """For each picture and class the share of that class among the other pictures with the same kind [pictures, classes].

    The picture itself does not count, so that kinds that occur once tell nothing.
    """
    common = Counter(kinds)
    keys = [kind if common[kind] >= RARE else "" for kind in kinds]
    tally: defaultdict[str, Numbers] = defaultdict(lambda: np.zeros(classes))
    for key, label in zip(keys, labels.tolist(), strict=True):
        tally[key][label] += 1
    overall = np.bincount(labels, minlength=classes) / len(labels)
    odds = np.empty((len(labels), classes))
    for at, (key, label) in enumerate(zip(keys, labels.tolist(), strict=True)):
        own = tally[key].copy()
        own[label] -= 1
        odds[at] = (own + overall) / (own.sum() + 1)
    return odds


def _told(found: Sequence[tuple[float, str, str]], classes: int) -> Problem:
    whom = "the classes" if classes == 2 else f"“{found[0][2]}” from all others"
    if len(found) == 1:
        what = f"The {found[0][1]} alone tells {whom} apart: AUC {found[0][0]:.2f}, where 0.5 is chance and 1 is always."
    else:
        each = listed([f"the {name} (AUC {area:.2f})" for area, name, _ in found])
        what = f"Without looking at what is shown, {whom} can be told apart by {each}; 0.5 is chance, 1 is always."
    todo = (
        "A model may learn that instead of what the pictures show. Check whether the classes come from different places, and take pictures "
        "of all classes in the same way. Where the difference is real, nothing has to be done."
    )
    return Problem(code="shortcut", what=what, todo=todo, severity="warning")


CHECK = check
