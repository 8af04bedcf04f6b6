"""Looks into an update that went wrong, one example at a time.

Invariant: looking changes nothing: gradients are dropped and random numbers are as they were, so a run goes on as if nothing had been.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from itertools import islice

from loralab.train import checkpoint
from loralab.train.session import Batch, Session


def alone(session: Session, batches: Iterable[Batch]) -> Iterator[Batch]:
    """The same examples, each a batch of its own."""
    waiting = list(batches)
    while waiting:
        batch = waiting.pop(0)
        halves = session.split(batch)
        if halves:
            waiting[:0] = halves
        else:
            yield batch


def without(session: Session, batches: Sequence[Batch], rows: Collection[int]) -> list[Batch]:
    """`batches` less the examples named `rows`; a batch that has none of them stays as it is."""
    kept: list[Batch] = []
    for batch in batches:
        if not set(batch.rows) & set(rows):
            kept.append(batch)
        elif halves := session.split(batch):
            kept += without(session, halves, rows)
    return kept


def broken_rows(session: Session, batches: Iterable[Batch]) -> list[int]:
    """Examples whose loss or gradient, alone, is not finite with the weights as they are."""
    random, parameters = checkpoint.random_state(), [p for p in session.model.parameters() if p.requires_grad]
    found: list[int] = []
    for single in alone(session, batches):
        session.model.zero_grad(set_to_none=True)
        loss, _ = session.loss(single)
        finite = math.isfinite(loss.item())
        if finite and loss.requires_grad:
            loss.backward()
            finite = all(bool(p.grad.isfinite().all()) for p in parameters if p.grad is not None)
        if not finite:
            found.extend(single.rows)
    session.model.zero_grad(set_to_none=True)
    checkpoint.restore_random_state(random)
    return found


def known_good(session: Session, count: int = 4) -> list[Batch]:
    """A few held-out examples, each alone: their loss was finite before the training began, so they tell a bad row from a bad setting."""
    return list(islice(alone(session, session.heldout()), count))
