"""Owns how the families of llama.cpp become models of transformers: settings, names of weights, the order of rows.

Invariant: what a file says and this module does not understand is a refusal in words, never left out in silence.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from loralab.core.errors import UserError
from loralab.models.gguf.header import Header

Settings = dict[str, Any]  # a config.json

_BLOCK = {
    "attn_norm": "input_layernorm",
    "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_SANDWICH = {  # Gemma 2 and 3 have norms before and after each half of a block
    **_BLOCK,
    "post_attention_norm": "post_attention_layernorm",
    "ffn_norm": "pre_feedforward_layernorm",
    "post_ffw_norm": "post_feedforward_layernorm",
}
_FUSED = {**_BLOCK, "attn_qkv": "self_attn.qkv_proj", "ffn_up": "mlp.gate_up_proj"}
_OUTSIDE = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
_DERIVED = ("rope_freqs.weight",)  # computed again from the settings


@dataclass(frozen=True)
class Family:
    """A family of llama.cpp in the words of transformers."""

    kind: str  # model_type
    architecture: str
    block: dict[str, str] = field(default_factory=lambda: _BLOCK)
    more: Callable[[Header], Settings] = lambda header: {}
    permuted: bool = False  # query and key rows lie in the order of llama.cpp's rotary pairs
    unit_offset: bool = False  # norms are stored as the difference from one


def settings(header: Header) -> Settings:
    """The config.json of a file's model. Raises UserError for a file that is not understood in every part."""
    family = family_of(header)
    embedding = header.tensors.get("token_embd.weight")
    if embedding is None or "output_norm.weight" not in header.tensors:
        raise refusal("it holds no whole language model")
    if int(header.values.get("split.count", 1)) > 1:
        raise refusal("it is one of several parts", "Join the parts into one file first, or choose a file that is whole.")
    heads = int(_needed(header, "attention.head_count"))
    hidden = int(_needed(header, "embedding_length"))
    found: Settings = {
        "model_type": family.kind,
        "architectures": [family.architecture],
        "hidden_size": hidden,
        "num_hidden_layers": int(_needed(header, "block_count")),
        "intermediate_size": int(_needed(header, "feed_forward_length")),
        "num_attention_heads": heads,
        "num_key_value_heads": int(_single(header.own("attention.head_count_kv", heads))),
        "head_dim": int(header.own("attention.key_length") or hidden // heads),
        "max_position_embeddings": int(_needed(header, "context_length")),
        "rms_norm_eps": float(f"{_needed(header, 'attention.layer_norm_rms_epsilon'):.6g}"),
        "vocab_size": embedding.shape[0],
        "tie_word_embeddings": "output.weight" not in header.tensors,
        "rope_parameters": rotary(header),
        **{f"{role}_token_id": header.values.get(f"tokenizer.ggml.{role}_token_id") for role in ("bos", "eos")},
    }
    if header.own("rope.dimension_count", found["head_dim"]) != found["head_dim"]:
        raise refusal("it turns only a part of each head, which LoRALab does not know for this family")
    found |= family.more(header)
    for name in header.tensors:
        source_name(name, family)
    return found


def family_of(header: Header) -> Family:
    """The family of a file. Raises UserError for one that is not known here."""
    family = FAMILIES.get(header.architecture)
    if family is None:
        raise refusal(
            f"models of the kind “{header.architecture or 'unknown'}” cannot be taken from a GGUF file",
            "Choose the model it was made from.",
        )
    return family


def source_name(name: str, family: Family) -> str:
    """The name of a weight in transformers; empty for what is computed there. Raises UserError for one it has no place for."""
    if name in _DERIVED:
        return ""
    stem, _, part = name.rpartition(".")
    match = re.fullmatch(r"blk\.(\d+)\.(\w+)", stem)
    source = f"model.layers.{match[1]}.{family.block[match[2]]}" if match and match[2] in family.block else _OUTSIDE.get(stem)
    if source is None or part not in ("weight", "bias"):
        raise refusal(f"it holds a part that LoRALab does not know ({name})")
    return f"{source}.{part}"


def arranged(name: str, values: Any, family: Family, config: Settings) -> Any:
    """The numbers of a weight as transformers has them."""
    if family.unit_offset and name.endswith("norm.weight"):
        return values - 1
    if family.permuted and ".q_proj." in name:
        return _halves(values, config["num_attention_heads"])
    if family.permuted and ".k_proj." in name:
        return _halves(values, config["num_key_value_heads"])
    return values


def fits(name: str, shape: tuple[int, ...], config: Settings) -> None:
    """Raise UserError where a weight has not the shape that the settings call for."""
    hidden, wide = config["hidden_size"], config["intermediate_size"]
    queries, keys = (config[f"num_{kind}_heads"] * config["head_dim"] for kind in ("attention", "key_value"))
    wanted = {
        "embed_tokens.weight": (config["vocab_size"], hidden),
        "lm_head.weight": (config["vocab_size"], hidden),
        "q_proj.weight": (queries, hidden),
        "k_proj.weight": (keys, hidden),
        "v_proj.weight": (keys, hidden),
        "o_proj.weight": (hidden, queries),
        "qkv_proj.weight": (queries + 2 * keys, hidden),
        "gate_proj.weight": (wide, hidden),
        "up_proj.weight": (wide, hidden),
        "gate_up_proj.weight": (2 * wide, hidden),
        "down_proj.weight": (hidden, wide),
        "layernorm.weight": (hidden,),
    }
    part = ".".join(name.split(".")[-2:])
    expected = wanted.get("layernorm.weight" if part.endswith("layernorm.weight") else part, shape)
    if shape != expected:
        raise refusal(f"a part of it ({name}) does not fit the rest")


def reordered(name: str, family: Family) -> bool:
    """Whether a weight must be whole in memory before it is written."""
    return family.permuted and (".q_proj." in name or ".k_proj." in name)


def refusal(why: str, todo: str = "Choose the original model it was made from, or another file.") -> UserError:
    """The sentence for a file that is not taken."""
    return UserError(f"This GGUF file cannot be trained: {why}.", todo, code="no_way_from_gguf")


def _halves(values: Any, count: int) -> Any:
    """Rows of each head from pairs that are turned together to halves."""
    return values.reshape(count, values.shape[0] // count // 2, 2, *values.shape[1:]).swapaxes(1, 2).reshape(values.shape)


def _needed(header: Header, name: str) -> Any:
    found = header.own(name)
    if found is None:
        raise refusal(f"it does not say its {name}")
    return _single(found)


def _single(value: Any) -> Any:
    """One number; llama.cpp writes one for each layer where they differ, which none of these families does."""
    if isinstance(value, list):
        if len(set(value)) != 1:
            raise refusal("its layers differ from each other")
        return value[0]
    return value


# ---- positions -------------------------------------------------------------------------------------------------------------


def rotary(header: Header) -> Settings:
    """How positions are turned and stretched. Raises UserError for a stretching that is not known."""
    theta = float(header.own("rope.freq_base", 10000.0))
    kind, factor = header.own("rope.scaling.type", "none"), float(header.own("rope.scaling.factor") or header.own("rope.scale_linear") or 1)
    if any(name.startswith("rope_factors") for name in header.tensors) or kind not in ("none", "linear"):
        raise refusal("its positions are stretched in a way that LoRALab does not know")
    if "rope_freqs.weight" in header.tensors:
        return {"rope_type": "llama3", "rope_theta": theta, **_smooth(header, theta)}
    if factor != 1:
        return {"rope_type": "linear", "rope_theta": theta, "factor": factor}
    return {"rope_type": "default", "rope_theta": theta}


def _smooth(header: Header, theta: float) -> Settings:
    """Llama 3.1's stretching from its divisors: they say the factor, and which of the lengths in use they were made for."""
    place = header.tensors["rope_freqs.weight"]
    divisors = np.fromfile(header.path, np.float32, place.shape[-1], offset=place.start)
    for original in (8192, 4096, 2048, 1024, 512, 256, 128, 64):
        tried = {"factor": float(divisors.max()), "low_freq_factor": 1.0, "high_freq_factor": 4.0}
        tried["original_max_position_embeddings"] = original
        if np.allclose(stretching(tried, theta, 2 * len(divisors)), divisors, rtol=1e-4):
            return tried
    raise refusal("its positions are stretched in a way that LoRALab does not know")


def stretching(turned: Settings, theta: float, dims: int) -> list[float]:
    """Divisors of the frequencies: long waves by `factor`, short ones by one, a ramp between."""
    low, high, factor = turned["low_freq_factor"], turned["high_freq_factor"], turned["factor"]
    waves = [2 * math.pi * theta ** (i / dims) for i in range(0, dims, 2)]
    ramps = [min(1.0, max(0.0, (turned["original_max_position_embeddings"] / wave - low) / (high - low))) for wave in waves]
    return [1.0 / ((1 - ramp) / factor + ramp) for ramp in ramps]


# ---- what a family says besides --------------------------------------------------------------------------------------------


def _llama(header: Header) -> Settings:
    biased = {part: f"blk.0.{part}.bias" in header.tensors for part in ("attn_q", "attn_output", "ffn_up")}
    if biased["attn_q"] != biased["attn_output"]:
        raise refusal("it has biases where its family has none")
    return {"attention_bias": biased["attn_q"], "mlp_bias": biased["ffn_up"]}


def _gemma(header: Header) -> Settings:
    return {"hidden_activation": "gelu_pytorch_tanh"}


def _gemma2(header: Header) -> Settings:
    scale = _scale(header, 46)
    capped = {
        "attn_logit_softcapping": header.own("attn_logit_softcapping"),
        "final_logit_softcapping": header.own("final_logit_softcapping"),
    }
    return {**_gemma(header), "query_pre_attn_scalar": scale, "sliding_window": int(_needed(header, "attention.sliding_window")), **capped}


def _gemma3(header: Header) -> Settings:
    turned = {"full_attention": rotary(header), "sliding_attention": {"rope_type": "default", "rope_theta": 10000.0}}
    window = int(_needed(header, "attention.sliding_window"))
    found = {"query_pre_attn_scalar": _scale(header, 62), "sliding_window": window, "rope_parameters": turned}
    return {**_gemma(header), **found, "sliding_window_pattern": 6}


def _scale(header: Header, largest: int) -> int:
    """What attention is divided by the root of: the width of a head, but for the family's largest model, as llama.cpp has it built in."""
    hidden, heads = int(_needed(header, "embedding_length")), int(_needed(header, "attention.head_count"))
    return hidden // heads if header.own("block_count") == largest else int(header.own("attention.key_length") or hidden // heads)


def _phi3(header: Header) -> Settings:
    return {
        "pad_token_id": header.values.get("tokenizer.ggml.padding_token_id"),
        "original_max_position_embeddings": header.own("context_length"),
    }


FAMILIES: dict[str, Family] = {
    "llama": Family("llama", "LlamaForCausalLM", more=_llama, permuted=True),
    "qwen2": Family("qwen2", "Qwen2ForCausalLM"),
    "qwen3": Family("qwen3", "Qwen3ForCausalLM"),
    "gemma": Family("gemma", "GemmaForCausalLM", more=_gemma, unit_offset=True),
    "gemma2": Family("gemma2", "Gemma2ForCausalLM", _SANDWICH, _gemma2, unit_offset=True),
    "gemma3": Family("gemma3_text", "Gemma3ForCausalLM", _SANDWICH, _gemma3, unit_offset=True),
    "phi3": Family("phi3", "Phi3ForCausalLM", _FUSED, _phi3),
}
