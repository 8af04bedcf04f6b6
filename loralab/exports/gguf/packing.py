"""One tensor's numbers as the bytes of a type: the k-quants by ggml itself where it can be called, the rest ours.

Invariant: a number that a type cannot hold is an error, never an infinity in the file.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gguf
import numpy as np

from loralab.core.errors import UserError

Q = gguf.GGMLQuantizationType
K_QUANTS = (Q.Q2_K, Q.Q3_K, Q.Q4_K, Q.Q5_K, Q.Q6_K)  # packed by ggml
OURS = (Q.Q4_K, Q.Q5_K, Q.Q6_K)  # of them, what we pack where ggml cannot be called
ROWS = 2048  # packed at once: bounds the memory, whatever the size of a matrix
HALF_MAX = 65504.0
Foreign = Callable[[str, int, bytes], bytes]  # type, columns, fp32 numbers -> packed


def byte_shape(shape: tuple[int, ...], kind: gguf.GGMLQuantizationType) -> tuple[int, ...]:
    """Shape in bytes of a packed tensor, in numbers for F32 and F16."""
    return shape if kind in (Q.F32, Q.F16) else gguf.quants.quant_shape_to_byte_shape(shape, kind)


def packed(values: Any, kind: gguf.GGMLQuantizationType, foreign: Foreign | None) -> Any:
    """A torch tensor [out, in] or [n] as numpy in the layout of `kind`. Raises UserError for numbers that do not fit."""
    import torch

    if not torch.isfinite(values).all():
        raise UserError("This model holds numbers that are not finite.", "Train it again with a smaller learning rate.", code="non_finite")
    if kind == Q.F32:
        return values.float().contiguous().numpy()
    if kind == Q.F16 and float(values.abs().max()) > HALF_MAX:
        raise UserError("Some weights are too large for F16.", "Choose BF16 instead.", code="too_large_for_f16")
    parts = [_rows(part.float().contiguous(), kind, foreign) for part in values.split(ROWS)]
    return np.concatenate(parts)


def _rows(values: Any, kind: gguf.GGMLQuantizationType, foreign: Foreign | None) -> Any:
    from loralab.exports.gguf import kquants

    if kind in K_QUANTS and foreign:
        raw = foreign(kind.name, values.shape[1], values.numpy().tobytes())
        return np.frombuffer(raw, np.uint8).reshape(values.shape[0], -1)
    if kind in OURS:
        return kquants.pack(values, kind.name).numpy()
    if kind in K_QUANTS:
        raise RuntimeError(f"{kind.name} needs llama.cpp")
    return gguf.quants.quantize(values.numpy(), kind)
