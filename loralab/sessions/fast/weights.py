"""Owns the matrices of a frozen layer with the adapter in them (Hu et al. 2021: W + s B A), one layer's at a time in memory that stays.

The sum is made in fp32, so that one product is left where the layer alone takes one; a base in 4 or 8 bits is unpacked into the same memory
first. In 16 bits the sum would round the adapter away: there it stays a product of its own beside the layer's. Invariant: the base's own
weights are never written to.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D

from loralab.runtimes.four_bits import is_squeezed, unpacked
from loralab.sessions.fast.products import across, times
from loralab.sessions.fast.workspace import Workspace

LARGE = 32 * 2**20  # numbers of a sum that is made at once


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter of one matrix: `down` A [r, in], `up` B [out, r], `scale` s."""

    down: Tensor
    up: Tensor
    scale: float

    def to(self, dtype: torch.dtype) -> Adapter:
        """The same in the numbers that go through the layers."""
        return self if self.down.dtype == dtype else Adapter(self.down.to(dtype), self.up.to(dtype), self.scale)


class Linear:
    """One linear layer of the model, with the adapter it has at the moment, if any."""

    def __init__(self, module: Any) -> None:
        self.module = module
        self.base: Any = getattr(module, "base_layer", module)
        self.flipped = type(self.base) is Conv1D  # GPT-2's layers hold their matrix the other way round
        self.n_out, self.n_in = (self.base.nf, self.base.nx) if self.flipped else (self.base.out_features, self.base.in_features)

    @property
    def weight(self) -> Tensor:
        """[n_out, n_in], or what it was squeezed into."""
        return self.base.weight.t() if self.flipped else self.base.weight

    @property
    def adapter(self) -> Adapter | None:
        """None where the layer has no adapter, or it is switched off."""
        names = getattr(self.module, "active_adapters", ())
        if not names or self.module.disable_adapters or names[0] not in self.module.lora_A:
            return None
        name = names[0]
        return Adapter(self.module.lora_A[name].weight, self.module.lora_B[name].weight, float(self.module.scaling[name]))

    @property
    def bias(self) -> Tensor | None:
        return self.base.bias


def is_plain(module: Any) -> bool:
    """Whether a module is a frozen linear layer, alone or under one ordinary LoRA adapter."""
    base = getattr(module, "base_layer", module)
    if base.weight.requires_grad or not (type(base) in (nn.Linear, Conv1D) or is_squeezed(base.weight)):
        return False
    if base is module:
        return True
    names = list(getattr(module, "active_adapters", ()))
    if len(names) != 1 or getattr(module, "merged", False) or not hasattr(module, "lora_A"):
        return False
    name = names[0]
    special = any(getattr(module, flag, {}).get(name) for flag in ("use_dora", "lora_bias"))
    variant = getattr(module, "lora_variant", {}).get(name)
    return not special and variant is None and name in module.lora_A and type(module.lora_A[name]) is nn.Linear


def has_dropout(module: Any) -> bool:
    """Whether the adapter of a layer drops out while learning."""
    return any(getattr(drop, "p", 0.0) > 0 for drop in getattr(module, "lora_dropout", {}).values())


