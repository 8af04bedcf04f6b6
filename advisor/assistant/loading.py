"""Owns waking the voice: which model was chosen, what can run it, and how many processor cores it may take.

Invariants: no model is loaded before it has something to say; without a model or a runtime the voice is that of the rules, and says why.
"""

from __future__ import annotations

from advisor.assistant.assistant import Voice
from advisor.assistant.models import chosen
from advisor.assistant.runtime.local_model import LocalModel
from loralab.lab import Lab


def voice(lab: Lab) -> Voice:
    """The voice of a workspace."""
    path = chosen(lab.home)
    return Voice(LocalModel(path, busy=lambda: busy(lab)) if path else None)


def busy(lab: Lab) -> bool:
    """Whether a job has this computer."""
    return any(turn.position == 0 for turn in lab.queue())
