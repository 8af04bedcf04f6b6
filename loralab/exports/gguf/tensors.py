"""Owns how a model's weights become llama.cpp's: names, the order of rows, and tensors that only llama.cpp has.

Invariant: every weight of the model is written exactly once under a name llama.cpp reads; one that has no place there is an error.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import gguf

from loralab.core.errors import UserError
from loralab.exports.gguf.families import FAMILIES, Settings, heads, hidden, layers, rope, rotary_dims

_TRANSPOSED = (".attn.c_attn.weight", ".attn.c_proj.weight", ".mlp.c_fc.weight", ".mlp.c_proj.weight")  # GPT-2 stores inputs first
_NOT_WEIGHTS = (".attn.bias", ".attn.masked_bias", "rotary_emb.inv_freq")


@dataclass(frozen=True)
class Weight:
    """One tensor of the file: its name there and its numbers, a torch tensor as the model holds it."""

    name: str
    source: str  # its name in transformers; empty for what only llama.cpp has
    values: Any


def architecture(config: Settings) -> gguf.MODEL_ARCH:
    """The family as the gguf package numbers it."""
    wanted = FAMILIES[config["model_type"]].arch
    return next(arch for arch, name in gguf.MODEL_ARCH_NAMES.items() if name == wanted)


class Names:
    """Names of transformers to names of llama.cpp, for one model."""

    def __init__(self, config: Settings) -> None:
        self._map = gguf.get_tensor_name_map(architecture(config), layers(config))

    def __call__(self, source: str) -> str:
        """Raises UserError for a weight that llama.cpp has no place for."""
        found = self._map.get_name(source, try_suffixes=(".weight", ".bias"))
        if found is None:
            todo = "Take the adapter or the whole merged model instead."
            raise UserError(f"llama.cpp has no place for this model's weight “{source}”.", todo, code="no_gguf_for_this")
        return found


def weights(model: Any, config: Settings) -> Iterator[Weight]:
    """All tensors of a merged model in the order llama.cpp writes them: what stands outside the blocks, then block by block."""
    names = Names(config)
    state = {k: v for k, v in model.state_dict().items() if not k.endswith(_NOT_WEIGHTS)}
    tied = bool(config.get("tie_word_embeddings"))
    found = [Weight(names(k), k, v) for k, v in state.items() if not (tied and k == "lm_head.weight" and config["model_type"] != "phi")]
    found += [Weight(name, "", values) for name, values in _factors(config)]
    yield from sorted(found, key=_place)


def _place(weight: Weight) -> tuple[int, str]:
    parts = weight.name.split(".")
    return (int(parts[1]) if parts[0] == "blk" else -1, weight.name)


def arranged(source: str, values: Any, config: Settings) -> Any:
    """The numbers [out, in] or [out] in llama.cpp's order; `values` may be any tensor whose first axis is the output."""
    family = FAMILIES[config["model_type"]]
    queries, keys = heads(config)
    if family.unit_offset and source.endswith("norm.weight"):
        return values + 1
    if family.permuted and ".q_proj." in source:
        return _pairs(values, queries)
    if family.permuted and ".k_proj." in source:
        return _pairs(values, keys)
    if config["model_type"] == "falcon" and "query_key_value" in source:
        return _regrouped(values, queries, keys, hidden(config) // queries)
    return values


def flipped(source: str, config: Settings) -> bool:
    """Whether transformers stores this matrix as [in, out]."""
    return config["model_type"] == "gpt2" and source.endswith(_TRANSPOSED)


def _pairs(values: Any, count: int) -> Any:
    """Rows of each head from halves (first half, second half) to pairs that are turned together."""
    rows = values.shape[0]
    return values.reshape(count, 2, rows // count // 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)


def _regrouped(values: Any, queries: int, keys: int, width: int) -> Any:
    """Falcon: groups of queries with their key and value -> all queries, all keys, all values."""
    import torch

    if queries == keys:  # one key and value per query
        grouped = values.reshape(queries, 3, width, *values.shape[1:])
    else:
        grouped = values.reshape(keys, queries // keys + 2, width, *values.shape[1:])
    parts = (grouped[:, :-2], grouped[:, -2:-1], grouped[:, -1:])
    return torch.cat([part.reshape(-1, *values.shape[1:]) for part in parts])


def _factors(config: Settings) -> Iterator[tuple[str, Any]]:
    """Divisors of the rotary frequencies, for models whose positions were stretched."""
    import torch

    turned = rope(config)
    if turned["rope_type"] == "llama3":
        yield "rope_freqs.weight", torch.tensor(list(_llama3(turned, rotary_dims(config))), dtype=torch.float32)
    if turned["rope_type"] == "longrope":
        for kind in ("long", "short"):
            yield f"rope_factors_{kind}.weight", torch.tensor(turned[f"{kind}_factor"], dtype=torch.float32)


def _llama3(turned: Settings, dims: int) -> Iterator[float]:
    """Llama 3.1's smooth stretching: long waves by `factor`, short ones not, a ramp in between."""
    low, high, factor = float(turned["low_freq_factor"]), float(turned["high_freq_factor"]), float(turned["factor"])
    original = float(turned["original_max_position_embeddings"])
    for i in range(0, dims, 2):
        wave = 2 * math.pi * float(turned["rope_theta"]) ** (i / dims)
        smooth = (original / wave - low) / (high - low)
        smooth = min(1.0, max(0.0, smooth))
        yield 1.0 / ((1 - smooth) / factor + smooth)
