"""A model that is asked without the passage knows the answer already: the row teaches it nothing new. Needs a language model."""

from __future__ import annotations

from collections.abc import Sequence

from loralab.datasets.synthesis.gates import Gate, Yard
from loralab.datasets.synthesis.gates.round_trip import AGREE, f1
from loralab.datasets.synthesis.rows import MadeRow


def judge(rows: Sequence[MadeRow], yard: Yard) -> dict[int, str]:
    """Written rows only; what people wrote or a document says is wanted also where a model knows it."""
    found: dict[int, str] = {}
    for place, row in enumerate(rows):
        if row.origin != "synthetic" or yard.ask is None or yard.stop():
            continue
        said = yard.ask(f"Answer in a few words: {row.question}\nAnswer:")
        if f1(said, row.answer) >= AGREE:
            found[place] = "The model answers this without having read anything: it teaches nothing new."
    return found


GATE = Gate("Teaches something new", 95, judge, asks=True)
