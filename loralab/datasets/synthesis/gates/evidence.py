"""The words a row rests on must stand in the passage it names, letter by letter; blanks and line ends aside."""

from __future__ import annotations

from loralab.datasets.synthesis.gates import Gate, Yard, passage_of, per_row
from loralab.datasets.synthesis.passages.blocks import flat
from loralab.datasets.synthesis.rows import MadeRow


def why(row: MadeRow, yard: Yard) -> str:
    """The reason, or ""; a row that names no passage rests on a person's word or on nothing that can be looked up."""
    if not row.passage_id:
        return ""
    passage = passage_of(row, yard)
    if not passage:
        return ""
    if not row.evidence.strip():
        return "It names a passage and quotes nothing of it."
    return "" if flat(row.evidence) in flat(passage) else "What it quotes does not stand in its passage."


GATE = Gate("Evidence", 35, per_row(why))
