"""The memory modes of a language model: what is kept for the way back, forgotten and done again, or put into main memory.

Invariant: a mode changes memory and time, never the loss or a gradient; it can be changed between any two micro-batches.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any

import torch
from torch.utils.checkpoint import CheckpointPolicy, create_selective_checkpoint_contexts
from transformers import PreTrainedModel

from loralab.core.errors import Unavailable
from loralab.core.records import Recompute

_aten = torch.ops.aten
_PRODUCTS = {_aten.mm.default: 1, _aten.addmm.default: 2}  # operation -> which argument is the matrix of weights
_ATTENTION = {
    _aten._scaled_dot_product_flash_attention_for_cpu.default,  # noqa: SLF001  (torch's own names of its kernels)
    _aten._scaled_dot_product_flash_attention.default,  # noqa: SLF001
    _aten._scaled_dot_product_efficient_attention.default,  # noqa: SLF001
    _aten._scaled_dot_product_cudnn_attention.default,  # noqa: SLF001
    _aten._scaled_dot_product_fused_attention_overrideable.default,  # noqa: SLF001
}


def set_mode(model: PreTrainedModel, mode: Recompute, rank: int) -> None:
    """Let every block of `model` keep everything (none), products and attention (selective) or its input alone (full).

    `rank` of the adapter tells its thin products from the base model's: those are as cheap to do again as an addition, and as large to
    keep as the costly ones. Raises Unavailable when the model's code knows no recomputation.
    """
    if mode == "none":
        model.gradient_checkpointing_disable() if _old(model) else model.activation_checkpointing_disable()
        return
    settings: dict[str, Any] = {"use_reentrant": False}
    if mode == "selective":
        settings["context_fn"] = partial(create_selective_checkpoint_contexts, _policy(rank))
    try:
        model.gradient_checkpointing_enable(settings) if _old(model) else model.activation_checkpointing_enable(settings)
    except ValueError as error:
        what, todo = "This model cannot forget and compute again.", "Set recompute to none, and fewer tokens at once."
        raise Unavailable(what, todo, code="no_recompute") from error


def _old(model: PreTrainedModel) -> bool:
    """The name transformers gave these methods up to 5.20."""
    return not hasattr(model, "activation_checkpointing_enable")


def _policy(rank: int) -> Callable[..., CheckpointPolicy]:
    """What is costly to do again: products with the base model's matrices, and attention."""

    def keep(_: Any, operation: Any, *arguments: Any, **_named: Any) -> CheckpointPolicy:
        at = _PRODUCTS.get(operation)
        costly = operation in _ATTENTION if at is None else min(arguments[at].shape) > rank
        return CheckpointPolicy.MUST_SAVE if costly else CheckpointPolicy.PREFER_RECOMPUTE

    return keep


def keeping(offload: bool, where: torch.device) -> AbstractContextManager[Any]:
    """The context of a forward pass: with `offload`, what it keeps goes to main memory. On a processor it is there already."""
    if offload and where.type == "cuda":
        return torch.autograd.graph.save_on_cpu(pin_memory=True)
    return nullcontext()


def offload_words(offload: bool, where: torch.device) -> str:
    """What to tell a person who asked for offloading where it does nothing; empty where it does."""
    if not offload or where.type == "cuda":
        return ""
    return "Offload moves numbers from a graphics card to main memory. There is no such card in use, so it changes nothing here."
