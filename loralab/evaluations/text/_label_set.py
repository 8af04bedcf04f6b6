"""Owns choosing among known labels: which of them the model would rather write than any other.

Invariant: greedy over the labels' own tokens, so every answer is one of the labels; ties and order of the labels change nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from loralab.core.records import Example
from loralab.evaluations.shared.answers import asked

if TYPE_CHECKING:
    from torch import Tensor

MOST_LABELS = 500  # beyond it, labels are hardly a closed set


def choose(session: Any, examples: Sequence[Example], labels: Sequence[str], stop: Callable[[], bool] = lambda: False) -> list[str | None]:
    """The label the model writes to each example when it may write nothing but a label; its adapter is as it is switched now.

    None for one that was not whole when `stop` said so.
    """
    from loralab.serve.generate import fit
    from loralab.serve.together import write

    ids = {label: tuple(session.encoder.text_ids(label)) for label in labels}
    context = int(getattr(session.model.config, "max_position_embeddings", 0) or 1 << 30)
    longest = max(map(len, ids.values())) + 1
    end = min(session.encoder.stop_ids)
    rows = [_Choice(fit(session.encoder, asked(example)[0], context, longest), ids, end, longest) for example in examples]
    return [row.left[0] if whole else None for row, whole in zip(rows, write(session.model, rows, stop), strict=True)]


class _Choice:
    """One choice among labels, of which those are `left` that begin with what was taken."""

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


def macro_f1(wanted: Sequence[str], found: Sequence[str]) -> float:
    """Mean over the labels that occur of 2 TP / (2 TP + FP + FN): every label counts alike, however rare it is."""
    right = Counter(w for w, f in zip(wanted, found, strict=True) if w == f)
    n_wanted, n_found = Counter(wanted), Counter(found)
    return sum(2 * right[label] / (n_wanted[label] + n_found[label]) for label in n_wanted) / max(1, len(n_wanted))


def confusion(wanted: Sequence[str], found: Sequence[str]) -> dict[str, dict[str, int]]:
    """How often a message of each label was sorted under which."""
    table: dict[str, dict[str, int]] = {}
    for w, f in zip(wanted, found, strict=True):
        table.setdefault(w, {}).setdefault(f, 0)
        table[w][f] += 1
    return table


def false_positives(wanted: Sequence[str], found: Sequence[str]) -> dict[str, int]:
    """How often each label was given to a message of another."""
    return dict(Counter(f for w, f in zip(wanted, found, strict=True) if w != f))
