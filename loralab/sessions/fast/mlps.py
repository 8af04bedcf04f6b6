"""Owns what lies between the two products of an MLP by hand, forward and backward."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from loralab.sessions.fast.workspace import Workspace

_silu: Any = torch.ops.aten.silu.out
_silu_back: Any = torch.ops.aten.silu_backward.grad_input
_gelu: Any = torch.ops.aten.gelu.out
_gelu_back: Any = torch.ops.aten.gelu_backward.grad_input


class Middle(Protocol):
    """`wide` [n, width] of the first product -> `inner` [n, inner] for the second."""

    def __call__(self, wide: Tensor, inner: int, space: Workspace) -> Tensor: ...

    def again(self, wide: Tensor, inner: int, space: Workspace) -> Tensor:
        """The same once more, for `back` to follow."""
        ...

    def back(self, wide: Tensor, into: Tensor, space: Workspace) -> Tensor:
        """The gradient of `wide` from `into`, that of `inner`, which is used up."""
        ...


class Gated:
    """silu(gate) * up (Shazeer 2020)."""

    def __call__(self, wide: Tensor, inner: int, space: Workspace) -> Tensor:
        gate, up = wide.split(inner, 1)
        return _silu(gate, out=space.take("inner", len(wide), inner)).mul_(up)

    def again(self, wide: Tensor, inner: int, space: Workspace) -> Tensor:
        gate, up = wide.split(inner, 1)
        active = _silu(gate, out=space.take("active", len(wide), inner))
        return torch.mul(active, up, out=space.take("inner", len(wide), inner))

    def back(self, wide: Tensor, into: Tensor, space: Workspace) -> Tensor:
        inner = into.shape[1]
        gate, up = wide.split(inner, 1)
        found = space.take("wide.back", *wide.shape)
        gate_back, up_back = found.split(inner, 1)
        torch.mul(into, space.take("active", len(wide), inner), out=up_back)
        _silu_back(into.mul_(up), gate, grad_input=gate_back)
        return found


class Gelu:
    """GELU in its form with a hyperbolic tangent (Hendrycks & Gimpel 2016), as GPT-2 has it."""

    def __call__(self, wide: Tensor, inner: int, space: Workspace) -> Tensor:
        return _gelu(wide, approximate="tanh", out=space.take("inner", len(wide), inner))

    def again(self, wide: Tensor, inner: int, space: Workspace) -> Tensor:
        return self(wide, inner, space)

    def back(self, wide: Tensor, into: Tensor, space: Workspace) -> Tensor:
        return _gelu_back(into, wide, approximate="tanh", grad_input=space.take("wide.back", *wide.shape))
