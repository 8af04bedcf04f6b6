"""Owns the loss at the top: logits of a tile of positions are made once, and loss and gradient are taken from that tile in place.

Nothing is computed again and no second tensor of that size exists.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from loralab.sessions.fast.products import PIECES, is_cut, padded

_softmax: Any = torch.ops.aten._softmax.out  # noqa: SLF001  (the one that writes where it is told)
TILE_BYTES = 128 * 2**20  # of logits at once
MOST_ROWS, VOCABULARY = 512, 1024  # positions of a tile; columns of a product on a processor: wider ones are slower, measured
FEW, FEW_ON_CARD = 8, 64  # rows of 16 bits that are made exact at once; so many fit into a processor's near memory
CARDS = ("cuda", "mps")
QUIET = 1e-30  # a probability below which its logarithm is asked of the logits themselves


class TargetLosses(torch.autograd.Function):
    """-log p of each target, [n] in fp32.

    Of `states` [T, H] those at `sources` [n] predict `targets` [n] through the frozen `weight` [V, H].
    """

    @staticmethod
    def forward(ctx: Any, states: Tensor, sources: Tensor, targets: Tensor, weight: Tensor, tile: Tiles) -> Tensor:
        asked, wanted = len(targets), ctx.needs_input_grad[0]
        if is_cut(states):  # rows that are nobody's, so that tiles are of few sizes
            sources, targets = (F.pad(each, (0, padded(asked) - asked)) for each in (sources, targets))
        n = len(targets)
        losses = torch.empty(n, dtype=torch.float32, device=states.device)
        gradient = torch.empty(n if wanted else 0, states.shape[1], dtype=states.dtype, device=states.device)
        size = tile.rows(len(weight), states.element_size())
        for start in range(0, n, size):
            part = slice(start, min(start + size, n))
            chosen, here = states.index_select(0, sources[part]), targets[part, None]
            logits = tile.take(len(chosen), len(weight), states)
            for columns, matrix in tile.blocks(weight, states):
                torch.mm(chosen, matrix.t(), out=logits[:, columns])
            likely = _errors(logits, here)
            losses[part] = -likely.log()
            if not states.is_meta and bool((faint := likely < QUIET).any()):
                losses[part][faint] = _exactly(chosen[faint], here[faint], weight)
            if wanted:
                _sum_products(logits, tile.blocks(weight, states, whole=True), gradient[part])
        ctx.save_for_backward(gradient[:asked], sources[:asked])
        ctx.tokens = len(states)
        return losses[:asked]

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor, None, None, None, None]:
        gradient, sources = ctx.saved_tensors
        gradient = gradient * grads[0][:, None].to(gradient.dtype)
        return gradient.new_zeros(ctx.tokens, gradient.shape[1]).index_add_(0, sources, gradient), None, None, None, None


class Tiles:
    """Memory for one tile of logits, which stays."""

    def __init__(self) -> None:
        self._flat: Tensor | None = None
        self._exact: Tensor | None = None

    def blocks(self, weight: Tensor, like: Tensor, *, whole: bool = False) -> Iterator[tuple[slice, Tensor]]:
        """The matrix some rows at a time, of the kind of `like`; `whole` at once where it is of that kind already."""
        exact = weight.dtype == like.dtype
        size = len(weight) if exact and (whole or weight.device.type in CARDS) else VOCABULARY
        for start in range(0, len(weight), size):
            rows = slice(start, min(start + size, len(weight)))
            yield rows, weight[rows] if exact else self._copied(weight[rows], like)

    def _copied(self, weight: Tensor, like: Tensor) -> Tensor:
        if self._exact is None or self._exact.shape[1] != weight.shape[1] or self._exact.dtype != like.dtype:
            self._exact = torch.empty(VOCABULARY, weight.shape[1], dtype=like.dtype, device=like.device)
        return self._exact[: len(weight)].copy_(weight)

    def rows(self, vocabulary: int, item: int) -> int:
        """Positions of a tile."""
        return max(PIECES[-1], min(MOST_ROWS, TILE_BYTES // (vocabulary * item) // PIECES[-1] * PIECES[-1]))

    def take(self, rows: int, columns: int, like: Tensor) -> Tensor:
        """[rows, columns] of the kind of `like`."""
        flat = self._flat
        if flat is None or flat.numel() < rows * columns or flat.dtype != like.dtype or flat.device != like.device:
            self._flat = flat = None
            self._flat = flat = torch.empty(rows * columns, dtype=like.dtype, device=like.device)
        return flat[: rows * columns].view(rows, columns)


def _sum_products(logits: Tensor, blocks: Iterator[tuple[slice, Tensor]], out: Tensor) -> None:
    """Logits times the whole matrix, block by block."""
    for columns, matrix in blocks:
        if columns.start:
            out.addmm_(logits[:, columns], matrix)
        else:
            torch.mm(logits[:, columns], matrix, out=out)


def _errors(logits: Tensor, targets: Tensor) -> Tensor:
    """Turns `logits` [n, V] into the gradient of -log p of `targets` [n, 1], in place; returns p of each target, [n] in fp32.

    All of it in fp32 whatever the logits are, a few rows at a time: in 16 bits a probability of 0.999 is 1 and would teach nothing.
    """
    if logits.dtype == torch.float32:
        _softmax(logits, 1, False, out=logits)
        likely = logits.gather(1, targets)
        logits.scatter_(1, targets, likely - 1)
        return likely[:, 0]
    found = torch.empty(len(logits), dtype=torch.float32, device=logits.device)
    size = FEW_ON_CARD if logits.device.type in CARDS else FEW
    for few, some, out in zip(logits.split(size), targets.split(size), found.split(size), strict=True):
        exact = torch.softmax(few, 1, dtype=torch.float32)
        likely = exact.gather(1, some)
        few.copy_(exact.scatter_(1, some, likely - 1))
        out.copy_(likely[:, 0])
    return found


def _exactly(states: Tensor, targets: Tensor, weight: Tensor) -> Tensor:
    """The same for targets too unlikely for a probability of 32 bits."""
    return torch.cat(
        [
            F.cross_entropy((one[None] @ weight.to(one.dtype).t()).float(), target, reduction="none")
            for one, target in zip(states, targets, strict=True)
        ]
    )
