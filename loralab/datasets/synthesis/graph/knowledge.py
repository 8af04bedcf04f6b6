"""Owns the graph: entities that stand in one sentence with a verb between them are related by it; its places on a map.

Invariant: every relation carries its sentence and where that stands, so that whoever sees it can look it up.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from loralab.core.records import Record
from loralab.datasets.synthesis.graph.entities import MOST, Sentence, named, spoken
from loralab.datasets.synthesis.rows import Passage

_BETWEEN = 60  # characters between two related entities
_VERB = re.compile(
    r"\b(is|are|was|were|has|have|had|means|contains|holds|made|wrote|born|[a-z]{3,}(?:ed|es)|[a-z]{2,}s|[a-z]+(?:ought|ound|ew|ew|ote|ang|ept))\b"
)
_NO_VERBS_TEXT = "this his its as us plus across always perhaps towards besides whereas thus less yes these those others sometimes indeed"
_NO_VERBS = frozenset(_NO_VERBS_TEXT.split())
MOST_EDGES = 2000
_STEPS = 120


class Entity(Record):
    """A node: what is spoken of, how often, and where it lies on the map (0..1)."""

    name: str
    times: int
    x: float = 0.5
    y: float = 0.5


class Relation(Record):
    """An edge: two entities, the words between them, and the sentence."""

    first: str
    verb: str
    second: str
    sentence: str
    passage_id: str
    source: str
    offset: int  # of the sentence in the document


class Graph(Record):
    """Entities and relations, the most telling first."""

    entities: tuple[Entity, ...] = ()
    relations: tuple[Relation, ...] = ()

    def around(self, name: str) -> tuple[Relation, ...]:
        """The relations of an entity."""
        return tuple(one for one in self.relations if name in (one.first, one.second))


def knowledge(passages: Sequence[Passage]) -> Graph:
    """The graph of all passages."""
    held = named(list(spoken(passages)))
    counted = Counter(name for one in held for name in {name for _, _, name in one.names})
    wanted = {name for name, _ in counted.most_common(MOST)}
    relations = [relation for one in held for relation in _relations(one, wanted)]
    relations = list({(one.first, one.verb, one.second): one for one in reversed(relations)}.values())
    relations.sort(key=lambda one: -(counted[one.first] + counted[one.second]))
    relations = relations[:MOST_EDGES]
    related = {name for one in relations for name in (one.first, one.second)}
    names = [name for name, _ in counted.most_common(MOST) if name in related or counted[name] > 1]
    places = _laid_out(names, relations)
    entities = tuple(Entity(name=name, times=counted[name], x=x, y=y) for name, (x, y) in zip(names, places, strict=True))
    return Graph(entities=entities, relations=tuple(relations))


def _relations(one: Sentence, wanted: set[str]) -> list[Relation]:
    """Neighbours in a sentence with a verb between them."""
    found: list[Relation] = []
    names = [hit for hit in one.names if hit[2] in wanted]
    for (_, end, first), (start, _, second) in pairwise(names):
        between = one.text[end:start].strip(" ,")
        verb = next((m for m in _VERB.finditer(between) if m[0] not in _NO_VERBS), None)
        if first != second and verb and 0 < len(between) <= _BETWEEN and not re.search(r"[.;:!?“”\"]", between):
            found.append(
                Relation(
                    first=first, verb=between, second=second, sentence=one.text, passage_id=one.passage, source=one.source, offset=one.start
                )
            )
    return found


def _laid_out(names: Sequence[str], relations: Sequence[Relation]) -> list[tuple[float, float]]:
    """Places where what is related lies near and nothing lies on another: springs and repulsion (Fruchterman, Reingold 1991)."""
    n = len(names)
    if n < 2:
        return [(0.5, 0.5)] * n
    at = {name: place for place, name in enumerate(names)}
    links = defaultdict[tuple[int, int], float](float)
    for one in relations:
        if one.first in at and one.second in at:
            links[at[one.first], at[one.second]] += 1.0
    pairs = np.array(list(links) or [(0, 0)], np.int64)
    places = np.random.default_rng(0).random((n, 2))
    spring = 0.9 / np.sqrt(n)
    for step in range(_STEPS):
        apart = places[:, None] - places[None]
        distance = np.maximum(np.linalg.norm(apart, axis=2), 1e-3)
        move = (apart / distance[..., None] ** 2 * spring**2).sum(axis=1)
        along = places[pairs[:, 0]] - places[pairs[:, 1]]
        pull = along * np.linalg.norm(along, axis=1, keepdims=True) / spring
        np.add.at(move, pairs[:, 0], -pull)
        np.add.at(move, pairs[:, 1], pull)
        move -= (places - 0.5) * 0.05
        size = np.maximum(np.linalg.norm(move, axis=1, keepdims=True), 1e-9)
        places += move / size * np.minimum(size, 0.1 * (1 - step / _STEPS))
    low, high = places.min(axis=0), places.max(axis=0)
    scaled = (places - low) / np.maximum(high - low, 1e-9)
    return [(round(float(x), 3), round(float(y), 3)) for x, y in scaled]
