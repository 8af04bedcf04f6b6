"""Owns choosing among known labels: which of them the model would rather write than any other.

Invariant: greedy over the labels' own tokens, so every answer is one of the labels; ties and order of the labels change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from loralab.core.records import Example, Message

if TYPE_CHECKING:
    from torch import Tensor

MOST_LABELS = 500  # beyond it, labels are hardly a closed set


def labels_of(*parts: Sequence[Example]) -> list[str]:
    """The labels of some examples, where they are a closed set; none otherwise."""
    found = sorted({example.label for examples in parts for example in examples if example.label is not None})
    return found if 2 <= len(found) <= MOST_LABELS else []


def choices(session: Any, prompts: Sequence[str | list[Message]], labels: Sequence[str]) -> list[Choice]:
    """A choice among `labels` after each prompt, to be written by loralab.serve.together."""
    from loralab.serve.generate import fit

    ids = {label: tuple(session.encoder.text_ids(label)) for label in labels}
    context = int(getattr(session.model.config, "max_position_embeddings", 0) or 1 << 30)
    longest = max(map(len, ids.values())) + 1
    end = min(session.encoder.stop_ids)
    return [Choice(fit(session.encoder, prompt, context, longest), ids, end, longest) for prompt in prompts]


class Choice:
    """One choice among labels, of which those are `left` that begin with what was taken. See loralab.serve.together.Row."""

    def __init__(self, ids: list[int], labels: dict[str, tuple[int, ...]], end: int, most: int) -> None:
        self.ids, self.labels, self.end = ids, labels, end
        self.most = most if len(labels) > 1 else 0
        self.begin()

    def begin(self) -> None:
        self.left, self.depth = sorted(self.labels), 0

    def take(self, logits: Tensor) -> int | None:
        ids, depth = self.labels, self.depth
        follow = {label: ids[label][depth] if depth < len(ids[label]) else self.end for label in self.left}
        token = max(sorted(set(follow.values())), key=lambda t: float(logits[t]))
        self.left = [label for label in self.left if follow[label] == token]
        self.depth += 1
        return None if token == self.end or len(self.left) == 1 else token
