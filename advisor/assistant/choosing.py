"""Closed choices: which of the rules' own answers a question means. The model can say nothing but an option's label.

Invariants: what comes out is among the options; with a model in doubt, or one that changes its mind with the order, nothing is chosen.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from string import ascii_uppercase
from typing import Protocol

from advisor.assistant import prompts

LABELS = tuple(ascii_uppercase)
MIN_MARGIN = 0.5  # nats by which an option must be preferred to “none of these”, over both orders, to be chosen
MAX_CHOSEN = 2
MAX_BEHIND = 1.0  # nats by which the second may be behind the best


class Weighing(Protocol):
    """A language model that weighs labels: log-probabilities, one for each."""

    def weigh(self, messages: prompts.Messages, labels: Sequence[str]) -> list[float]: ...


def choose(question: str, options: Sequence[str], model: Weighing) -> list[str]:
    """The options that answer a question, the best first; none where the model prefers none. Raises LabError where it cannot be asked."""
    shown = list(options[: len(LABELS) - 1])
    titles = [*shown, prompts.NONE]
    forward = _weigh(question, titles, model)
    backward = _weigh(question, titles[::-1], model)[::-1]
    mean = [(one + other) / 2 for one, other in zip(forward, backward, strict=True)]
    agreed = [
        at
        for at in range(len(shown))
        if min(forward[at] - forward[-1], backward[at] - backward[-1]) > 0 and mean[at] - mean[-1] >= MIN_MARGIN
    ]
    ordered = sorted(agreed, key=lambda at: -mean[at])
    return [shown[at] for at in ordered[:MAX_CHOSEN] if mean[ordered[0]] - mean[at] <= MAX_BEHIND]


def _weigh(question: str, titles: Sequence[str], model: Weighing) -> list[float]:
    labels = LABELS[: len(titles)]
    found = model.weigh(prompts.choice(question, labels, titles), labels)
    garbled = len(found) != len(labels) or not all(map(math.isfinite, found))
    return [0.0] * len(labels) if garbled else found  # what makes no sense is no preference
