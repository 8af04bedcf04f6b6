"""Owns the controls of the verdict: what must come out when there is nothing to find. No torch: they work on what was measured.

Invariant: a control uses the very functions that judge a run, never a copy of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from loralab.core.records import Example
from loralab.evaluations.shared.paired import paired_difference, verdict

SWAPS = 200
ALLOWED = 0.05  # share of false “better” that a 95 % interval promises not to exceed, both ways together


def shuffle_answers(examples: Sequence[Example], seed: int) -> list[Example]:
    """The same questions and the same answers, none where it belongs (but for answers that are all alike): nothing can be learned from
    them about which belongs to which. Texts without messages stay as they are.
    """
    places = [i for i, example in enumerate(examples) if example.messages]
    order = np.random.default_rng(seed).permutation(len(places))
    found = list(examples)
    for position, here in enumerate(order):
        giver = examples[places[order[(position + 1) % len(order)]]]  # a ring: nobody keeps what is theirs
        taker = examples[places[here]]
        said = (*taker.messages[:-1], giver.messages[-1]) if taker.messages[-1].role == "assistant" else taker.messages
        found[places[here]] = taker.model_copy(update={"messages": said, "label": giver.label})
    return found


def swapped(rows: Sequence[dict[str, Any]], swaps: int = SWAPS, seed: int = 0) -> tuple[int, int]:
    """(times called better, times called worse) of `swaps` judgings in which base and adapter were swapped in random examples.

    `rows` are those of the loss measure. Swapping makes both sides the same mixture, so that there is nothing to find (A/A test).
    """
    base = np.array([row["before_loss"] * row["tokens"] for row in rows])
    adapter = np.array([row["after_loss"] * row["tokens"] for row in rows])
    counts = [float(row["tokens"]) for row in rows]
    random = np.random.default_rng(seed)
    called = {"better": 0, "worse": 0}
    for _ in range(swaps):
        flip = random.random(len(base)) < 0.5
        found = paired_difference(np.where(flip, adapter, base).tolist(), np.where(flip, base, adapter).tolist(), counts)
        word = verdict(found, lower_is_better=True)
        if word in called:
            called[word] += 1
    return called["better"], called["worse"]
