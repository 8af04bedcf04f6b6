"""A group norm as a graph for other programs has it: stored in the shape in which they are used, its weights keep their names."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class PlainNorm(nn.Module):
    """The same numbers as the group norm it is made of."""

    def __init__(self, norm: nn.GroupNorm) -> None:
        super().__init__()
        self.groups, self.eps = norm.num_groups, norm.eps
        self.weight = nn.Parameter(norm.weight.detach().clone()[:, None, None], requires_grad=False)
        self.bias = nn.Parameter(norm.bias.detach().clone()[:, None, None], requires_grad=False)

    def forward(self, x: Tensor) -> Tensor:
        return F.group_norm(x, self.groups, None, None, self.eps) * self.weight + self.bias


def exchange_norms(model: nn.Module) -> None:
    """Put a plain norm in the place of every group norm of a model."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.GroupNorm):
                setattr(module, name, PlainNorm(child))
