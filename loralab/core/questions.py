"""The few questions that a run answers again and again while it learns, so that a person sees it learn."""

from __future__ import annotations

from loralab.core.records import Record


class AnswerAt(Record):
    """What was answered when `share` (0..1) of the updates were made."""

    share: float
    text: str
    drawn: str = ""  # as of a Sample


class Question(Record):
    """A held-out prompt that is answered again and again while a run learns; what was answered first comes first."""

    prompt: str
    reference: str = ""
    answers: tuple[AnswerAt, ...] = ()
