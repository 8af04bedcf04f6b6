"""Loading the assistant with the model that was chosen for it. Invariant: without a model the rules answer alone."""

from __future__ import annotations

from advisor.assistant.assistant import Assistant
from advisor.assistant.models import chosen
from loralab.lab import Lab


def load(lab: Lab) -> Assistant:
    """The assistant of a workspace; its model is loaded with the first question it is asked."""
    path = chosen(lab.home)
    return Assistant(lab.language_model(path) if path else None)
