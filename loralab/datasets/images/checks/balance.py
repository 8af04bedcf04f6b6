"""Too few pictures, or too few of a class: what is hardly there is learned by heart or not at all."""

from __future__ import annotations

from loralab.core.errors import Problem
from loralab.core.words import count, listed, plural
from loralab.datasets.images.formats.captions import DRAW
from loralab.datasets.images.pictures import Pictures

ENOUGH, ENOUGH_TO_DRAW = 50, 20  # pictures
FEW = 8  # of a class
MOST = 0.8  # share of one class
_NOUN = {"classify": "pictures", "detect": "boxes", "segment": "pictures", "draw": "pictures"}


def check(pictures: Pictures) -> list[Problem]:
    """Few pictures, rare classes, one class that is nearly everything."""
    return [*_few(pictures), *_rare(pictures), *_dominant(pictures)]


def _few(pictures: Pictures) -> list[Problem]:
    n = len(pictures.examples)
    if n >= (ENOUGH_TO_DRAW if pictures.task == DRAW else ENOUGH):
        return []
    what = f"There are only {count(n, 'picture')}, so the model may learn them by heart, and few are left to test on."
    return [
        Problem(
            code="few_pictures",
            what=what,
            todo=f"{ENOUGH_TO_DRAW} or more of one style are a good start."
            if pictures.task == DRAW
            else "About a hundred are a good start.",
            severity="warning",
        )
    ]


def _rare(pictures: Pictures) -> list[Problem]:
    many = _NOUN[pictures.task]
    rare = [(label, n) for label, n in pictures.counts().items() if n < FEW]
    if not rare:
        return []
    named = listed([f"“{label}” ({n:,})" for label, n in rare[:5]])
    more = f" and {len(rare) - 5:,} more" if len(rare) > 5 else ""
    what = f"{count(len(rare), 'class', 'classes')} {plural(len(rare), 'has', 'have')} fewer than {FEW} {many}: {named}{more}."
    todo = (
        f"Add some, or join {plural(len(rare), 'it', 'them')} with another class; so few {many} can hardly be learned, and not be tested."
    )
    return [Problem(code="rare_classes", what=what, todo=todo, severity="warning")]


def _dominant(pictures: Pictures) -> list[Problem]:
    counts = pictures.counts()
    total = sum(counts.values())
    if pictures.task != "classify" or not total:
        return []
    label, n = max(counts.items(), key=lambda item: item[1])
    if n < MOST * total:
        return []
    what = f"“{label}” is the class of {n:,} of {total:,} pictures; always saying it would look right."
    todo = "Add pictures of the other classes. While learning, rare classes can count for more."
    return [Problem(code="one_class_dominates", what=what, todo=todo, severity="warning")]


CHECK = check
