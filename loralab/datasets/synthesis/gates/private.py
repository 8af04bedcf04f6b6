"""E-mail addresses, telephone numbers, passwords and keys: what a model learns it may say to anybody."""

from __future__ import annotations

from loralab.datasets.checks.private import kinds_in
from loralab.datasets.synthesis.gates import Gate, Yard, per_row
from loralab.datasets.synthesis.rows import MadeRow


def why(row: MadeRow, yard: Yard) -> str:
    """The reason, which never repeats what was found."""
    kinds = list(kinds_in(f"{row.question}\n{row.answer}").values())
    return f"{kinds[0]} stand in it." if kinds else ""


GATE = Gate("Private data", 45, per_row(why))
