"""Made-up pictures that were judged: what is right, and answers as good or as bad as is asked for."""

from __future__ import annotations

from typing import Any

import numpy as np

from loralab.evaluations.images.boxes import Found
from loralab.evaluations.images.seen import SeenBoxes, SeenClasses, SeenMasks


def _about(n: int, groups: list[str] | None) -> dict[str, Any]:
    return {"rows": range(1, n + 1), "media": [f"pictures/{i}.png" for i in range(n)], "groups": groups or [""] * n}


def probabilities(truth: Any, kinds: int, right: float, random: Any) -> Any:
    """Answers of which about `right` are, at the others any other kind; honest about how sure they are."""
    other = (truth + random.integers(1, max(2, kinds), len(truth))) % kinds
    said = np.where(random.random(len(truth)) < right, truth, other)
    sure = np.clip(random.normal(0.9, 0.04, len(truth)), 0.6, 0.99)[:, None]
    return np.where(np.eye(kinds)[said] > 0, sure, (1 - sure) / (kinds - 1))


def classes(
    n: int, right: float, *, shares: tuple[float, ...] = (0.4, 0.3, 0.3), seed: int = 0, groups: Any = None, **more: Any
) -> SeenClasses:
    """Sorted pictures, `n` judged and 60 watched."""
    random, kinds = np.random.default_rng(seed), len(shares)
    truth, watched = (random.choice(kinds, size, p=shares) for size in (n, 60))
    about: dict[str, Any] = {
        "labels": tuple("abcdefgh"[:kinds]),
        "truth": truth,
        "after": probabilities(truth, kinds, right, random),
        "learned": [int(1000 * share) for share in shares],
        "watch_truth": watched,
        "watch_after": probabilities(watched, kinds, right, random),
    }
    return SeenClasses(**{**_about(n, groups), **about, **more})


def shuffled_classes(n: int, seed: int, shares: tuple[float, ...] = (0.5, 0.5)) -> SeenClasses:
    """Answers that are dealt at random: what learning shuffled labels comes to."""
    random = np.random.default_rng(seed)
    sides = [random.dirichlet(np.ones(len(shares)), size) for size in (n, 60)]
    return classes(n, 1.0, shares=shares, seed=seed, after=sides[0], watch_after=sides[1])


def discs(n: int, kinds: int, seed: int, moved: float = 0.0) -> list[Any]:
    """Masks [48, 64] with a few discs; `moved` by some pixels from where the same seed puts them."""
    random, shift = np.random.default_rng(seed), np.random.default_rng(seed + 100)
    rows, columns = np.ogrid[:48, :64]
    made: list[Any] = []
    for _ in range(n):
        mask = np.zeros((48, 64), np.uint8)
        for _ in range(random.integers(2, 5)):
            row, column, size, kind = random.integers(6, 42), random.integers(6, 58), random.integers(5, 9), random.integers(1, kinds + 1)
            down, across = shift.normal(0, moved, 2) if moved else (0, 0)
            mask[(rows - row - down) ** 2 + (columns - column - across) ** 2 <= size**2] = kind
        made.append(mask)
    return made


def masks(n: int, moved: float, *, kinds: int = 1, groups: Any = None, **more: Any) -> SeenMasks:
    """Marked pictures: before, discs of other pictures."""
    about: dict[str, Any] = {
        "labels": ("nucleus", "border", "vessel")[:kinds],
        "truth": discs(n, kinds, 0),
        "before": discs(n, kinds, 1),
        "after": discs(n, kinds, 0, moved),
        "watch_truth": discs(12, kinds, 2),
    }
    return SeenMasks(**{**_about(n, groups), **about, **more})


def things(n: int, kinds: int, seed: int) -> list[Found]:
    """What is to be found: up to six things in a picture, and in some nothing."""
    random, made = np.random.default_rng(seed), list[Found]()
    for _ in range(n):
        corner = random.uniform(0, 200, (random.integers(0, 7), 2))
        made.append(Found(np.c_[corner, corner + random.uniform(20, 50, corner.shape)], random.integers(0, kinds, len(corner))))
    return made


def seen_as(truths: list[Found], kinds: int, *, found: float, beside: int = 0, shaken: float = 1.0, seed: int = 9) -> list[Found]:
    """Boxes: a share `found` of the things, a little off, and up to so many `beside` them, which are less sure."""
    random, made = np.random.default_rng(seed), list[Found]()
    for truth in truths:
        kept, more = random.random(len(truth.kinds)) < found, random.integers(0, beside + 1)
        corner = random.uniform(0, 200, (more, 2))
        places = np.r_[(truth.places + random.normal(0, shaken, truth.places.shape))[kept], np.c_[corner, corner + 30]]
        what = np.r_[truth.kinds[kept], random.integers(0, kinds, more)]
        made.append(Found(places, what, np.r_[random.uniform(0.6, 1, int(kept.sum())), random.uniform(0, 0.5, more)]))
    return made


def boxes(n: int, found: float, *, kinds: int = 3, beside: int = 2, groups: Any = None, **more: Any) -> SeenBoxes:
    """Pictures with things in boxes: before, boxes anywhere."""
    truth, watched = things(n, kinds, 0), things(20, kinds, 1)
    about: dict[str, Any] = {
        "labels": ("RBC", "WBC", "Platelets", "Other")[:kinds],
        "truth": truth,
        "before": seen_as(truth, kinds, found=0, beside=8),
        "after": seen_as(truth, kinds, found=found, beside=beside),
        "watch_truth": watched,
        "watch_after": seen_as(watched, kinds, found=found, beside=beside, seed=8),
    }
    return SeenBoxes(**{**_about(n, groups), **about, **more})
