"""Owns looking into a finished ONNX folder: whether the numbers in its graph are the trained model's, and the papers beside it.

Invariants: a weight is found by its name or, where the exporter turned it round and named it anew, by its numbers among those of its
shape; each is found once, in the order of the model's layers. That they are used where they belong is shown by running the graph.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from loralab.core.errors import UserError
from loralab.core.parity import Check
from loralab.exports import Source
from loralab.exports.parity.folders import papers, rounded, settings_of, tally_of
from loralab.exports.parity.rounding import NOISE, TIE, Off
from loralab.exports.parity.tally import Tally
from loralab.exports.parity.trained import POSITIONS, Trained
from loralab.runtimes.onnx import FILE

WHOLE = {"fp32": "float32", "fp16": "float16"}
SCALE = 2e-3  # by so much of itself a scale may be wider than its numbers call for
TABLES = ("embed_tokens.weight", "wte.weight", "word_embeddings.weight", "embed_in.weight")
OFFSET = "gemma"  # families whose norms hold the difference from one, which the exporter adds once and for all
_LAYER = re.compile(r"\.(\d+)\.")


@dataclass(frozen=True)
class Held:
    """A matrix or a row of the graph: its numbers as whole ones with scale and zero, or as they are."""

    name: str
    values: Any
    scale: Any = None
    zero: Any = None

    def plain(self) -> Any:
        """In fp32."""
        if self.scale is None:
            return self.values.astype(np.float32)
        return ((self.values.astype(np.float32) - self.zero.astype(np.float32)) * self.scale).astype(np.float32)


def inside(source: Source, folder: Path, trained: Trained) -> Iterator[Check]:
    """Settings, tokenizer and weights of a folder. Raises UserError where its graph cannot be read."""
    variant = source.variant or "int8"
    yield settings_of(source, folder, trained, WHOLE.get(variant, "float32"))
    yield papers(source, folder, trained.encoder)
    yield _weights(_held(folder), trained, variant)


def _held(folder: Path) -> list[Held]:
    """All stored numbers of the graph that may be weights, in the order in which it uses them."""
    import onnx
    from onnx import numpy_helper

    try:
        graph = onnx.load(str(folder / FILE)).graph
        found = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    except Exception as error:  # its errors share no parent
        raise UserError(f"{FILE} or its numbers are cut short or damaged.", "Export it again.", code="onnx_damaged") from error
    used = list(dict.fromkeys(name for node in graph.node for name in node.input))
    order = {name: place for place, name in enumerate(used)}
    held = []
    for name, values in found.items():
        stem = name.removesuffix("_quantized")
        if stem != name:
            held.append(Held(stem, values, found[f"{stem}_scale"], found[f"{stem}_zero_point"]))
        elif str(values.dtype) in ("float32", "float16") and values.ndim and not name.endswith("_scale"):
            held.append(Held(name, values))
    return sorted(held, key=lambda one: order.get(f"{one.name}_quantized" if one.scale is not None else one.name, 0))


def _weights(held: list[Held], trained: Trained, variant: str) -> Check:
    import torch

    tally = tally_of(trained)
    table = _table(trained)
    names = [name for name in trained.names() if name != table]
    named = {one.name: one for one in held}
    loose = [one for one in held if one.name not in trained.shape]
    where: list[tuple[str, int]] = []
    for name in [*names, table]:
        more = np.float32(name.endswith("norm.weight") and str(trained.config["model_type"]).startswith(OFFSET) and name not in named)
        wanted = trained.weight(name).numpy() + more
        one = named.get(name) or (named.get("lm_head.weight") if name == table else None)
        turned = False
        if one is None:
            one, turned = next(((same, False) for same in held if _equal(same, wanted)), None) or _nearest(wanted, loose)
            if one is None:
                continue
            if one in loose:  # else it is shared: the exporter keeps one of several that are equal
                loose.remove(one)
                where.append((name, held.index(one)))
        _compare(tally, name, one, wanted, variant, turned=turned)
        values = one.plain() - more
        if name in tally.seen and (values.T if turned else values).shape == wanted.shape:
            trained.put(name, torch.from_numpy(np.ascontiguousarray(values.T if turned else values)))
    _in_order(tally, where)
    for one in held:
        if one.name.endswith(POSITIONS) and not any(_equal(one, right.numpy()) for right in trained.positions):
            tally.fault(one.name, "the frequencies of its positions are not the model's")
    return tally.check(trained.strength())


def _table(trained: Trained) -> str:
    """The embedding: looked up by rows, so rounded as a whole."""
    return next(name for name in trained.names() if name.endswith(TABLES))


def _equal(one: Held, wanted: Any) -> bool:
    """Whether it holds these numbers as they are, as far as its type can."""
    return one.scale is None and one.values.shape == wanted.shape and np.array_equal(one.values, wanted.astype(one.values.dtype))


def _nearest(wanted: Any, loose: list[Held]) -> tuple[Held | None, bool]:
    """The one of the same size whose numbers are nearest, and whether it lies turned."""
    best: tuple[float, Held | None, bool] = (np.inf, None, False)
    for one in loose:
        for turned in (True, False):
            shape = one.values.shape[::-1] if turned else one.values.shape
            if shape == wanted.shape:
                sample = one.plain().T if turned else one.plain()
                gap = float(np.abs(sample - wanted).mean())
                best = min(best, (gap, one, turned), key=lambda found: found[0])
    return best[1], best[2]


def _compare(tally: Tally, name: str, one: Held, wanted: Any, variant: str, *, turned: bool) -> None:
    values = one.values.T if turned else one.values
    if values.shape != wanted.shape:
        tally.fault(name, f"it has the shape {values.shape} instead of {wanted.shape}")
    elif one.scale is not None:
        tally.add(name, _whole_numbers(one, wanted, turned=turned))
    elif variant in WHOLE:
        stored = WHOLE[variant]
        if str(values.dtype) != stored:
            tally.fault(name, f"its numbers are {values.dtype} where {stored} belongs")
        tally.add(name, rounded(wanted, one.plain().T if turned else one.plain(), stored))
    else:
        tally.add(name, rounded(wanted, one.plain().T if turned else one.plain(), "float32"))


def _whole_numbers(one: Held, wanted: Any, *, turned: bool) -> Off:
    """Eight bits with a scale for each column, or for all: the nearest whole number, and a scale no wider than the numbers are."""
    wanted = np.atleast_2d(wanted.T if turned else wanted)
    scale, zero = np.float32(one.scale), one.zero.astype(np.float32)
    limits = np.iinfo(one.zero.dtype)
    best = (np.clip(np.rint(wanted / scale) + zero, limits.min, limits.max) - zero) * scale
    there = np.atleast_2d(one.plain())
    noise = NOISE * np.abs(wanted).max()
    over = np.abs(wanted - there) - np.abs(wanted - best) > TIE * scale + noise
    count = int(np.count_nonzero(~np.isfinite(there) | over))
    axis = 0 if scale.ndim else None
    high, low = np.maximum(wanted.max(axis), 0), np.minimum(wanted.min(axis), 0)
    even = np.where(zero == 0, 2 * np.maximum(high, -low) / 254, (high - low) / 255) if limits.min < 0 else (high - low) / 255
    wide = np.abs(scale - even) > SCALE * even + 1e-9
    wide_all = int(np.count_nonzero(wide)) if np.ndim(wide) else int(bool(wide))
    return Off(count / wanted.size, 1.0 if count else 0.0, count) | (Off(0.0, np.inf, wide_all) if wide_all else Off())


def _in_order(tally: Tally, where: list[tuple[str, int]]) -> None:
    """Weights of the same kind must come in the order of their layers."""
    kinds: dict[str, list[tuple[int, int, str]]] = {}
    for name, place in where:
        if layer := _LAYER.search(name):
            kinds.setdefault(_LAYER.sub(".*.", name, count=1), []).append((int(layer[1]), place, name))
    for found in kinds.values():
        places = [place for _, place, _ in sorted(found)]
        for (_, place, name), right in zip(sorted(found), sorted(places), strict=True):
            if place != right:
                tally.fault(name, "it stands where another layer's belongs")
