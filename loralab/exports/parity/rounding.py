"""Owns what the rounding of a type of number may do to a tensor, block by block: any number of a file that lies further off is a fault.

Invariant: a file's number has to be the nearest one that its own block can hold, by the format's own reader; and a block's steps are no
wider than its numbers call for. So a bound is as narrow as the type allows, and a tenth of an adapter lost shows in four bits, too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import gguf
import numpy as np

Q = gguf.GGMLQuantizationType
ROWS = 4096  # looked at at once
TIE = 5e-5  # of a step: how much nearer another number may be, by the order in which a sum is rounded
NOISE = 1e-6  # of the largest number of a row: what two orders of adding in fp32 part by
DRIFT = 2.0**-9  # of a scale: one place of the sixteen bits that scales are kept in


@dataclass(frozen=True)
class Searched:
    """A type whose scales are searched for: where in a block its numbers lie and how many values one can have; how many share a scale; how
    much of the whole block's spread the rounding of those scales may cost; how far a whole row may be off, of its own length.
    """

    places: slice
    values: int
    part: int
    shared: float
    row: float


# Measured on numbers spread evenly, normally, with long tails, with outliers, off centre and nearly all nought; then widened by half.
SEARCHED = {
    Q.Q2_K: Searched(slice(16, 80), 4, 16, 0.3, 0.9),
    Q.Q3_K: Searched(slice(0, 96), 8, 16, 0.02, 0.5),
    Q.Q4_K: Searched(slice(16, 144), 16, 32, 0.02, 0.4),
    Q.Q5_K: Searched(slice(16, 176), 32, 32, 0.02, 0.2),
    Q.Q6_K: Searched(slice(0, 192), 64, 16, 0.01, 0.1),
}
WIDER = 1.5  # than evenly spread values: the steps that a search may choose
LEAST = 2.0**-19  # of a step: what the smallest scale in sixteen bits leaves


@dataclass(frozen=True)
class Off:
    """How a tensor of a file stands to the trained one: share of its numbers outside of what rounding can do, and by how many steps."""

    share: float = 0.0
    steps: float = 0.0
    count: int = 0

    def __or__(self, other: Off) -> Off:
        return Off(max(self.share, other.share), max(self.steps, other.steps), self.count + other.count)


def plain(wanted: Any, found: Any, step: Any) -> Off:
    """Numbers that are only stored narrower: `found` against `wanted`, both fp32 [rows, columns]; `step` between neighbours there."""
    return _off(np.abs(wanted - found), step / 2, step, wanted)


def spacing(values: Any, bits: int, least: float) -> Any:
    """The gap between neighbouring numbers with so many bits around each of `values`; `least`: the smallest gap there is."""
    _, exponent = np.frexp(values)
    return np.maximum(np.ldexp(np.float32(1), exponent - bits), least).astype(np.float32)


def packed(wanted: Any, raw: Any, kind: gguf.GGMLQuantizationType) -> Off:
    """A tensor of a GGUF file: `raw` as its reader holds it, `wanted` fp32 [rows, columns] or [columns]."""
    wanted = np.atleast_2d(np.ascontiguousarray(wanted, np.float32))
    raw = raw.reshape(len(wanted), -1)
    found, total = Off(), wanted.size
    for first in range(0, len(wanted), ROWS):
        part, stored = wanted[first : first + ROWS], np.ascontiguousarray(raw[first : first + ROWS])
        found |= _portion(part, stored, kind)
    return Off(found.count / max(total, 1), found.steps, found.count)


def _portion(wanted: Any, raw: Any, kind: gguf.GGMLQuantizationType) -> Off:
    there = gguf.quants.dequantize(raw, kind).astype(np.float32, copy=False).reshape(wanted.shape)
    if kind == Q.F32:
        return plain(wanted, there, np.float32(0))
    if kind == Q.F16:
        return plain(wanted, there, spacing(wanted, 11, 2.0**-24))
    if kind == Q.BF16:
        return plain(wanted, there, spacing(wanted, 8, 2.0**-133))
    if kind in SEARCHED:
        return _searched(wanted, raw, there, kind)
    return _rounded(wanted, raw, there, kind)


def _rounded(wanted: Any, raw: Any, there: Any, kind: gguf.GGMLQuantizationType) -> Off:
    """A type whose scales follow from the numbers: what its own packing makes of them, with the scales of both within a place."""
    again = gguf.quants.quantize(wanted, kind)
    best = gguf.quants.dequantize(again, kind).astype(np.float32, copy=False).reshape(wanted.shape)
    block, size = gguf.GGML_QUANT_SIZES[kind]
    blocks, ours = raw.view(np.uint8).reshape(-1, size), again.view(np.uint8).reshape(-1, size)
    heads = 2 if kind in (Q.Q4_1, Q.Q5_1) else 1
    scales = blocks[:, : 2 * heads].copy().view(np.float16).astype(np.float32)
    right = ours[:, : 2 * heads].copy().view(np.float16).astype(np.float32)
    drift = np.abs(scales - right)
    wrong = (drift > DRIFT * np.abs(right) + 1e-7).any(1)
    levels = {Q.Q8_0: 127, Q.Q4_0: 8, Q.Q5_0: 16, Q.Q4_1: 15, Q.Q5_1: 31}[kind]
    step = _spread(np.abs(right[:, 0]), block, wanted.shape)
    allowed = _spread(drift[:, 0] * levels + (drift[:, 1] if heads == 2 else 0), block, wanted.shape)
    excess = np.abs(wanted - there) - np.abs(wanted - best)
    found = _off(excess, TIE * step + allowed, step, wanted)
    if not wrong.any():
        return found
    return found | Off(0.0, float("inf"), int(wrong.sum()))


def _searched(wanted: Any, raw: Any, there: Any, kind: gguf.GGMLQuantizationType) -> Off:
    """A k-quant: its scales are searched for, so the file's own are taken, and each number is the nearest that they can express."""
    known = SEARCHED[kind]
    low, high = (_filled(raw, kind, known.places, fill).reshape(wanted.shape) for fill in (0, 255))
    step = (high - low) / (known.values - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        code = np.where(step != 0, np.rint((wanted - low) / step), 0.0)
    best = low + np.clip(code, 0, known.values - 1) * step
    gap = np.abs(wanted - there)
    near = _off(gap - np.abs(wanted - best), TIE * np.abs(step), np.abs(step), wanted)
    even = WIDER * _reach(wanted, known.part) / (known.values - 1) + known.shared * _reach(wanted, 256) + LEAST * known.values
    return near | _off(gap, even, even, wanted) | _rows(wanted, gap, known.row)


def _rows(wanted: Any, gap: Any, most: float) -> Off:
    """Rows that lost more of themselves than their type costs: steps too wide for them."""
    lengths = np.sqrt((wanted**2).sum(-1))
    lost = np.sqrt((gap**2).sum(-1)) > most * lengths + LEAST * wanted.shape[-1]
    return Off(0.0, float("inf"), int(lost.sum()) * wanted.shape[-1]) if lost.any() else Off()


def _filled(raw: Any, kind: gguf.GGMLQuantizationType, places: slice, fill: int) -> Any:
    """The least or the largest number that each place of each block can hold."""
    blocks = raw.view(np.uint8).reshape(-1, gguf.GGML_QUANT_SIZES[kind][1]).copy()
    blocks[:, places] = fill
    return gguf.quants.dequantize(blocks.reshape(raw.shape[0], -1), kind)


def _reach(values: Any, part: int) -> Any:
    """From the least to the largest number of each part, with nothing between them: at least as far as the larger of both from zero."""
    parts = values.reshape(-1, part)
    return _spread(np.maximum(parts.max(1), 0) - np.minimum(parts.min(1), 0), part, values.shape)


def _spread(each: Any, block: int, shape: tuple[int, ...]) -> Any:
    return np.repeat(each, block).reshape(shape)


def _off(gap: Any, allowed: Any, step: Any, wanted: Any) -> Off:
    noise = NOISE * np.abs(wanted).max(-1, keepdims=True)
    over = gap - allowed - noise
    wrong = ~(over <= 0)  # not a number: wrong
    count = int(wrong.sum())
    if not count:
        return Off()
    steps = over / np.maximum(np.broadcast_to(step, over.shape), noise + 1e-30)
    return Off(count / over.size, float(np.nan_to_num(steps[wrong], nan=np.inf, posinf=np.inf).max()), count)
