"""Owns what a mark on a curve says. Invariant: sentences of the guard and the supervisor; nothing that a person wrote."""

from __future__ import annotations

from loralab.core.events import Adjusted, Ended, Incident
from loralab.reports.incidents import adjustment

ENDINGS = {"finished": "It is finished.", "stopped": "It was stopped.", "failed": "It could not go on.", "killed": "Something ended it."}


def of_moment(event: Incident | Adjusted | Ended) -> str:
    """One sentence, or two; what an ending quotes of a person's files is left out."""
    match event:
        case Incident():
            return event.text
        case Adjusted():
            return adjustment(event)
        case Ended():
            return ENDINGS[event.outcome]
