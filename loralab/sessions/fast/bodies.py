"""Which models are computed by hand, and the step between autograd and that. Invariant: a body is used only if its states agree with the
library's own on this very model.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from loralab.core.records import Recompute
from loralab.sessions.fast import families
from loralab.sessions.fast.blocks import Blocks, Keep
from loralab.sessions.fast.packing import Packed, pack
from loralab.sessions.fast.weights import has_dropout, is_plain
from loralab.sessions.fast.workspace import Workspace

KEEPS: dict[Recompute, Keep] = {"none": "all", "selective": "costly", "full": "input"}
STAYS = 4 * 2**20  # bytes of a block's matrices up to which a pass keeps the sums of all blocks for its way back
TRIED = (11, 5)  # tokens of the rows on which a body and the library must agree
APART = {torch.float32: 1e-3, torch.bfloat16: 6e-2}  # and how far apart the states of a token may lie, as a share of their length


class Body:
    """States of a model by hand: the same as `model(input_ids=...).last_hidden_state` at the tokens of a `Packed`."""

    def __init__(self, written: Blocks, dtype: torch.dtype, device: torch.device) -> None:
        self.written, self.dtype, self.device = written, dtype, device
        self.recompute: Recompute = "none"
        self.drops_out = False  # what drops out while learning is the library's to compute
        self._free: list[Workspace] = []

    def states(self, packed: Packed) -> Tensor:
        """[T, hidden], differentiable with respect to the adapters."""
        return _States.apply(self, packed, torch.is_grad_enabled(), *self.written.parameters())  # type: ignore[no-any-return]

    def borrow(self) -> Workspace:
        """Memory for one pass; given back after its way back. One that never comes back is made anew."""
        return self._free.pop() if self._free else Workspace(self.dtype, self.device)

    def give_back(self, space: Workspace) -> None:
        self._free = [space]


class _States(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, body: Body, packed: Packed, learns: bool, *_parameters: Tensor) -> Tensor:
        space, keep = body.borrow(), KEEPS[body.recompute] if learns and any(ctx.needs_input_grad) else ""
        states = body.written.forward(packed, space, keep=keep).clone()
        if keep:
            ctx.body, ctx.packed, ctx.space, ctx.keep = body, packed, space, keep
        else:
            body.give_back(space)
        return states

    @staticmethod
    def backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
        found = ctx.body.written.backward(ctx.packed, ctx.space, grads[0].clone(), keep=ctx.keep)
        ctx.body.give_back(ctx.space)
        ctx.space = None
        return (None, None, None, *found)


def by_hand(model: Any) -> Body | None:
    """The body of a causal language model by hand, or None where the library's modules must do it."""
    inside = model.base_model
    layers = getattr(inside, families.layers(inside), None)
    if not layers or not families.is_usual(inside.config):
        return None
    weight = families.embedding(inside)
    if weight.device.type not in ("cpu", "meta") or weight.requires_grad:
        return None
    modules = [module for layer in layers for module in families.linears(layer)]
    if not all(is_plain(module) for module in modules) or _is_watched(layers):
        return None
    blocks = families.written(inside)
    computed = blocks.last.weight.dtype
    if computed not in APART:
        return None
    body = Body(blocks, computed, weight.device)
    body.drops_out = any(has_dropout(module) for module in modules) or families.drops_out(inside)
    if not weight.is_meta and not _agrees(inside, body):
        return None
    for block in body.written.blocks:
        stays = sum(each.n_out * each.n_in for each in block.joined) * computed.itemsize <= STAYS
        for each in block.joined:
            each.stays = stays
    return body


def _is_watched(layers: Any) -> bool:
    """Whether somebody hangs on the library's modules, who would see nothing."""
    return any(module._forward_hooks or module._forward_pre_hooks for module in layers.modules())  # noqa: SLF001


@torch.no_grad()
def _agrees(model: Any, body: Body) -> bool:
    """Whether two short rows come out of the first two blocks as the library has them."""
    longest = max(TRIED)
    ids = (torch.arange(len(TRIED) * longest).view(len(TRIED), longest) * 7919) % model.config.vocab_size
    learned = torch.zeros_like(ids, dtype=torch.bool)
    for row, length in enumerate(TRIED):
        learned[row, length - 1] = True
    name, training = families.layers(model), model.training
    whole, packed = getattr(model, name), pack(ids, learned)
    model.eval()
    setattr(model, name, whole[:2])
    try:
        theirs = model(input_ids=ids, use_cache=False).last_hidden_state
    finally:
        setattr(model, name, whole)
        model.train(training)
    ours = body.written.forward(packed, body.borrow(), keep="", depth=2)
    rows = torch.arange(packed.size) if packed.home is None else packed.home
    expected = theirs[rows // packed.longest, rows % packed.longest]
    apart = torch.linalg.vector_norm(ours - expected, dim=1, dtype=torch.float32)
    return bool((apart <= APART[body.dtype] * torch.linalg.vector_norm(expected, dim=1, dtype=torch.float32)).all())
