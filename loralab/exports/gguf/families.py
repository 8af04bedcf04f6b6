"""Owns which model families llama.cpp runs as they were trained, and what it must be told about each.

Invariant: a setting that llama.cpp would read past (another activation, another kind of positions) is a refusal, never a silent change.
Facts from the model sources of llama.cpp and transformers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import gguf

from loralab.core.errors import Problem

Settings = dict[str, Any]  # a config.json
ROPE = ("default", "linear", "llama3", "longrope")
ELSEWHERE = "Take the adapter or the whole merged model instead; programs for Hugging Face models load both."


@dataclass(frozen=True)
class Family:
    """A model type of transformers in the words of llama.cpp."""

    arch: str  # llama.cpp's name
    activations: tuple[str, ...]
    write: Callable[[gguf.GGUFWriter, Settings], None]
    unit_offset: bool = False  # norms are stored as the difference from one
    permuted: bool = False  # query and key rows in the order of llama.cpp's rotary pairs
    refuse: Callable[[Settings], str] = lambda config: ""  # a reason, or nothing


def first(config: Settings, *names: str, default: Any = None) -> Any:
    """The first of several spellings of a setting that is there."""
    return next((config[name] for name in names if config.get(name) is not None), default)


def heads(config: Settings) -> tuple[int, int]:
    """Query heads and key/value heads."""
    queries = int(first(config, "num_attention_heads", "n_head", default=1))
    if config.get("model_type") == "falcon":
        if config.get("new_decoder_architecture"):
            return queries, int(first(config, "num_kv_heads", "n_head_kv", default=queries))
        return queries, 1 if config.get("multi_query", True) else queries
    return queries, int(first(config, "num_key_value_heads", default=queries))


def head_dim(config: Settings) -> int:
    """Width of one head."""
    return int(first(config, "head_dim", default=hidden(config) // heads(config)[0]))


def hidden(config: Settings) -> int:
    """Width of the model."""
    return int(first(config, "hidden_size", "n_embd"))


def layers(config: Settings) -> int:
    """Number of blocks."""
    return int(first(config, "num_hidden_layers", "n_layer"))


def context(config: Settings) -> int:
    """Tokens it may read; not past a sliding window that llama.cpp would not slide."""
    length = int(first(config, "max_position_embeddings", "n_positions", "n_ctx", default=2048))
    window = config.get("sliding_window")
    slides = config.get("use_sliding_window", config.get("model_type") in ("mistral", "phi3"))
    return min(length, int(window)) if window and slides and config.get("model_type") in ("mistral", "phi3", "qwen2", "qwen3") else length


def rope(config: Settings, kind: str = "full_attention") -> Settings:
    """Rotary settings: transformers 5 spells them `rope_parameters`, older ones `rope_scaling` and `rope_theta`."""
    found = dict(first(config, "rope_parameters", "rope_scaling", default={}))
    if isinstance(found.get(kind), dict):
        found = dict(found[kind])
    elif kind == "sliding_attention":
        found = {"rope_theta": first(config, "rope_local_base_freq", default=10000.0)}
    found.setdefault("rope_type", found.pop("type", "default"))
    found.setdefault("rope_theta", first(config, "rope_theta", default=10000.0))
    found.setdefault("partial_rotary_factor", first(config, "partial_rotary_factor", default=1.0))
    return found


def rotary_dims(config: Settings) -> int:
    """How many numbers of a head are turned."""
    return int(head_dim(config) * float(rope(config)["partial_rotary_factor"]))


# ---- what is written -------------------------------------------------------------------------------------------------------


def _sizes(writer: gguf.GGUFWriter, config: Settings) -> None:
    queries, keys = heads(config)
    writer.add_context_length(context(config))
    writer.add_embedding_length(hidden(config))
    writer.add_block_count(layers(config))
    writer.add_feed_forward_length(int(first(config, "intermediate_size", "n_inner", "ffn_hidden_size", default=4 * hidden(config))))
    writer.add_head_count(queries)
    writer.add_head_count_kv(keys)
    writer.add_vocab_size(int(config["vocab_size"]))


def _rotary(writer: gguf.GGUFWriter, config: Settings) -> None:
    turned = rope(config)
    writer.add_rope_dimension_count(rotary_dims(config))
    writer.add_rope_freq_base(float(turned["rope_theta"]))
    if turned["rope_type"] == "linear":
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(float(turned["factor"]))


def _gated(writer: gguf.GGUFWriter, config: Settings) -> None:
    """Llama and its kin: root-mean-square norms, gated feed-forward, rotary positions."""
    _sizes(writer, config)
    _rotary(writer, config)
    writer.add_layer_norm_rms_eps(float(config["rms_norm_eps"]))
    writer.add_key_length(head_dim(config))
    writer.add_value_length(head_dim(config))


def _gemma2(writer: gguf.GGUFWriter, config: Settings) -> None:
    _gated(writer, config)
    writer.add_attn_logit_softcapping(float(config["attn_logit_softcapping"]))
    writer.add_final_logit_softcapping(float(config["final_logit_softcapping"]))
    writer.add_sliding_window(int(config["sliding_window"]))


def _gemma3(writer: gguf.GGUFWriter, config: Settings) -> None:
    _gated(writer, config)
    writer.add_sliding_window(int(config["sliding_window"]))


def _phi3(writer: gguf.GGUFWriter, config: Settings) -> None:
    _sizes(writer, config)
    _rotary(writer, config)
    writer.add_layer_norm_rms_eps(float(config["rms_norm_eps"]))
    longest = int(first(config, "max_position_embeddings"))
    turned = rope(config)
    original = int(turned.get("original_max_position_embeddings") or first(config, "original_max_position_embeddings", default=longest))
    writer.add_rope_scaling_orig_ctx_len(original)
    if turned["rope_type"] == "longrope":
        stretch = float(turned.get("factor") or longest / original)
        usual = math.sqrt(1 + math.log(stretch) / math.log(original)) if stretch > 1 else 1.0
        writer.add_rope_scaling_attn_factors(float(turned.get("attention_factor") or usual))
    writer.add_sliding_window(0)


def _normed(writer: gguf.GGUFWriter, config: Settings) -> None:
    """GPT-2, Falcon, Phi: norms with mean and bias."""
    _sizes(writer, config)
    writer.add_layer_norm_eps(float(first(config, "layer_norm_epsilon", "layer_norm_eps", default=1e-5)))
    if config["model_type"] != "gpt2":
        _rotary(writer, config)


# ---- what is refused -------------------------------------------------------------------------------------------------------


def _falcon_refused(config: Settings) -> str:
    if config.get("alibi"):
        return "llama.cpp runs Falcon with rotary positions only, and this one was trained with another kind (ALiBi)"
    if config.get("bias"):
        return "llama.cpp runs Falcon without biases only, and this one has them"
    if not config.get("parallel_attn", True) and not config.get("new_decoder_architecture"):
        return "llama.cpp runs Falcon with attention and feed-forward side by side only"
    if int(first(config, "ffn_hidden_size", default=4 * hidden(config))) != 4 * hidden(config):
        return "llama.cpp expects another width of Falcon's feed-forward layers"
    return ""


def _gpt2_refused(config: Settings) -> str:
    if config.get("scale_attn_by_inverse_layer_idx") or not config.get("scale_attn_weights", True):
        return "it scales its attention in a way llama.cpp does not know"
    return ""


def _gemma_refused(config: Settings) -> str:
    tied = config.get("tie_word_embeddings", True)
    return "" if tied else "llama.cpp runs this family with one matrix for reading and writing words, and here they are two"


def _windowed_refused(config: Settings) -> str:
    """Gemma 2 and 3: llama.cpp has the pattern of local and global layers built in."""
    every = 2 if config["model_type"] == "gemma2" else 6
    if every == 2 and (two := _gemma_refused(config)):
        return two
    kinds = config.get("layer_types")
    wanted = ["full_attention" if (i + 1) % every == 0 else "sliding_attention" for i in range(layers(config))]
    if kinds and list(kinds) != wanted:
        return "its order of local and global layers is not the one llama.cpp has built in"
    local = rope(config, "sliding_attention")
    if every == 6 and (local["rope_theta"] != 10000.0 or local["rope_type"] != "default"):
        return "the positions of its local layers are not the ones that llama.cpp knows"
    scale = first(config, "query_pre_attn_scalar", default=head_dim(config))
    usual = hidden(config) // heads(config)[0] if layers(config) == (46 if every == 2 else 62) else head_dim(config)
    return "" if scale == usual else "it scales its attention in a way llama.cpp does not know"


def _phi3_refused(config: Settings) -> str:
    return "" if head_dim(config) * heads(config)[0] == hidden(config) else "its heads have a width llama.cpp does not expect"


SILU, TANH = ("silu", "swish"), ("gelu_pytorch_tanh", "gelu_new", "gelu_fast", "gelu")
_GEMMA: dict[str, Any] = {
    "activations": ("gelu_pytorch_tanh", "gelu"),
    "unit_offset": True,
}  # transformers reads Gemma's "gelu" as the tanh form too
FAMILIES: dict[str, Family] = {
    "llama": Family("llama", SILU, _gated, permuted=True),
    "mistral": Family("llama", SILU, _gated, permuted=True),
    "qwen2": Family("qwen2", SILU, _gated),
    "qwen3": Family("qwen3", SILU, _gated),
    "gemma": Family("gemma", **_GEMMA, write=_gated, refuse=_gemma_refused),
    "gemma2": Family("gemma2", **_GEMMA, write=_gemma2, refuse=_windowed_refused),
    "gemma3_text": Family("gemma3", **_GEMMA, write=_gemma3, refuse=_windowed_refused),
    "phi3": Family("phi3", SILU, _phi3, refuse=_phi3_refused),
    "phi": Family("phi2", ("gelu_new", "gelu_pytorch_tanh"), _normed),
    "gpt2": Family("gpt2", ("gelu_new", "gelu_pytorch_tanh"), _normed, refuse=_gpt2_refused),
    "falcon": Family("falcon", ("gelu",), _normed, refuse=_falcon_refused),
}


def refused(config: Settings) -> Problem | None:
    """Why a model cannot become a GGUF file; None when it can."""
    kind = str(config.get("model_type", ""))
    family = FAMILIES.get(kind)
    if family is None:
        name = (config.get("architectures") or [kind or "unknown"])[0]
        what = f"LoRALab cannot write this kind of model ({name}) as GGUF."
        return Problem(code="no_gguf_for_this", what=what, todo=ELSEWHERE)
    reason = _general(config, family) or family.refuse(config)
    return Problem(code="no_gguf_for_this", what=f"This model cannot become a GGUF file: {reason}.", todo=ELSEWHERE) if reason else None


def _general(config: Settings, family: Family) -> str:
    activation = first(config, "hidden_activation", "hidden_act", "activation_function", "activation", default=family.activations[0])
    if activation not in family.activations:
        return f"llama.cpp does not run this family with the activation “{activation}”"
    kind = rope(config)["rope_type"]
    if kind not in ROPE or (kind == "longrope" and config["model_type"] != "phi3"):
        return f"its way of stretching positions ({kind}) is not one LoRALab writes"
    if config.get("model_type") in ("qwen2", "qwen3") and config.get("use_sliding_window") and config.get("max_window_layers", 0):
        return "it slides its window in some layers only, which llama.cpp does not do for this family"
    return ""
