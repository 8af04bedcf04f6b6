"""Owns which examples a model can read at all. Invariant: what it cannot is left out with the true reason, before anything is split."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from loralab.core.errors import UserError
from loralab.core.records import Example, FieldUse, LeftOut
from loralab.datasets.account import ROLE_WORDS
from loralab.datasets.conversations.spoken import CALLED, RESULT
from loralab.datasets.dataset import MOST_LISTED, Loaded
from loralab.datasets.large.store import StoredExamples
from loralab.models.tokenize import TextEncoder
from loralab.models.tool_calls import calls_tools

NO_TOOLS = "It calls a tool, and this model’s way of writing a chat knows no tools."


def readable(encoder: TextEncoder, examples: Sequence[Example], loaded: Loaded) -> tuple[Sequence[Example], Loaded]:
    """The examples that the model can read, and what reading found with the others as left out. Raises UserError where it can read none."""
    if encoder.writes_calls:
        return examples, loaded
    kept, unread = _parted(examples)
    if not unread:
        return examples, loaded
    if not kept:
        raise UserError(f"None of the examples can be learned from. {NO_TOOLS}", "Choose a model that knows tools.", code="no_examples")
    room = max(0, MOST_LISTED - len(loaded.left_out)) if isinstance(examples, StoredExamples) else len(unread)
    lost = [LeftOut(row=example.row, source=example.source, reason=NO_TOOLS) for example in unread[:room]]
    more = loaded.more_left_out + len(unread) - len(lost)
    fields = tuple(use.model_copy(update={"used_for": ""}) if _of_tools(use) else use for use in loaded.fields)
    return kept, loaded.model_copy(update={"left_out": (*loaded.left_out, *lost), "more_left_out": more, "fields": fields})


def _of_tools(use: FieldUse) -> bool:
    return (use.within and use.name in (CALLED[0], RESULT[0])) or use.used_for == ROLE_WORDS["tools"]


def _parted(examples: Sequence[Example]) -> tuple[Sequence[Example], Sequence[Example]]:
    """(without calls of tools, with such)."""
    if isinstance(examples, StoredExamples):
        return examples.take(np.flatnonzero(~examples.calling)), examples.take(np.flatnonzero(examples.calling))
    calling = [example for example in examples if calls_tools(example)]
    return (tuple(example for example in examples if not calls_tools(example)) if calling else examples), calling
