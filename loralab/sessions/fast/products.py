"""Owns products of many rows with a matrix. In 16 bits a processor's library (oneDNN) writes a routine for every new number of rows, half a
megabyte each that it never gives back, and no two micro-batches have as many: so rows are taken in pieces of few sizes.

The last piece reaches beyond the rows there are, into memory that `Workspace` has for it: what comes out there is nobody's.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

PIECES = (512, 256, 128)  # rows; from 512 on larger ones are no quicker, measured


def padded(rows: int) -> int:
    """The rows of all pieces together."""
    return -(-rows // PIECES[-1]) * PIECES[-1]


def times(inputs: Tensor, matrix: Tensor, out: Tensor, *, add: Tensor | None = None, alpha: float = 1.0) -> Tensor:
    """`out` [n, o] = `add` + alpha · `inputs` [n, i] times `matrix` [i, o]; `add` may be `out`."""
    for rows in _pieces(inputs):
        a, b = rows(inputs), rows(out)
        if add is None:
            torch.mm(a, matrix, out=b)
        else:
            torch.addmm(b if add is out else rows(add), a, matrix, alpha=alpha, out=b)
    return out


def across(left: Tensor, right: Tensor) -> Tensor:
    """Sum over rows of `left` [n, l] and `right` [n, r]: leftᵀ right, [l, r] in fp32."""
    whole = padded(len(left)) if is_cut(left) else len(left)
    if whole > len(left):
        for each in (left, right):
            _reaching(each, whole)[len(left) :] = 0.0
    first, *others = (torch.mm(rows(left).t(), rows(right)).float() for rows in _pieces(left))
    for other in others:
        first.add_(other)
    return first


class _Piece:
    """Some rows of any of the tensors of one product."""

    def __init__(self, start: int, size: int) -> None:
        self.start, self.size = start, size

    def __call__(self, values: Tensor) -> Tensor:
        return torch.as_strided(
            values, (self.size, values.shape[1]), values.stride(), values.storage_offset() + self.start * values.stride(0)
        )


def is_cut(values: Tensor) -> bool:
    """Whether products of `values` are taken in pieces."""
    return values.dtype != torch.float32 and values.device.type in ("cpu", "meta")


def _reaching(values: Tensor, rows: int) -> Tensor:
    return torch.as_strided(values, (rows, values.shape[1]), values.stride())


def _pieces(values: Tensor) -> Iterator[_Piece]:
    if not is_cut(values):
        yield _Piece(0, len(values))
        return
    start, whole = 0, padded(len(values))
    for size in PIECES:
        while whole - start >= size:
            yield _Piece(start, size)
            start += size
