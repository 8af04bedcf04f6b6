"""Owns choosing among known labels: which of them the model would rather write than any other.

Invariant: greedy over the labels' own tokens, so every answer is one of the labels; ties and order of the labels change nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from loralab.core.records import Example
from loralab.evaluations.shared.answers import asked

MOST_LABELS = 500  # beyond it, labels are hardly a closed set


def choose(session: Any, example: Example, labels: Sequence[str]) -> str:
    """The label the model writes when it may write nothing but a label; its adapter is as it is switched now."""
    from loralab.serve.generate import fit, next_logits

    ids = {label: tuple(session.encoder.text_ids(label)) for label in labels}
    context = int(getattr(session.model.config, "max_position_embeddings", 0) or 1 << 30)
    read, cache, depth = fit(session.encoder, asked(example)[0], context, max(map(len, ids.values())) + 1), None, 0
    left = sorted(labels)
    end = min(session.encoder.stop_ids)
    while len(left) > 1:
        logits, cache = next_logits(session.model, read, cache)
        follow = {label: ids[label][depth] if depth < len(ids[label]) else end for label in left}
        token = max(sorted(set(follow.values())), key=lambda t: float(logits[t]))
        left = [label for label in left if follow[label] == token]
        if token == end:
            break
        read, depth = [token], depth + 1
    return left[0]


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
