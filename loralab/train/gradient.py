"""The gradient of one update. Invariant: it is the mean over all its targets, however the update was split into micro-batches."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch

from loralab.train.data_parallel import Leader
from loralab.train.session import Batch, Session, accumulate


def backward(session: Session, micro_batches: Iterable[Batch], max_grad_norm: float, group: Leader | None = None) -> tuple[float, float]:
    """Accumulate the gradient of one effective batch: (mean loss, gradient norm before clipping).

    Each micro-batch adds the gradient of its summed loss; dividing once by the whole count makes any split equal to one big batch, also
    one over several processes (`group`).
    """
    total, count = accumulate(session, micro_batches)
    if group is not None:
        total, count = group.gather(session, total, count)
    parameters = [p for p in session.model.parameters() if p.grad is not None]
    for parameter in parameters:
        parameter.grad.div_(max(count, 1))  # type: ignore[union-attr]
    norm = torch.nn.utils.clip_grad_norm_(parameters, max_grad_norm or math.inf)
    return total / max(count, 1), norm.item()
