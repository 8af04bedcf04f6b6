"""Owns causal attention over rows, forward and backward, by torch's own kernel for processors (Dao 2023).

Rows are [rows, longest] places; queries, keys and values lie side by side in one matrix, with fewer heads of keys than of queries where
the model shares them (Ainslie et al. 2023).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from loralab.sessions.fast.packing import Packed
from loralab.sessions.fast.workspace import Workspace

_forward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu.default  # noqa: SLF001  (torch's own names of its kernels)
_backward = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward.default  # noqa: SLF001


@dataclass(frozen=True)
class Heads:
    """How a model divides its queries, keys and values."""

    queries: int
    keys: int
    size: int  # numbers of a head
    scale: float

    @property
    def width(self) -> int:
        """Numbers of one token: its queries, keys and values."""
        return (self.queries + 2 * self.keys) * self.size

    @property
    def columns(self) -> tuple[int, int, int]:
        return self.queries * self.size, self.keys * self.size, self.keys * self.size


def attend(heads: Heads, packed: Packed, joined: Tensor, space: Workspace, name: str) -> Tensor:
    """What each token takes from those before it, [T, queries * size], from `joined` [T, width].

    It stays as `name`.taken, with the logarithms of its sums as `name`.sums, for the way back.
    """
    query, key, value = _rows(heads, packed, joined, space)
    out, sums = _forward(query, key, value, 0.0, is_causal=True, scale=heads.scale)
    space.take(f"{name}.sums", *sums.shape, dtype=torch.float32).copy_(sums)
    places = out.transpose(1, 2).reshape(packed.rows * packed.longest, -1)
    return packed.first(places, space.take(f"{name}.taken", packed.size, heads.queries * heads.size))


def attend_back(heads: Heads, packed: Packed, taken: Tensor, gradient: Tensor, space: Workspace, name: str) -> Tensor:
    """The gradient of `joined` [T, width], which must still be under `name`.qkv, from `taken` and its gradient [T, queries * size]."""
    query, key, value = _rows(heads, packed, space.take(f"{name}.qkv", packed.size, heads.width), space)
    sums = space.take(f"{name}.sums", packed.rows, heads.queries, packed.longest, dtype=torch.float32)
    places, wide = packed.rows * packed.longest, heads.queries * heads.size
    out = _by_head(packed.spread(taken, space.take("rows.taken", places, wide)), packed, heads.queries)
    outgoing = _by_head(packed.at_first(gradient, space.take("rows.gradient", places, wide)), packed, heads.queries)
    found = _backward(outgoing, query, key, value, out, sums, 0.0, is_causal=True, scale=heads.scale)
    rows = space.take("rows.back", packed.rows, packed.longest, heads.width)
    for part, into in zip(found, rows.split(heads.columns, dim=2), strict=True):
        back = part.transpose(1, 2)  # [rows, longest, heads, size]
        each = into.unflatten(2, (-1, heads.size))
        shared = back.shape[2] // each.shape[2]
        if shared > 1:
            torch.sum(back.unflatten(2, (-1, shared)), 3, out=each)
        else:
            each.copy_(back)
    return packed.gather(rows.view(places, heads.width), space.take("joined.back", packed.size, heads.width))


def _by_head(places: Tensor, packed: Packed, heads: int) -> Tensor:
    """[rows * longest, heads * size] as [rows, heads, longest, size]."""
    return places.view(packed.rows, packed.longest, heads, -1).transpose(1, 2)


def _rows(heads: Heads, packed: Packed, joined: Tensor, space: Workspace) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values by row and head; keys and values once for every query head that shares them."""
    places = packed.spread(joined, space.take("rows.joined", packed.rows * packed.longest, heads.width))
    query, key, value = places.view(packed.rows, packed.longest, heads.width).split(heads.columns, dim=2)
    found = [query.unflatten(2, (heads.queries, heads.size)).transpose(1, 2)]
    shared = heads.queries // heads.keys
    for name, part in (("key", key), ("value", value)):
        each = part.unflatten(2, (heads.keys, heads.size))
        if shared > 1:
            wide = space.take(f"rows.{name}", packed.rows, packed.longest, heads.keys, shared, heads.size)
            each = wide.copy_(each.unsqueeze(3)).flatten(2, 3)
        found.append(each.transpose(1, 2))
    return found[0], found[1], found[2]