class Joined:
    """Linear layers that read the same input, as one matrix [sum of out, in]."""

    def __init__(self, modules: Sequence[Any]) -> None:
        self.parts = [Linear(module) for module in modules]
        self.n_in = self.parts[0].n_in
        self.n_out = sum(part.n_out for part in self.parts)
        ends = [sum(part.n_out for part in self.parts[: i + 1]) for i in range(len(self.parts))]
        self.columns = [slice(end - part.n_out, end) for part, end in zip(self.parts, ends, strict=True)]
        self.stays = False  # the sum of a pass stays for its way back: of small models, where making it is much of the work

    def parameters(self) -> list[Tensor]:
        """What learns of these layers, in the order in which `gradients` gives theirs."""
        return [tensor for part in self.parts if (adapter := part.adapter) for tensor in (adapter.down, adapter.up)]

    def product(self, space: Workspace, inputs: Tensor, out: Tensor, add: Tensor | None = None) -> Tensor:
        """What comes out of the layers, with `add`, from what goes in [T, n_in]: `out` [T, n_out]."""
        for columns, matrix in self._matrices(space, back=False):
            times(inputs, matrix.t(), out[:, columns], add=None if add is None else add[:, columns])
        if splits(space.dtype) and (having := self._having(space.dtype)):
            for adapter, columns, read in self._read(space, inputs, having):
                times(read, adapter.up.t(), here := out[:, columns], add=here, alpha=adapter.scale)
        for part, columns in zip(self.parts, self.columns, strict=True):
            if part.bias is not None:
                out[:, columns].add_(part.bias)
        return out

    def product_back(self, space: Workspace, outgoing: Tensor, out: Tensor) -> Tensor:
        """The gradient of what went in, `out` [T, n_in], from that of what came out [T, n_out], in the memory of the same pass.

        `gradients` is asked first, with the same `outgoing`.
        """
        for columns, matrix in self._matrices(space, back=True):
            times(outgoing[:, columns], matrix, out, add=out if columns.start else None)
        if splits(space.dtype) and (having := self._having(space.dtype)):
            ranks = sum(len(adapter.down) for adapter, _ in having)
            times(space.take("thin.back", len(outgoing), ranks), torch.cat([adapter.down for adapter, _ in having]), out, add=out)
        return out

    def _matrices(self, space: Workspace, *, back: bool) -> Iterator[tuple[slice, Tensor]]:
        """The layers' weights, adapters included where they are summed, [n_out, n_in], with the columns of the output they make: all at
        once, or, where that would be large, a layer at a time. Each is good until the next is asked for.
        """
        if splits(space.dtype):
            for part, columns in zip(self.parts, self.columns, strict=True):
                weight = part.weight
                yield columns, unpacked(weight, space.take("matrix", part.n_out, part.n_in)) if is_squeezed(weight) else weight
            return
        if len(self.parts) == 1 and self.parts[0].adapter is None and not is_squeezed(self.parts[0].weight):
            yield self.columns[0], self.parts[0].weight
            return
        name, size = f"matrix.{id(self)}" if self.stays else "matrix", self.n_out * self.n_in
        if size > LARGE:
            for part, columns in zip(self.parts, self.columns, strict=True):
                yield columns, _summed(part, space.take(name, part.n_out, part.n_in))
            return
        whole = space.take(name, self.n_out, self.n_in)
        if not (back and self.stays):
            for part, rows in zip(self.parts, self.columns, strict=True):
                _summed(part, whole[rows])
        yield slice(0, self.n_out), whole

    def gradients(self, space: Workspace, inputs: Tensor, outgoing: Tensor) -> list[Tensor]:
        """Gradients of the adapters' A and B, from what went in [T, n_in] and the gradient of what came out [T, n_out].

        dB = s dYᵀ (X Aᵀ), dA = s (dY B)ᵀ X; the A of all parts side by side, so that each thin product is made once.
        """
        having = self._having(space.dtype)
        if not having:
            return []
        ranks = [len(adapter.down) for adapter, _ in having]
        back = space.take("thin.back", len(inputs), sum(ranks))
        ups: list[Tensor] = []
        for (adapter, columns, read), here in zip(self._read(space, inputs, having), _slices(ranks), strict=True):
            ups.append(across(outgoing[:, columns], read).mul_(adapter.scale))
            times(outgoing[:, columns], adapter.up * adapter.scale, back[:, here])
        down_gradients = across(back, inputs).split(ranks)
        return [tensor for pair in zip(down_gradients, ups, strict=True) for tensor in pair]

    def _having(self, dtype: torch.dtype) -> list[tuple[Adapter, slice]]:
        """The adapters there are, with the columns they have a say in."""
        pairs = zip(self.parts, self.columns, strict=True)
        return [(adapter.to(dtype), columns) for part, columns in pairs if (adapter := part.adapter) is not None]

    def _read(self, space: Workspace, inputs: Tensor, having: list[tuple[Adapter, slice]]) -> Iterator[tuple[Adapter, slice, Tensor]]:
        """Each adapter with X Aᵀ [T, r], what it reads from what goes in."""
        ranks, downs = [len(adapter.down) for adapter, _ in having], torch.cat([adapter.down for adapter, _ in having])
        read = times(inputs, downs.t(), space.take("thin.read", len(inputs), sum(ranks)))
        for (adapter, columns), each in zip(having, read.split(ranks, 1), strict=True):
            yield adapter, columns, each


def splits(dtype: torch.dtype) -> bool:
    """Whether adapters stay beside the weights, because their sum would be rounded."""
    return dtype != torch.float32


def _summed(part: Linear, out: Tensor) -> Tensor:
    """W + s B A in `out`."""
    adapter, weight = part.adapter, part.weight
    if is_squeezed(weight):
        unpacked(weight, out)
        return out if adapter is None else out.addmm_(adapter.up, adapter.down, alpha=adapter.scale)
    return out.copy_(weight) if adapter is None else torch.addmm(weight, adapter.up, adapter.down, alpha=adapter.scale, out=out)


def _slices(lengths: Sequence[int]) -> list[slice]:
    starts = [sum(lengths[:i]) for i in range(len(lengths))]
    return [slice(start, start + length) for start, length in zip(starts, lengths, strict=True)]
