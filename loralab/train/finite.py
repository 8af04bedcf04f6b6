"""Owns whether weights are whole: every number finite. Invariant: what is not whole is not written."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from loralab.core.errors import RunFailed


def broken_tensor(tensors: Mapping[str, Tensor]) -> str:
    """Name of the first tensor that holds a number that is not finite, or nothing. Whole numbers (4-bit weights) always are."""
    return next((name for name, tensor in tensors.items() if tensor.is_floating_point() and not bool(tensor.isfinite().all())), "")


def broken_base(model: nn.Module) -> str:
    """Name of a weight of the base model, as its file calls it, that is not finite; a run can do nothing about that."""
    frozen = {name: p for name, p in model.named_parameters() if not p.requires_grad}
    name = broken_tensor(frozen | dict(model.named_buffers()))
    return name.removeprefix("base_model.model.").replace(".base_layer", "")


def refuse_broken(tensors: Mapping[str, Tensor], what: str) -> None:
    """Raise RunFailed rather than let `what` be written with a number that is not finite in it."""
    if name := broken_tensor(tensors):
        said = f"The {what} was not written: {name} holds numbers that are not finite."
        raise RunFailed(said, "Resume: it goes on from the last good safety copy.", code="non_finite")
