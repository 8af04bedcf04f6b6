"""Closed choices: which of the rules' own answers a question means. A token trie holds the model to the options' labels.

Invariants: what comes out is among the options; with a model in doubt, or one that changes its mind with the order, nothing is chosen.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
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
    return _normal(model.weigh(prompts.choice(question, labels, titles), labels), len(labels))


# ---- the trie --------------------------------------------------------------------------------------------------------------
@dataclass
class Node:
    """A place in the trie: what may come next, and which label ends here."""

    after: dict[int, Node] = field(default_factory=dict)
    label: int | None = None


def trie(sequences: Sequence[Sequence[int]]) -> Node:
    """The trie of token sequences. Raises ValueError where one is empty or the beginning of another: no mask could tell them apart."""
    root = Node()
    for number, tokens in enumerate(sequences):
        node = root
        for token in tokens:
            if node.label is not None:
                raise ValueError("one label is the beginning of another")
            node = node.after.setdefault(token, Node())
        if not tokens or node.after or node.label is not None:
            raise ValueError("one label is the beginning of another, or empty")
        node.label = number
    return root


def weights(root: Node, size: int, among: Callable[[list[int], list[int]], list[float]]) -> list[float]:
    """Log-probability of each label when at every place only what the trie allows may be said.

    `among(path, allowed)`: log-probabilities of the allowed next tokens after `path`, in the model's own measure.
    """
    found = [-math.inf] * size

    def down(node: Node, path: list[int], so_far: float) -> None:
        if node.label is not None:
            found[node.label] = so_far
            return
        allowed = sorted(node.after)
        chances = [0.0] if len(allowed) == 1 else _normal(among(path, allowed), len(allowed))
        for token, weight in zip(allowed, chances, strict=True):
            down(node.after[token], [*path, token], so_far + weight)

    down(root, [], 0.0)
    return found


def _normal(chances: Sequence[float], size: int) -> list[float]:
    """As log-probabilities that add up to one; what is not a number counts as no preference at all."""
    if len(chances) != size or any(math.isnan(x) or x == math.inf for x in chances) or max(chances) == -math.inf:
        return [-math.log(size)] * size
    top = max(chances)
    total = top + math.log(sum(math.exp(x - top) for x in chances))
    return [x - total for x in chances]
