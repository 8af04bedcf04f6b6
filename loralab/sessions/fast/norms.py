"""Owns the norms of the blocks by hand, forward and backward. What has to be exact for a whole row is fp32 whatever the states are."""

from __future__ import annotations

from typing import Any, Protocol

import torch
from torch import Tensor

from loralab.sessions.fast.workspace import Workspace

_layer_norm: Any = torch.ops.aten.native_layer_norm.out
_layer_norm_back: Any = torch.ops.aten.native_layer_norm_backward


class Norm(Protocol):
    """Of states [n, hidden]; what a row was divided by stays under `name`."""

    weight: Tensor

    def __call__(self, x: Tensor, space: Workspace, name: str) -> Tensor: ...

    def again(self, x: Tensor, space: Workspace, name: str) -> Tensor:
        """The same once more."""
        ...

    def back(self, gradient: Tensor, x: Tensor, into: Tensor, space: Workspace, name: str) -> None:
        """Adds the gradient of `x` to `into`; `gradient`, of what came out, is used up."""
        ...


class RmsNorm:
    """Root mean square norm (Zhang & Sennrich 2019)."""

    def __init__(self, module: Any) -> None:
        self.weight, self.eps = module.weight, module.variance_epsilon

    def __call__(self, x: Tensor, space: Workspace, name: str) -> Tensor:
        exact = _exact(x, space, "x")
        inverse = torch.linalg.vector_norm(exact, dim=1, keepdim=True, out=space.take(name, len(x), 1, dtype=torch.float32)).square_()
        inverse.div_(x.shape[1]).add_(self.eps).rsqrt_()
        return self._normed(exact, inverse, space)

    def again(self, x: Tensor, space: Workspace, name: str) -> Tensor:
        return self._normed(_exact(x, space, "x"), space.take(name, len(x), 1, dtype=torch.float32), space)

    def _normed(self, exact: Tensor, inverse: Tensor, space: Workspace) -> Tensor:
        out = space.take("normed", *exact.shape)
        if out.dtype == exact.dtype:
            return torch.mul(exact, inverse, out=out).mul_(self.weight)
        return out.copy_(exact.mul_(inverse)).mul_(self.weight)

    def back(self, gradient: Tensor, x: Tensor, into: Tensor, space: Workspace, name: str) -> None:
        inverse = space.take(name, len(x), 1, dtype=torch.float32)
        outer, exact = _exact(gradient.mul_(self.weight), space, "outer"), _exact(x, space, "x")
        along = torch.mul(outer, exact, out=space.take("along", *x.shape, dtype=torch.float32)).sum(1, keepdim=True)
        along.mul_(inverse.pow(3)).div_(-x.shape[1])
        total = _exact(into, space, "into").addcmul_(outer, inverse).addcmul_(exact, along)
        if total is not into:
            into.copy_(total)


def _exact(values: Tensor, space: Workspace, name: str) -> Tensor:
    """The same in fp32: 16 bits of a scale would be wrong for its whole row, and numbers of two kinds at once make memory of their own."""
    return values if values.dtype == torch.float32 else space.take(f"exact.{name}", *values.shape, dtype=torch.float32).copy_(values)


class HeadNorm:
    """The same of every head by itself, [T, heads, size] (Qwen3), without memory that stays."""

    def __init__(self, module: Any) -> None:
        self.weight, self.eps = module.weight, module.variance_epsilon

    def __call__(self, heads: Tensor) -> Tensor:
        """In place."""
        return heads.copy_((heads.float() * self._inverse(heads)).mul_(self.weight))

    def back(self, gradient: Tensor, heads: Tensor) -> None:
        """Turns the gradient of what came out into that of `heads`, in place."""
        inverse, exact = self._inverse(heads), heads.float()
        outer = gradient.float() * self.weight.float()
        along = (outer * exact).sum(-1, keepdim=True).mul_(inverse.pow(3)).div_(-heads.shape[-1])
        gradient.copy_(outer.mul_(inverse).addcmul_(exact, along))

    def _inverse(self, heads: Tensor) -> Tensor:
        squares = torch.linalg.vector_norm(heads, dim=-1, keepdim=True, dtype=torch.float32).square_()
        return squares.div_(heads.shape[-1]).add_(self.eps).rsqrt_()


class LayerNorm:
    """Layer norm (Ba et al. 2016), by torch's own kernels."""

    def __init__(self, module: Any) -> None:
        self.weight, self.bias, self.eps = module.weight, module.bias, module.eps

    def __call__(self, x: Tensor, space: Workspace, name: str) -> Tensor:
        out, mean, inverse = space.take("normed", *x.shape), space.take(f"{name}.mean", len(x), 1), space.take(name, len(x), 1)
        _layer_norm(x, x.shape[1:], self.weight, self.bias, self.eps, out0=out, out1=mean, out2=inverse)
        return out

    def again(self, x: Tensor, space: Workspace, name: str) -> Tensor:
        return self(x, space, name)

    def back(self, gradient: Tensor, x: Tensor, into: Tensor, space: Workspace, name: str) -> None:
        mean, inverse = space.take(f"{name}.mean", len(x), 1), space.take(name, len(x), 1)
        found, _, _ = _layer_norm_back(gradient, x, x.shape[1:], mean, inverse, self.weight, self.bias, [True, False, False])
        into.add_(found)
