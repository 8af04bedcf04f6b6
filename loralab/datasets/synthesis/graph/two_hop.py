"""Questions over two sentences: what a thing is related to is itself said something of. “What is said of the X that Y wrote?”

Invariant: both sentences are in the documents; the answer is the second one, word for word.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from loralab.datasets.synthesis.graph.knowledge import Graph, Relation
from loralab.datasets.synthesis.rows import MadeRow, with_id

MOST = 200
_FEW = 6  # relations of an entity that many things are related to say little
_SHORT = ("is", "are", "was", "were", "has", "have", "had")


def two_hop(graph: Graph) -> Iterator[MadeRow]:
    """One for each pair of relations that meet in an entity that few others do."""
    begins: dict[str, list[Relation]] = defaultdict(list)
    ends: dict[str, list[Relation]] = defaultdict(list)
    for one in graph.relations:
        begins[one.first].append(one)
        ends[one.second].append(one)
    made = 0
    for middle, firsts in ends.items():
        for first in firsts if len(firsts) <= _FEW else ():
            for second in begins.get(middle, ())[:2]:
                telling = first.sentence != second.sentence and second.second != first.first and first.verb.split()[0] not in _SHORT
                if not telling or made >= MOST:
                    continue
                made += 1
                yield with_id(
                    MadeRow(
                        question=f"What does the text say about what this is about: {first.first} {first.verb} ____?",
                        answer=second.sentence,
                        origin="extracted",
                        kind="two_hop",
                        topic=middle,
                        source=second.source,
                        offset=second.offset,
                        evidence=second.sentence,
                        passage_id=second.passage_id,
                    )
                )
