"""Owns counting answers in a closed set of labels. Invariant: only what was said and what was wanted has a say."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence


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
