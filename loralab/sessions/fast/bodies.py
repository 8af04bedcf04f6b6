"""Which models are computed by hand, and the step between autograd and that. Invariant: a body is used only if its states agree with the
library's own on this very model.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from loralab.core.records import Recompute
from loralab.sessions.fast.llama import Keep, LlamaBody
from loralab.sessions.fast.packing import Packed, pack
from loralab.sessions.fast.weights import has_dropout, is_plain
from loralab.sessions.fast.workspace import Workspace

KEEPS: dict[Recompute, Keep] = {"none": "all", "selective": "costly", "full": "input"}
_LLAMAS = ("LlamaModel", "MistralModel", "Qwen2Model")
_PARTS = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
STAYS = 4 * 2**20  # bytes of a block's matrices up to which a pass keeps the sums of all blocks for its way back
TRIED = (11, 5)  # tokens of the rows on which a body and the library must agree


class Body:
    """States of a model by hand: the same as `model(input_ids=...).last_hidden_state` at the tokens of a `Packed`."""

    def __init__(self, written: LlamaBody, dtype: torch.dtype, device: torch.device) -> None:
        self.written, self.dtype, self.device = written, dtype, device
        self.recompute: Recompute = "none"
        self.drops_out = False  # adapters that drop out while learning are the library's to compute
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
    layers = getattr(inside, "layers", None)
    if type(inside).__name__ not in _LLAMAS or not layers or not _is_usual(inside.config):
        return None
    weight, computed = inside.embed_tokens.weight, inside.norm.weight.dtype
    if computed != torch.float32 or weight.device.type not in ("cpu", "meta") or weight.requires_grad:
        return None
    modules = [module for layer in layers for module in _linears(layer)]
    if len(modules) != len(layers) * len(_PARTS) or not all(is_plain(module) for module in modules) or _is_watched(layers):
        return None
    body = Body(LlamaBody(inside), computed, weight.device)
    body.drops_out = any(has_dropout(module) for module in modules)
    if not weight.is_meta and not _agrees(inside, body):
        return None
    for block in body.written.blocks:
        stays = sum(each.n_out * each.n_in for each in block.joined) * computed.itemsize <= STAYS
        for each in block.joined:
            each.stays = stays
    return body


def _linears(layer: Any) -> list[Any]:
    return [module for name, module in layer.named_modules() if name.rsplit(".", 1)[-1] in _PARTS and "lora" not in name]


def _is_watched(layers: Any) -> bool:
    """Whether somebody hangs on the library's modules, who would see nothing."""
    return any(module._forward_hooks or module._forward_pre_hooks for module in layers.modules())  # noqa: SLF001


def _is_usual(config: Any) -> bool:
    """Whether nothing in the settings asks for more than the blocks do."""
    rope = getattr(config, "rope_parameters", None) or {}
    windows = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
    if getattr(config, "_attn_implementation", None) == "eager":  # asked for where the fast kernel fails
        return False
    if getattr(config, "attention_dropout", 0):
        return False
    return rope.get("rope_type", "default") in ("default", "llama3", "linear") and config.hidden_act == "silu" and not windows


@torch.no_grad()
def _agrees(model: Any, body: Body) -> bool:
    """Whether two short rows come out of the first two blocks as the library has them."""
    longest = max(TRIED)
    ids = (torch.arange(len(TRIED) * longest).view(len(TRIED), longest) * 7919) % model.config.vocab_size
    learned = torch.zeros_like(ids, dtype=torch.bool)
    for row, length in enumerate(TRIED):
        learned[row, length - 1] = True
    depth, training = model.config.num_hidden_layers, model.training
    packed = pack(ids, learned)
    model.eval()
    model.config.num_hidden_layers = min(2, depth)
    try:
        theirs = model(input_ids=ids, use_cache=False).last_hidden_state
    finally:
        model.config.num_hidden_layers = depth
        model.train(training)
    ours = body.written.forward(packed, body.borrow(), keep="", depth=2)
    rows = torch.arange(packed.size) if packed.home is None else packed.home
    expected = theirs[rows // packed.longest, rows % packed.longest]
    return torch.allclose(ours, expected, rtol=1e-3, atol=1e-3 * float(expected.abs().max()))
