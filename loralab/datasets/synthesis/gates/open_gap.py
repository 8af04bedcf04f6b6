"""A gap that other sentences of the documents fill with other words: whoever is asked cannot know which is meant."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from loralab.datasets.dataset import normalised
from loralab.datasets.synthesis.gates import Gate, Yard
from loralab.datasets.synthesis.rows import MadeRow


def judge(rows: Sequence[MadeRow], _yard: Yard) -> dict[int, str]:
    """All rows of such a gap; other questions may well have several answers."""
    places: dict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        if row.kind == "cloze":
            places[normalised(row.question)].append(place)
    several = [group for group in places.values() if len({normalised(rows[place].answer) for place in group}) > 1]
    return {place: "Other words fill this gap, too." for group in several for place in group}


GATE = Gate("A gap with several answers", 12, judge)
