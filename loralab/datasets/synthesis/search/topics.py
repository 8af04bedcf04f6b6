"""Owns topics: which the documents have, named by their own words, and how many rows each has. Invariant: every passage has one topic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from loralab.core.records import Record
from loralab.datasets.synthesis.rows import MadeRow, Passage
from loralab.datasets.synthesis.search.space import Floats, Space

FEWEST, MOST = 2, 24
_THIN = 0.34  # of the usual number of rows for so many passages: fewer is a gap
_ROUNDS = 25
_WORDS = 3  # of a topic's name


class Topic(Record):
    """A topic: its words, its passages by id, its rows."""

    number: int
    name: str
    passages: tuple[str, ...]
    rows: int = 0
    gap: bool = False  # it has passages and hardly a row
    x: float = 0.0  # its place on the map, 0..1
    y: float = 0.0


def topics(passages: Sequence[Passage], rows: Sequence[MadeRow], space: Space | None = None) -> tuple[Topic, ...]:
    """The topics, those with most passages first."""
    if not passages:
        return ()
    space = space or Space([f"{one.heading} {one.text}" for one in passages])
    k = int(min(MOST, max(FEWEST, round((len(passages) / 2) ** 0.5)), len(passages)))
    assigned = _grouped(space.vectors, k)
    of_passage = {one.id: int(assigned[at]) for at, one in enumerate(passages[: len(assigned)])}
    counted = Counter(of_passage[row.passage_id] for row in rows if row.passage_id in of_passage)
    sizes = Counter(assigned.tolist())
    usual = sum(counted.values()) / max(1, len(of_passage))
    places = _places(space.vectors, assigned, k)
    taken: set[str] = set()
    made: list[Topic] = []
    for number, size in sizes.most_common():
        members = [one.id for one in passages if of_passage.get(one.id) == number]
        thin = usual > 0 and counted[number] < _THIN * usual * size
        x, y = places[number]
        made.append(
            Topic(
                number=number, name=_name(space, assigned, number, taken), passages=tuple(members), rows=counted[number], gap=thin, x=x, y=y
            )
        )
    return tuple(made)


def groups(space: Space) -> tuple[np.ndarray, dict[int, str]]:
    """The topic of each text of a space, and their names; no two names begin alike."""
    height = space.weights.height
    assigned = _grouped(space.vectors, int(min(MOST, max(FEWEST, round((height / 2) ** 0.5)), height)))
    taken: set[str] = set()
    return assigned, {group: _name(space, assigned, group, taken) for group, _ in Counter(assigned.tolist()).most_common()}


def _grouped(vectors: Floats, k: int) -> np.ndarray:
    """The group of each text: k-means on the sphere, begun with texts far from each other."""
    centres = [vectors[0]]
    for _ in range(k - 1):
        nearest = np.max(np.stack([vectors @ centre for centre in centres]), axis=0)
        centres.append(vectors[int(np.argmin(nearest))])
    held = np.stack(centres)
    assigned = np.zeros(len(vectors), np.int64)
    for _ in range(_ROUNDS):
        fresh = np.argmax(vectors @ held.T, axis=1)
        for group in range(k):
            mine = vectors[fresh == group]
            if len(mine):
                centre = mine.mean(axis=0)
                held[group] = centre / (np.linalg.norm(centre) or 1)
        if (fresh == assigned).all():
            break
        assigned = fresh
    return assigned


def _name(space: Space, assigned: np.ndarray, number: int, taken: set[str]) -> str:
    """The words that weigh most in a topic and name none before it."""
    mine = assigned[space.weights.rows] == number
    weight = np.bincount(space.weights.columns[mine], space.weights.values[mine], minlength=len(space.terms))
    chosen: list[str] = []
    for at in np.argsort(-weight, kind="stable")[:40]:
        word = space.terms[int(at)]
        if weight[at] > 0 and word not in taken and word.isalpha() and len(word) > 2:
            chosen.append(word)
        if len(chosen) == _WORDS:
            break
    taken.update(chosen[:2])
    return ", ".join(chosen) or f"topic {number + 1}"


def _places(vectors: Floats, assigned: np.ndarray, k: int) -> list[tuple[float, float]]:
    """Where topics lie on a map: the two directions in which their centres differ most, spread evenly by rank."""
    centres = np.stack([vectors[assigned == group].mean(axis=0) if (assigned == group).any() else vectors[0] for group in range(k)])
    centred = centres - centres.mean(axis=0)
    _, _, right = np.linalg.svd(centred, full_matrices=False)
    flat = centred @ right[:2].T
    if flat.shape[1] < 2:
        flat = np.pad(flat, ((0, 0), (0, 2 - flat.shape[1])))
    ranks = np.argsort(np.argsort(flat, axis=0, kind="stable"), axis=0, kind="stable") / max(1, k - 1)
    return [(round(float(x), 3), round(float(y), 3)) for x, y in ranks]
