"""Owns model folders made without torch: real safetensors files of zeros in the layout of a family, small enough to write in a test."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save_file

LLAMA = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 96,
    "max_position_embeddings": 512,
    "tie_word_embeddings": True,
}


def tensors(config: dict[str, Any]) -> dict[str, np.ndarray]:
    """Weights of a Llama of these measures, all zero, in half precision."""
    h, m, v = config["hidden_size"], config["intermediate_size"], config["vocab_size"]
    kv = h * config["num_key_value_heads"] // config["num_attention_heads"]
    found = {"model.embed_tokens.weight": (v, h), "model.norm.weight": (h,)}
    for i in range(config["num_hidden_layers"]):
        at = f"model.layers.{i}."
        found |= {f"{at}self_attn.{n}_proj.weight": (kv if n in "kv" else h, h) for n in "qkvo"}
        found |= {f"{at}mlp.gate_proj.weight": (m, h), f"{at}mlp.up_proj.weight": (m, h), f"{at}mlp.down_proj.weight": (h, m)}
        found |= {f"{at}input_layernorm.weight": (h,), f"{at}post_attention_layernorm.weight": (h,)}
    return {name: np.zeros(shape, np.float16) for name, shape in found.items()}


def paper_model(folder: Path, **changes: Any) -> Path:
    """A whole model folder; `changes` go into its config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    config = LLAMA | changes
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    (folder / "tokenizer.json").write_text('{"model": {}}', "utf-8")
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": "{{ messages[0]['content'] }}"}), "utf-8")
    save_file(tensors(config), folder / "model.safetensors")
    return folder
