"""Owns what is said where all answers fail alike, whatever the loss says: all empty, all cut off, all the same.

Invariant: an alarm needs enough answers to be no accident, and is never raised by what the examples themselves are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from loralab.core.verdict import Verdict
from loralab.evaluations import Answered

FEWEST = 4  # answers, fewer of which show nothing
LONGER = 1.5  # times its reference an answer must be before it counts as one that does not end


@dataclass(frozen=True)
class Alarm:
    """What all answers are, and the sentence for it."""

    name: Literal["empty", "cut_off", "alike"]
    words: str


def unended(answer: Answered) -> bool:
    """Whether an answer ran on until it was cut off, and had room enough to end."""
    return not answer.after.ended and len(answer.after.text) >= LONGER * len(answer.reference)


def alarm(answers: Sequence[Answered]) -> Alarm | None:
    """What is wrong with every single answer; None where one is as it should be."""
    if len(answers) < FEWEST:
        return None
    said = [a.after.text.strip() for a in answers]
    wanted = {a.reference.strip() for a in answers}
    if not any(said) and any(wanted):
        return Alarm("empty", "Every one of its answers is empty.")
    if len(set(said)) == 1 and len(wanted) > 1:
        return Alarm("alike", "Every one of its answers is the same, whatever it is asked.")
    if all(unended(a) for a in answers) and any(a.example.messages for a in answers):
        return Alarm("cut_off", "Every one of its answers runs on until it is cut off: none ends by itself.")
    return None


def alarmed(found: Verdict, raised: Alarm | None) -> Verdict:
    """The verdict under an alarm: of no use, and no better than unknown where nothing shows that it learned."""
    if raised is None:
        return found
    doubt = f"{raised.words} What it learned does not show in them."
    hidden = found.learned == "yes" and raised.name != "cut_off"
    return found.model_copy(
        update={
            "alarm": raised.name,
            "usable": "no",
            "usable_words": raised.words,
            "reach": "",
            "learned": "unknown" if hidden else found.learned,
            "learned_words": f"{found.learned_words} {doubt}" if hidden else found.learned_words,
        }
    )
