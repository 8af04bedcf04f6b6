"""Which of the library's models are made of the blocks by hand, and where their parts are: Llama (Touvron et al. 2023), Mistral, SmolLM,
Qwen2 and Qwen3, and GPT-2 (Radford et al. 2019).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from loralab.sessions.fast.attention import Heads
from loralab.sessions.fast.blocks import Block, Blocks, Turn
from loralab.sessions.fast.mlps import Gated, Gelu
from loralab.sessions.fast.norms import HeadNorm, LayerNorm, RmsNorm
from loralab.sessions.fast.packing import Packed
from loralab.sessions.fast.weights import Joined

_TURNS = ("default", "llama3", "linear")  # ways to stretch rotation that are nothing but other angles
_TANH = ("gelu_new", "gelu_pytorch_tanh")


def layers(model: Any) -> str:
    """The name under which a model keeps its blocks; empty where they are none of ours."""
    return {"LlamaModel": "layers", "MistralModel": "layers", "Qwen2Model": "layers", "Qwen3Model": "layers", "GPT2Model": "h"}.get(
        type(model).__name__, ""
    )


def is_usual(config: Any) -> bool:
    """Whether nothing in the settings asks for more than the blocks do."""
    if getattr(config, "_attn_implementation", None) == "eager":  # asked for where the fast kernel fails
        return False
    if config.model_type == "gpt2":
        special = config.scale_attn_by_inverse_layer_idx or config.reorder_and_upcast_attn or config.add_cross_attention
        return config.scale_attn_weights and config.activation_function in _TANH and not special
    rope = getattr(config, "rope_parameters", None) or {}
    windows = getattr(config, "sliding_window", None) and getattr(config, "use_sliding_window", True)
    return rope.get("rope_type", "default") in _TURNS and config.hidden_act == "silu" and not windows


def written(model: Any) -> Blocks:
    """The blocks of a model that `layers` knows."""
    return _gpt2(model) if layers(model) == "h" else _llama(model)


def linears(layer: Any) -> list[Any]:
    """The linear layers of one block, in the order of use."""
    return [part.module for joined in (_gpt2_block if hasattr(layer, "ln_1") else _llama_block)(layer).joined for part in joined.parts]


def embedding(model: Any) -> Tensor:
    """The matrix of its tokens."""
    return model.get_input_embeddings().weight


def drops_out(model: Any) -> bool:
    """Whether a model itself drops anything out while learning, its adapters aside."""
    for name, module in model.named_modules():
        if "lora" not in name and (getattr(module, "attention_dropout", 0.0) or (type(module) is nn.Dropout and module.p > 0)):
            return True
    return False


def _llama(model: Any) -> Blocks:
    config = model.config
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    heads = Heads(config.num_attention_heads, config.num_key_value_heads, size, size**-0.5)
    return Blocks(heads, _looked_up(model), _turns(model, size), [_llama_block(layer) for layer in model.layers], RmsNorm(model.norm))


def _looked_up(model: Any) -> Callable[[Packed, Tensor], object]:
    return lambda packed, x: x.copy_(F.embedding(packed.ids, model.embed_tokens.weight))


def _turns(model: Any, size: int) -> Callable[[Packed], Turn]:
    def turns(packed: Packed) -> Turn:
        cos, sin = model.rotary_emb(model.norm.weight, packed.positions[None])
        return cos[0, :, None, : size // 2].contiguous(), sin[0, :, None, : size // 2].contiguous()

    return turns


def _llama_block(layer: Any) -> Block:
    attention, mlp = layer.self_attn, layer.mlp
    return Block(
        norm=RmsNorm(layer.input_layernorm),
        qkv=Joined([attention.q_proj, attention.k_proj, attention.v_proj]),
        out=Joined([attention.o_proj]),
        middle_norm=RmsNorm(layer.post_attention_layernorm),
        into=Joined([mlp.gate_proj, mlp.up_proj]),
        middle=Gated(),
        down=Joined([mlp.down_proj]),
        head_norms=(HeadNorm(attention.q_norm), HeadNorm(attention.k_norm)) if hasattr(attention, "q_norm") else None,
    )


def _gpt2(model: Any) -> Blocks:
    count, size = model.config.n_head, model.config.n_embd // model.config.n_head

    def embed(packed: Packed, x: Tensor) -> None:
        x.copy_(F.embedding(packed.ids, model.wte.weight)).add_(F.embedding(packed.positions, model.wpe.weight))

    blocks = [_gpt2_block(layer) for layer in model.h]
    return Blocks(Heads(count, count, size, size**-0.5), embed, None, blocks, LayerNorm(model.ln_f))


def _gpt2_block(layer: Any) -> Block:
    return Block(
        norm=LayerNorm(layer.ln_1),
        qkv=Joined([layer.attn.c_attn]),
        out=Joined([layer.attn.c_proj]),
        middle_norm=LayerNorm(layer.ln_2),
        into=Joined([layer.mlp.c_fc]),
        middle=Gelu(),
        down=Joined([layer.mlp.c_proj]),
    )
