"""Owns memory that stays: tensors by name, made once and used again in every pass. The first touch of fresh memory costs as much as
what is done in it.

Invariant: a name has one tensor at a time; asking for it again gives the same memory, whatever it holds.
"""

from __future__ import annotations

import torch
from torch import Tensor

from loralab.sessions.fast.products import padded


class Workspace:
    """Flat memory by name, as large as the largest that was asked for."""

    def __init__(self, dtype: torch.dtype, device: torch.device) -> None:
        self.dtype, self.device = dtype, device
        self._flat: dict[str, Tensor] = {}

    def take(self, name: str, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        """`name` as a tensor of `shape`; its content is whatever was there."""
        size = 1
        for length in shape:
            size *= length
        kind, flat = dtype or self.dtype, self._flat.get(name)
        room = size if kind == torch.float32 else size // max(1, shape[0]) * padded(shape[0])
        if flat is None or flat.numel() < room:
            flat = None
            self._flat.pop(name, None)  # let go before the larger one is made
            flat = self._flat[name] = torch.empty(room, dtype=kind, device=self.device)
        return flat[:size].view(shape)
