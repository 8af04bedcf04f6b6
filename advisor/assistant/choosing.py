"""Owns closed choices: which of the vetted ways out, which of the likeliest causes. A token trie holds a model to the options' labels.

Invariants: what comes out is always one of the options; with no model, a model in doubt, or one that changes its mind with the order, it is
the rules' own choice, the first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from advisor.assistant import prompts
from advisor.assistant.evidence import Pack
from advisor.diagnosis.findings import Finding, Fix
from loralab.core.errors import LabError

T = TypeVar("T")
LABELS = ("A", "B", "C", "D")
MARGIN = 0.5  # nats by which a model must prefer another option, over both orders, to be heard


class Weighing(Protocol):
    """A language model that weighs labels: log-probabilities, one for each."""

    def weigh(self, messages: Sequence[dict[str, str]], labels: Sequence[str]) -> list[float]: ...


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
        told = [0.0] if len(allowed) == 1 else _normal(among(path, allowed), len(allowed))
        for token, weight in zip(allowed, told, strict=True):
            down(node.after[token], [*path, token], so_far + weight)

    down(root, [], 0.0)
    return found


def _normal(told: Sequence[float], size: int) -> list[float]:
    """As log-probabilities that add up to one; what is not a number counts as no preference at all."""
    if len(told) != size or any(math.isnan(x) or x == math.inf for x in told) or max(told) == -math.inf:
        return [-math.log(size)] * size
    top = max(told)
    total = top + math.log(sum(math.exp(x - top) for x in told))
    return [x - total for x in told]


# ---- choices ---------------------------------------------------------------------------------------------------------------
def best(options: Sequence[T], say: Callable[[T], str], pack: Pack, speaker: Weighing | None) -> T:
    """One of the options. Raises ValueError where there is none."""
    if not options:
        raise ValueError("nothing to choose from")
    shown = list(options[: len(LABELS)])
    if speaker is None or len(shown) == 1:
        return shown[0]
    try:
        forward = _weighed(shown, say, pack, speaker)
        backward = _weighed(shown[::-1], say, pack, speaker)[::-1]
    except LabError:
        return shown[0]
    mean = [(a + b) / 2 for a, b in zip(forward, backward, strict=True)]
    other = max(range(len(shown)), key=lambda n: mean[n])
    agreed = forward[other] == max(forward) and backward[other] == max(backward)
    return shown[other] if agreed and mean[other] - mean[0] >= MARGIN else shown[0]


def _weighed(options: Sequence[T], say: Callable[[T], str], pack: Pack, speaker: Weighing) -> list[float]:
    labels = LABELS[: len(options)]
    return _normal(speaker.weigh(prompts.choice(pack, labels, [say(option) for option in options]), labels), len(labels))


def way(pack: Pack, speaker: Weighing | None) -> Fix:
    """Which of the vetted ways out."""
    return best(pack.ways, lambda fix: fix.words, pack, speaker)


def cause(findings: Sequence[Finding], pack: Pack, speaker: Weighing | None) -> Finding:
    """Which of the likeliest causes, where the rules say that it could be either."""
    return best(findings, lambda finding: finding.title, pack, speaker)
