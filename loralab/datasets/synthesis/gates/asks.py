"""What a writer gave as a question is none: a long statement, or words about the question instead of one."""

from __future__ import annotations

import re

from loralab.datasets.synthesis.gates import Gate, Yard, per_row
from loralab.datasets.synthesis.rows import MadeRow

FORMS = ("more", "paraphrase", "reverse", "harder", "from_passage")  # in which a writer is asked for a question
_LONG = 12  # words: a longer text without a question mark asks nothing
_ABOUT = re.compile(
    r"\b(?:the answer to (?:this|the|your) question|th(?:is|e) question (?:is|asks|can)|the given (?:sentence|text|question|answer|passage)"
    r"|in other words:|(?:re)?phrase(?:d)? (?:the|this) question)",
    re.IGNORECASE,
)


def why(row: MadeRow, yard: Yard) -> str:
    """The reason, or ""."""
    if row.origin != "synthetic" or row.kind not in FORMS:
        return ""
    if found := _ABOUT.search(f"{row.question}\n{row.answer}"):
        return f"It speaks about a question instead of asking one: “{found[0]}”."
    free = len(row.answer.split()) > 3  # else it is a text that is sorted into a class
    return "It is a statement and asks nothing." if free and "?" not in row.question and len(row.question.split()) > _LONG else ""


GATE = Gate("Asks something", 33, per_row(why))
