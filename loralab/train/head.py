"""Owns the loss at the top of a language model. Invariant: only positions that are learned from go through the (large) output matrix."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

TILE = 1024  # rows of logits held at once: 1024 x 152k x 4 B = 620 MB at the largest vocabularies, 33 MB on the starter


def cross_entropy_sum(hidden: Tensor, targets: Tensor, head: nn.Module) -> Tensor:
    """Summed next-token loss. `hidden` [n, H] are the states at learned positions, `targets` [n] the tokens that follow.

    Computed in tiles in fp32, so that the peak is one tile of logits and not [n, V].
    """
    if len(targets) <= TILE:
        return F.cross_entropy(head(hidden).float(), targets, reduction="sum")
    losses = [
        torch.utils.checkpoint.checkpoint(_tile_loss, h, t, head, use_reentrant=False)
        for h, t in zip(hidden.split(TILE), targets.split(TILE), strict=True)
    ]
    return torch.stack(losses).sum()


def _tile_loss(hidden: Tensor, targets: Tensor, head: nn.Module) -> Tensor:
    return F.cross_entropy(head(hidden).float(), targets, reduction="sum")
