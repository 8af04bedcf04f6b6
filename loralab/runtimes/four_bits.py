"""Owns squeezed weights on a processor: squeezing a matrix to 4 bits, and the numbers that a 4-bit (NF4, FP4) or 8-bit matrix stands for,
written where the caller wants them.

Invariants: bit for bit what bitsandbytes itself squeezes to, and unpacks to where it is right; no new tensor of the matrix's size in a
wider type.

QLoRA (Dettmers 2023, section 3): a number is code[c] * absmax[block], blocks of 64 in the order of the rows, two codes a byte, the
first in the upper half. With double quantisation absmax[block] = code2[a] * absmax2[256 blocks] + offset. LLM.int8 (Dettmers 2022): a
number is c * absmax[row] / 127.

Why not the library's own calls: unpacking fills a new tensor each time, and memory that is touched for the first time costs more than the
arithmetic; squeezing holds the matrix three times in 4 bytes a number. Measured in docs/measurements/memory.md. And on processors with
AVX-512 version 0.50.2 unpacks a matrix wrongly whose rows are no whole number of blocks, so it is given one block a row.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch

_KERNELS = {torch.float32: "fp32", torch.bfloat16: "bf16", torch.float16: "fp16"}
_AVX512_LARGEST = 1024  # from blocks of 2048 on, bitsandbytes' kernel for AVX-512 is inexact, as it says itself
SLAB = 1 << 16  # numbers squeezed at once, which stay in the processor's cache


def is_squeezed(weight: torch.Tensor) -> bool:
    """Whether `weight` is a quantised matrix that `unpacked` reads."""
    state = getattr(weight, "quant_state", None)
    return state is not None or (weight.dtype == torch.int8 and getattr(weight, "SCB", None) is not None)


@torch.no_grad()
def unpacked(weight: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """The numbers of a squeezed `weight` in `out`, which it returns: [out_features, in_features], fp32, bf16 or fp16, the same device.

    `weight` is a Params4bit or Int8Params of bitsandbytes that holds its quantisation. Raises ValueError where it does not, where the
    shapes differ, and where `out` is not contiguous.
    """
    state: Any = getattr(weight, "quant_state", None)
    if not is_squeezed(weight) or not out.is_contiguous():
        raise ValueError("a quantised weight and a contiguous buffer")
    if tuple(out.shape) != tuple(weight.shape if state is None else state.shape):
        raise ValueError(f"{tuple(out.shape)} is not the shape of the weight")
    if state is None:
        return _eight(weight, out)
    return _written(weight.data, absmax(state), state.blocksize, state.quant_type, out)


def _written(packed: torch.Tensor, scales: torch.Tensor, blocksize: int, kind: str, out: torch.Tensor) -> torch.Tensor:
    """The numbers of `packed` codes in `out`, contiguous, of any shape."""
    if out.device.type != "cpu":
        torch.ops.bitsandbytes.dequantize_4bit.out(packed, scales, blocksize, kind, tuple(out.shape), out.dtype, out=out)
        return out
    from bitsandbytes.cextension import lib  # noqa: PLC0415  (an optional part)

    flat = out.view(-1)
    whole = len(flat) // blocksize if blocksize <= _AVX512_LARGEST else 0
    if whole:
        kernel = getattr(lib, f"cdequantize_blockwise_cpu_{kind}_{_KERNELS[out.dtype]}")
        places = (ctypes.c_void_p(tensor.data_ptr()) for tensor in (packed, scales, flat))
        kernel(*places, *(ctypes.c_longlong(size) for size in (blocksize, whole, blocksize)))
    if (rest := flat[whole * blocksize :]).numel():
        from bitsandbytes.functional import get_4bit_type  # noqa: PLC0415  (an optional part)

        codes = packed.contiguous().view(torch.uint8).view(-1)[whole * blocksize // 2 :]
        numbers = get_4bit_type(kind, device="cpu")[torch.stack([codes >> 4, codes & 15], 1).view(-1)[: len(rest)].int()]
        rest.copy_(numbers.mul_(scales[whole:].repeat_interleave(blocksize)[: len(rest)]))
    return out


def absmax(state: Any) -> torch.Tensor:
    """The largest magnitude of every block, fp32, [blocks]: as kept, or unpacked itself from 8 bits (double quantisation)."""
    if not state.nested:
        return state.absmax.float()
    inner = state.state2
    scales = inner.code.index_select(0, state.absmax.view(-1).int())
    whole = len(scales) // inner.blocksize
    scales[: whole * inner.blocksize].view(whole, inner.blocksize).mul_(inner.absmax[:whole, None])
    scales[whole * inner.blocksize :].mul_(inner.absmax[-1])
    return scales.add_(state.offset)


def _eight(weight: torch.Tensor, out: torch.Tensor) -> torch.Tensor:
    """As bitsandbytes unpacks eight bits for the gradient."""
    scales: torch.Tensor = weight.SCB  # pyright: ignore[reportAttributeAccessIssue]  (of Int8Params)
    return out.copy_(weight.data).mul_(scales.view(-1, 1).mul(1 / 127))


def numbers(weight: torch.Tensor) -> int:
    """How many numbers a weight stands for; a 4-bit tensor itself counts bytes."""
    state: Any = getattr(weight, "quant_state", None)
    return weight.numel() if state is None else state.shape.numel()


@lru_cache(maxsize=1)
def squeeze_in_slabs() -> None:
    """Give bitsandbytes a routine for squeezing to 4 bits on a processor, for which it has only its general one, and ours for unpacking."""
    import bitsandbytes  # noqa: F401, PLC0415  # pyright: ignore[reportUnusedImport]  (an optional part; declares the operations)

    torch.library.register_kernel("bitsandbytes::quantize_4bit", "cpu", squeezed)
    torch.library.register_kernel("bitsandbytes::dequantize_4bit", "cpu", _unpacked_anew)


def _unpacked_anew(
    packed: torch.Tensor, scales: torch.Tensor, blocksize: int, kind: str, shape: Sequence[int], dtype: torch.dtype
) -> torch.Tensor:
    return _written(packed.contiguous(), scales.float(), blocksize, kind, torch.empty(tuple(shape), dtype=dtype))


def squeezed(weight: torch.Tensor, blocksize: int, kind: str, storage: torch.dtype) -> tuple[torch.Tensor, torch.Tensor]:
    """Codes [bytes, 1] and the blocks' largest magnitudes, fp32, [blocks], of `weight` in any 16- or 32-bit type."""
    from bitsandbytes.functional import get_4bit_type  # noqa: PLC0415  (an optional part)

    code = get_4bit_type(kind, device="cpu")
    order = code.argsort()
    between = ((code[order[1:]] + code[order[:-1]]) / 2).tolist()
    flat = weight.reshape(-1)
    packed, largest = torch.empty(-(-len(flat) // 2), dtype=torch.uint8), torch.empty(-(-len(flat) // blocksize))
    for at in range(0, len(flat), SLAB):
        slab = flat[at : at + SLAB].float()
        rest = -len(slab) % blocksize
        blocks = torch.nn.functional.pad(slab, (0, rest)).view(-1, blocksize)
        most = blocks.abs().amax(1)
        last = blocks[-1] / most[-1].clamp(min=1e-38)  # a block that is not whole is divided, others are multiplied, in bitsandbytes
        blocks = (blocks * (1.0 / most.clamp(min=1e-38))[:, None]).clamp_(-1, 1)
        if rest:
            blocks[-1], most[-1] = last, most[-1].clamp(min=1e-38)
        codes, more = torch.zeros(blocks.shape, dtype=torch.uint8), torch.empty(blocks.shape, dtype=torch.bool)
        for bound in between:
            codes.add_(torch.gt(blocks, bound, out=more))
        pairs = (codes if kind == "nf4" else order.to(torch.uint8)[codes.int()]).view(-1, 2)
        here = packed[at // 2 : at // 2 + len(pairs)]
        torch.bitwise_or(pairs[: len(here), 0] << 4, pairs[: len(here), 1], out=here)
        largest[at // blocksize : at // blocksize + len(most)] = most
    return (packed if storage == torch.uint8 else packed.view(storage))[:, None], largest
