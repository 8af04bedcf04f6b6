"""Owns causal attention over rows, forward and backward, by torch's own kernel for processors (Dao 2023).

Rows are [rows, longest] places; queries, keys and values lie side by side in one matrix, with fewer heads of keys than of queries where
the model shares them (Ainslie et al. 2023). All of it is computed in fp32: the kernel's way back takes twice as long in 16 bits.
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

    def turned(self, joined: Tensor) -> tuple[Tensor, Tensor]:
        """The queries and keys of `joined` [T, width] by head: [T, heads, size] each, the same memory."""
        query, key, _ = joined.split(self.columns, 1)
        return query.unflatten(1, (self.queries, self.size)), key.unflatten(1, (self.keys, self.size))


def attend(heads: Heads, packed: Packed, joined: Tensor, space: Workspace, name: str) -> Tensor:
    """What each token takes from those before it, [T, queries * size], from `joined` [T, width].

    It stays as `name`.taken, with the logarithms of its sums as `name`.sums, for the way back.
    """
    query, key, value = _rows(heads, packed, joined, space)
    out, sums = _forward(query, key, value, 0.0, is_causal=True, scale=heads.scale)
    space.take(f"{name}.sums", *sums.shape, dtype=torch.float32).copy_(sums)
    places = out.transpose(1, 2).reshape(packed.rows * packed.longest, -1).to(joined.dtype)
    return packed.first(places, space.take(f"{name}.taken", packed.size, heads.queries * heads.size))


def attend_back(heads: Heads, packed: Packed, way: tuple[Tensor, Tensor], gradient: Tensor, space: Workspace, name: str) -> Tensor:
    """The gradient of `joined` [T, width], from what `attend` was given and gave, (joined, taken), and the gradient of `taken`."""
    joined, taken = way
    query, key, value = _rows(heads, packed, joined, space)
    sums = space.take(f"{name}.sums", packed.rows, heads.queries, packed.longest, dtype=torch.float32)
    places, wide = packed.rows * packed.longest, heads.queries * heads.size
    out = _by_head(_exact(packed.spread(taken, space.take("rows.taken", places, wide)), space, "taken"), packed, heads.queries)
    outgoing = packed.at_first(gradient, space.take("rows.gradient", places, wide))
    outgoing = _by_head(_exact(outgoing, space, "gradient"), packed, heads.queries)
    found = _backward(outgoing, query, key, value, out, sums, 0.0, is_causal=True, scale=heads.scale)
    rows = space.take("rows.back", packed.rows, packed.longest, heads.width, dtype=torch.float32)
    for part, into in zip(found, rows.split(heads.columns, dim=2), strict=True):
        back = part.transpose(1, 2)  # [rows, longest, heads, size]
        each = into.unflatten(2, (-1, heads.size))
        shared = back.shape[2] // each.shape[2]
        if shared > 1:
            torch.sum(back.unflatten(2, (-1, shared)), 3, out=each)
        else:
            each.copy_(back)
    exact = packed.gather(rows.view(places, heads.width), space.take("joined.exact", packed.size, heads.width, dtype=torch.float32))
    return exact if joined.dtype == torch.float32 else space.take("joined.back", packed.size, heads.width).copy_(exact)


def _exact(places: Tensor, space: Workspace, name: str) -> Tensor:
    """The same in fp32."""
    return places if places.dtype == torch.float32 else space.take(f"rows.{name}.exact", *places.shape, dtype=torch.float32).copy_(places)


def _by_head(places: Tensor, packed: Packed, heads: int) -> Tensor:
    """[rows * longest, heads * size] as [rows, heads, longest, size]."""
    return places.view(packed.rows, packed.longest, heads, -1).transpose(1, 2)


def _rows(heads: Heads, packed: Packed, joined: Tensor, space: Workspace) -> tuple[Tensor, Tensor, Tensor]:
    """Queries, keys and values by row and head; keys and values once for every query head that shares them."""
    places = _exact(packed.spread(joined, space.take("rows.joined", packed.rows * packed.longest, heads.width)), space, "joined")
    query, key, value = places.view(packed.rows, packed.longest, heads.width).split(heads.columns, dim=2)
    found = [query.unflatten(2, (heads.queries, heads.size)).transpose(1, 2)]
    shared = heads.queries // heads.keys
    for name, part in (("key", key), ("value", value)):
        each = part.unflatten(2, (heads.keys, heads.size))
        if shared > 1:
            wide = space.take(f"rows.{name}", packed.rows, packed.longest, heads.keys, shared, heads.size, dtype=torch.float32)
            each = wide.copy_(each.unsqueeze(3)).flatten(2, 3)
        found.append(each.transpose(1, 2))
    return found[0], found[1], found[2]
