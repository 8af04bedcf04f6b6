"""Weighing labels: a trie of their tokens is walked, and at every place the model may say only what the trie allows.

Invariant: each label gets a log-probability, and they add up to one.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field


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
        chances = [0.0] if len(allowed) == 1 else normal(among(path, allowed), len(allowed))
        for token, weight in zip(allowed, chances, strict=True):
            down(node.after[token], [*path, token], so_far + weight)

    down(root, [], 0.0)
    return found


def normal(chances: Sequence[float], size: int) -> list[float]:
    """As log-probabilities that add up to one; what is not a number counts as no preference at all."""
    if len(chances) != size or any(math.isnan(x) or x == math.inf for x in chances) or max(chances) == -math.inf:
        return [-math.log(size)] * size
    top = max(chances)
    total = top + math.log(sum(math.exp(x - top) for x in chances))
    return [x - total for x in chances]
