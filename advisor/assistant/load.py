"""Loading the assistant: which model was chosen, what can run it, and how many processor cores it may take.

Invariants: no model is loaded before it has something to say; without a model or a runtime the rules answer alone, and it is said why.
"""

from __future__ import annotations

from advisor.assistant.assistant import Assistant
from advisor.assistant.models import chosen
from advisor.assistant.runtime.local_model import LocalModel
from loralab.lab import Lab


def load(lab: Lab) -> Assistant:
    """The assistant of a workspace."""
    path = chosen(lab.home)
    return Assistant(LocalModel(path, busy=lambda: any(turn.position == 0 for turn in lab.queue())) if path else None)
