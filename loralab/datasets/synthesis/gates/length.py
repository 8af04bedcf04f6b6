"""Too short to teach anything, or longer than one row should be."""

from __future__ import annotations

from loralab.datasets.synthesis.gates import Gate, Yard, per_row
from loralab.datasets.synthesis.rows import MadeRow

LONGEST_QUESTION, LONGEST_ANSWER = 2000, 4000  # characters
SHORTEST_QUESTION = 3  # letters


def why(row: MadeRow, yard: Yard) -> str:
    """The reason, or ""."""
    if sum(map(str.isalnum, row.question)) < SHORTEST_QUESTION:
        return "The question is empty or only signs."
    if not any(map(str.isalnum, row.answer)):
        return "The answer is empty or only signs."
    if len(row.question) > LONGEST_QUESTION:
        return f"The question is longer than {LONGEST_QUESTION:,} characters."
    if len(row.answer) > LONGEST_ANSWER:
        return f"The answer is longer than {LONGEST_ANSWER:,} characters."
    if row.origin == "synthetic" and _repeats(row.answer):
        return "The answer says the same again and again."
    return ""


def _repeats(answer: str) -> bool:
    """Whether a writer got stuck: a run of four words stands there four times."""
    said = answer.casefold().split()
    runs = [tuple(said[at : at + 4]) for at in range(len(said) - 3)]
    return any(runs.count(run) >= 4 for run in set(runs)) if len(runs) < 2000 else len(set(runs)) < 0.5 * len(runs)


GATE = Gate("Length", 30, per_row(why))
