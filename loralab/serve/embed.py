"""Owns turning a text into numbers: the mean over its tokens of what the last layer says, of length one (mean pooling, Reimers 2019).

Invariants: read from the very model that answers, with its adapter or without; a text that does not fit is refused, never cut.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from loralab.core.errors import LabError, UserError
from loralab.models.tokenize import TextEncoder
from loralab.serve.asking import too_long
from loralab.serve.generate import Finish, active_adapters


@dataclass(frozen=True)
class Vector:
    """A text as numbers: [hidden size], of length one."""

    numbers: list[float]


@torch.inference_mode()
def embed(model: nn.Module, encoder: TextEncoder, text: str) -> Generator[Vector, None, Finish]:
    """The Vector of a text, in fp32; the generator's return value is the Finish. Raises UserError for one that is empty or too long."""
    bare: Any = model.get_base_model() if hasattr(model, "get_base_model") else model  # type: ignore[operator]
    context = int(getattr(bare.config, "max_position_embeddings", 0) or 1 << 30)
    ids = encoder.text_ids(text)
    if not ids:
        raise UserError("There is no text.", "Send at least one word.", code="no_text")
    if len(ids) > context:
        raise too_long(len(ids), context)
    tokens = torch.tensor([ids], device=next(bare.parameters()).device)
    last = bare.base_model(input_ids=tokens, use_cache=False).last_hidden_state[0]  # without the head: nobody asks for a next word
    mean = last.float().mean(0).cpu()
    if not torch.isfinite(mean).all():
        raise LabError("The model's numbers broke while it was reading.", "Try full precision (fp32).", code="non_finite")
    yield Vector(torch.nn.functional.normalize(mean, dim=0).tolist())
    return Finish("stop", len(ids), 0, active_adapters(model))
