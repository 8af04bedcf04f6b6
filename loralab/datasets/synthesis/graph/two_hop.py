"""Questions over two sentences: the first says of something what it has to do with another; the second is what else is said of that.

Invariant: both sentences are in the documents; the answer is the second one, word for word.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping

from loralab.datasets.synthesis.graph.knowledge import Graph, Relation
from loralab.datasets.synthesis.makers.cloze import GAP
from loralab.datasets.synthesis.makers.phrases import PHRASES
from loralab.datasets.synthesis.rows import MadeRow, with_id

MOST = 200
_FEW = 6  # relations of an entity that many things are related to say little
_LONGEST = 220  # characters of a sentence
_OPEN = re.compile(r"\b(?:figure|table|section|chapter|abbildung|tabelle|kapitel|abschnitt)\s\d", re.IGNORECASE)


def two_hop(graph: Graph, languages: Mapping[str, str] | None = None, stories: Collection[str] = ()) -> Iterator[MadeRow]:
    """One for each pair of sentences that meet in an entity that few others do. `languages`: of documents; none of `stories`."""
    begins: dict[str, list[Relation]] = defaultdict(list)
    ends: dict[str, list[Relation]] = defaultdict(list)
    for one in graph.relations:
        if one.source not in stories and len(one.sentence) <= _LONGEST and not _OPEN.search(one.sentence) and one.sentence.endswith("."):
            begins[one.first].append(one)
            ends[one.second].append(one)
    made, asked = 0, set[tuple[str, str]]()
    for middle, firsts in ends.items():
        for first in firsts if len(firsts) <= _FEW else ():
            for second in begins.get(middle, ())[:2]:
                phrases = PHRASES.get((languages or {}).get(second.source, "en"))
                if not phrases or made >= MOST or not _meet(first, second) or (first.sentence, second.sentence) in asked:
                    continue
                asked.add((first.sentence, second.sentence))
                made += 1
                question = phrases.else_said.format(first.sentence.replace(middle, GAP))
                yield with_id(
                    MadeRow(
                        question=question,
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


def _meet(first: Relation, second: Relation) -> bool:
    """Whether the second of two sentences begins with what the first ends with, and the first tells which without naming it."""
    middle = first.second
    begun = re.sub(r"^(?:The|An?|Der|Die|Das|Le|La|Les|El) ", "", second.sentence)
    named = first.first[:1].isupper() and first.sentence.count(middle) == 1 and middle not in first.first and first.first not in middle
    return first.sentence != second.sentence and second.second != first.first and begun.startswith(middle) and named
