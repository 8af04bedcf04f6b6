"""Owns how the rows of a micro-batch lie in memory. Invariant: what is computed at a place depends on the tokens before it alone, so rows
that begin alike (a system prompt, a document) share those places, and their gradients add up as if every row had its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

WORTH = 0.97  # share of the padded places above which gathering costs more than it saves


@dataclass(frozen=True)
class Packed:
    """T tokens that are computed, out of `rows` times `longest` places."""

    ids: Tensor  # [T]
    positions: Tensor  # [T] place in its row
    rows: int
    longest: int
    index: Tensor | None = None  # [rows * longest] which token each place is; padding is any. None: T is all places in order
    home: Tensor | None = None  # [T] the first place of each token
    shared: bool = False  # some token has several places
    wanted: Tensor | None = None  # [n] the tokens whose states are asked for, in order; None: all

    @property
    def size(self) -> int:
        """T."""
        return len(self.ids)

    @property
    def n_wanted(self) -> int:
        return self.size if self.wanted is None else len(self.wanted)

    def asked(self, learned: Tensor) -> tuple[Packed, Tensor]:
        """The same with only those tokens wanted that predict a `learned` one, and which of them predicts each, in the order of reading."""
        marked = learned[:, 1 : self.longest + 1]
        places = torch.arange(self.rows * self.longest, device=learned.device).view(self.rows, self.longest)[:, : marked.shape[1]][marked]
        tokens = places if self.index is None else self.index[places]
        if learned.is_meta:
            return replace(self, wanted=tokens), tokens
        wanted, sources = torch.unique(tokens, return_inverse=True)
        return replace(self, wanted=wanted), sources

    def spread(self, values: Tensor, out: Tensor) -> Tensor:
        """`values` [T, n] at every place: `out` [rows * longest, n], or the values themselves where the places are the tokens."""
        return values if self.index is None else torch.index_select(values, 0, self.index, out=out)

    def gather(self, places: Tensor, out: Tensor) -> Tensor:
        """Sum over the places of each token: [rows * longest, n] -> `out` [T, n]. Padding must hold zeros."""
        if self.index is None or self.home is None:
            return out.copy_(places)
        if not self.shared:
            return torch.index_select(places, 0, self.home, out=out)
        return out.zero_().index_add_(0, self.index, places)

    def first(self, places: Tensor, out: Tensor) -> Tensor:
        """The value at the first place of each token: what depends on what comes before alone is alike at all of them."""
        return out.copy_(places) if self.home is None else torch.index_select(places, 0, self.home, out=out)

    def at_first(self, values: Tensor, out: Tensor) -> Tensor:
        """The other way: `values` [T, n] at the first places and zero at the others, `out` [rows * longest, n]."""
        return values if self.home is None else out.zero_().index_copy_(0, self.home, values)


def pack(ids: Tensor, learned: Tensor) -> Packed:
    """Rows `ids` [rows, longest], each up to the token before the last that is `learned` from: nothing after it has a say in the loss."""
    rows, longest = ids.shape
    if ids.is_meta:
        return _padded(ids, max(1, longest - 1))  # a last token is never read
    marks = learned.long() * torch.arange(longest, device=ids.device)
    lengths = marks.amax(1).clamp(min=1).tolist()  # [rows] tokens needed of each
    longest = max(lengths)
    found = _beginnings(ids.tolist(), lengths, longest)
    if len(found.ids) > WORTH * rows * longest:
        return _padded(ids, longest)
    shared = len(found.ids) < sum(lengths)
    return Packed(
        torch.tensor(found.ids), torch.tensor(found.places), rows, longest, torch.tensor(found.index), torch.tensor(found.home), shared
    )


def _padded(ids: Tensor, longest: int) -> Packed:
    places = torch.arange(longest, device=ids.device).repeat(len(ids))
    return Packed(ids[:, :longest].reshape(-1), places, len(ids), longest)


@dataclass(frozen=True)
class _Beginnings:
    ids: list[int]
    places: list[int]
    home: list[int]
    index: list[int]


def _beginnings(rows: Sequence[Sequence[int]], lengths: Sequence[int], longest: int) -> _Beginnings:
    """Every distinct beginning of a row is a token to compute, known by the beginning it continues and its last token."""
    number: dict[tuple[int, int], int] = {}
    found = _Beginnings([], [], [], [0] * (len(rows) * longest))
    for row, (ids, length) in enumerate(zip(rows, lengths, strict=True)):
        before, start = -1, row * longest
        for place in range(length):
            key = (before, ids[place])
            at = number.get(key)
            if at is None:
                at = number[key] = len(found.ids)
                found.ids.append(ids[place])
                found.places.append(place)
                found.home.append(start + place)
            found.index[start + place] = before = at
    return found
