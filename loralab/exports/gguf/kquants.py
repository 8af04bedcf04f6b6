"""Q4_K, Q5_K and Q6_K in plain torch, for machines on which ggml's own packing cannot be called.

The wheel of llama.cpp for Windows (xllamacpp) keeps `ggml_quantize_chunk` to itself: without this the usual size of a file could not be
written there. Invariant: the block formats of ggml bit for bit, and scales found by the same search as its reference quantizer
(ggml-quants.c, MIT: the method is theirs, the code is ours); a block is 256 numbers of one row.
"""

from __future__ import annotations

import torch
from torch import Tensor

BLOCK = 256
TINY = 1e-15  # ggml's own bound below which a block counts as all zero
CHUNK = 4096  # blocks worked on at once: about 4 MB a temporary
BYTES = {"Q4_K": 144, "Q5_K": 176, "Q6_K": 210}


def pack(values: Tensor, kind: str) -> Tensor:
    """fp32 [rows, columns] -> uint8 [rows, columns / 256 * bytes of a block]. `columns` must be a multiple of 256."""
    rows, columns = values.shape
    if columns % BLOCK:
        raise ValueError(f"rows of {columns} are no multiple of {BLOCK}")
    work = {"Q4_K": _q4, "Q5_K": _q5, "Q6_K": _q6}[kind]
    blocks = values.reshape(-1, BLOCK)
    packed = torch.cat([work(part.float()) for part in blocks.split(CHUNK)])
    return packed.reshape(rows, columns // BLOCK * BYTES[kind])


# ---- Q4_K and Q5_K: eight groups of 32, each with a scale and a minimum of six bits ----------------------------------------------


def _q4(x: Tensor) -> Tensor:
    head, levels = _affine(x, 15, -1.0, 20)
    halves = levels.reshape(-1, 4, 2, 32)
    return torch.cat([head, (halves[:, :, 0] | halves[:, :, 1] << 4).reshape(-1, 128)], dim=1)


def _q5(x: Tensor) -> Tensor:
    head, levels = _affine(x, 31, -0.5, 15)
    places = torch.arange(8, dtype=torch.uint8).reshape(1, 8, 1)
    high = ((levels >> 4) << places).sum(dim=1, dtype=torch.uint8)  # bit g of byte l: the fifth bit of number l in group g
    halves = (levels & 15).reshape(-1, 4, 2, 32)
    return torch.cat([head, high, (halves[:, :, 0] | halves[:, :, 1] << 4).reshape(-1, 128)], dim=1)


def _affine(x: Tensor, top: int, start: float, steps: int) -> tuple[Tensor, Tensor]:
    """Head of the blocks (two fp16 and twelve bytes of scales) and levels uint8 [blocks, 8, 32] from 0 to `top`."""
    groups = x.reshape(-1, 8, 32)
    scale, minimum, levels = _search(groups, top, start, steps)
    best_scale, best_minimum = scale.amax(1, keepdim=True), minimum.amax(1, keepdim=True)
    scale6 = _round(scale * _inverse(best_scale, 63.0)).clamp_(max=63)
    minimum6 = _round(minimum * _inverse(best_minimum, 63.0)).clamp_(max=63)
    d, dmin = (best_scale / 63).half(), (best_minimum / 63).half()
    step = (d.float() * scale6)[..., None]
    again = _round((groups + (dmin.float() * minimum6)[..., None]) / step).clamp_(0, top)
    levels = torch.where(step == 0, levels, again).to(torch.uint8)
    head = torch.cat([_bytes(d), _bytes(dmin), _six_bits(scale6.to(torch.uint8), minimum6.to(torch.uint8))], dim=1)
    return head, levels


def _search(x: Tensor, top: int, start: float, steps: int) -> tuple[Tensor, Tensor, Tensor]:
    """Scale, (negated) minimum [..., groups] and levels that fit x ~ scale * level - minimum best, large numbers weighing more."""
    weight = x.square().mean(-1, keepdim=True).sqrt() + x.abs()
    low, high = x.amin(-1, keepdim=True).clamp_(max=0), x.amax(-1, keepdim=True)
    flat = high <= low
    span = torch.where(flat, torch.ones_like(high), high - low)
    sum_w, sum_x = weight.sum(-1, keepdim=True), (weight * x).sum(-1, keepdim=True)
    levels = _round((x - low) * (top / span)).clamp_(0, top)
    scale, minimum = span / top, low
    error = _error(scale * levels + minimum - x, weight)
    for step in range(steps + 1):
        moved = torch.where(flat, span, high - minimum)  # what was found so far moves where the next try begins
        tried = _round((x - minimum) * ((start + 0.1 * step + top) / moved)).clamp_(0, top)
        new_scale, new_minimum, solvable = _fit(x, tried, weight, sum_w, sum_x)
        new_error = _error(new_scale * tried + new_minimum - x, weight)
        better = solvable & (new_error < error)
        error = torch.where(better, new_error, error)
        scale, minimum = torch.where(better, new_scale, scale), torch.where(better, new_minimum, minimum)
        levels = torch.where(better, tried, levels)
    scale, levels = scale.masked_fill(flat, 0), levels.masked_fill(flat, 0)
    return scale.squeeze(-1), -minimum.squeeze(-1), levels


def _fit(x: Tensor, levels: Tensor, weight: Tensor, sum_w: Tensor, sum_x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Weighted least squares of x on levels; a minimum above zero is not storable and is held at zero."""
    weighted = weight * levels
    sum_l, sum_l2 = weighted.sum(-1, keepdim=True), (weighted * levels).sum(-1, keepdim=True)
    sum_xl = (weighted * x).sum(-1, keepdim=True)
    determinant = sum_w * sum_l2 - sum_l * sum_l
    scale = (sum_w * sum_xl - sum_x * sum_l) / determinant
    minimum = (sum_l2 * sum_x - sum_l * sum_xl) / determinant
    above = minimum > 0
    return torch.where(above, sum_xl / sum_l2, scale), minimum.masked_fill(above, 0), determinant > 0


def _six_bits(scale: Tensor, minimum: Tensor) -> Tensor:
    """Eight scales and eight minima of six bits each in twelve bytes."""
    first = scale[:, :4] | (scale[:, 4:] >> 4) << 6
    second = minimum[:, :4] | (minimum[:, 4:] >> 4) << 6
    third = (scale[:, 4:] & 15) | (minimum[:, 4:] & 15) << 4
    return torch.cat([first, second, third], dim=1)


# ---- Q6_K: sixteen groups of 16, each with a signed scale of eight bits -----------------------------------------------------------


def _q6(x: Tensor) -> Tensor:
    groups = x.reshape(-1, 16, 16)
    scale = _signed_search(groups, 32)
    place = scale.abs().argmax(1, keepdim=True)
    largest = scale.gather(1, place)
    empty = largest.abs() < TINY
    inverse = torch.where(empty, torch.zeros_like(largest), -128.0 / largest)
    d = torch.where(empty, torch.zeros_like(largest), 1.0 / inverse).half()
    scale8 = _round(inverse * scale).clamp_(max=127)
    step = (d.float() * scale8)[..., None]
    levels = torch.where(step == 0, torch.zeros_like(groups), _round(groups / step).clamp_(-32, 31))
    levels = (levels + 32).to(torch.uint8).masked_fill_(empty[..., None], 0)
    quarters = levels.reshape(-1, 2, 4, 32)
    a, b, c, e = quarters.unbind(2)
    low = torch.cat([(a & 15) | (c & 15) << 4, (b & 15) | (e & 15) << 4], dim=2).reshape(-1, 128)
    high = (a >> 4 | b >> 4 << 2 | c >> 4 << 4 | e >> 4 << 6).reshape(-1, 64)
    return torch.cat([low, high, scale8.to(torch.int8).view(torch.uint8), _bytes(d)], dim=1)


def _signed_search(x: Tensor, top: int) -> Tensor:
    """Scale [..., groups] for levels from -top to top - 1, weighing each number by its square."""
    place = x.abs().argmax(-1, keepdim=True)
    extreme = x.gather(-1, place)
    empty = extreme.abs() < TINY
    extreme = torch.where(empty, torch.ones_like(extreme), extreme)
    weight = x.square()
    scale = best = torch.zeros_like(extreme)
    for step in (0, *range(-9, 0), *range(1, 10)):
        levels = _round(x * (-(top + 0.1 * step) / extreme)).clamp_(-top, top - 1)
        sum_xl, sum_l2 = (weight * x * levels).sum(-1, keepdim=True), (weight * levels * levels).sum(-1, keepdim=True)
        better = (sum_l2 > 0) & (sum_xl * sum_xl > best * sum_l2) if step else sum_l2 > 0
        fitted = sum_xl / sum_l2
        scale, best = torch.where(better, fitted, scale), torch.where(better, fitted * sum_xl, best)
    return scale.masked_fill(empty, 0).squeeze(-1)


# ---- what both share -------------------------------------------------------------------------------------------------------


def _round(x: Tensor) -> Tensor:
    """To the nearest whole number, halves to the even one, as ggml does."""
    return x.round()


def _error(difference: Tensor, weight: Tensor) -> Tensor:
    return (weight * difference.square()).sum(-1, keepdim=True)


def _inverse(x: Tensor, over: float) -> Tensor:
    return torch.where(x > 0, over / x, torch.zeros_like(x))


def _bytes(x: Tensor) -> Tensor:
    """fp16 [blocks, 1] -> uint8 [blocks, 2]."""
    return x.contiguous().view(torch.uint8)
