"""Words that a domain does not want in an answer: a promise of healing, “you will win your case”."""

from __future__ import annotations

from loralab.datasets.synthesis.gates import Gate, Yard, per_row
from loralab.datasets.synthesis.rows import MadeRow


def why(row: MadeRow, yard: Yard) -> str:
    """The reason, or ""."""
    said = row.answer.casefold()
    found = next((words for words in yard.refuse if words.casefold() in said), "")
    return f"The domain does not want “{found}” in an answer." if found else ""


GATE = Gate("Words of the domain", 48, per_row(why))
