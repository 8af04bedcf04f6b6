"""Owns an adapter as GGUF, to be put over a base with `--lora`.

Invariant: llama.cpp multiplies by alpha / rank and knows nothing else, so any other scale (rank-stabilised, rank and alpha patterns) is
folded into the matrix B; what it cannot express (DoRA, trained biases, whole modules) is refused.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf

from loralab.core.errors import Problem, UserError
from loralab.exports.gguf.families import FAMILIES, Settings
from loralab.exports.gguf.tensors import Names, arranged
from loralab.exports.gguf.writer import safe_name
from loralab.models.adapter_file import by_pattern

PREFIX = "base_model.model."
INSTEAD = "Take the GGUF file of the whole model instead: there the adapter is merged in."


@dataclass(frozen=True)
class Pair:
    """The two matrices of one layer: `a` [rank, in], `b` [out, rank] with everything but alpha / rank folded in."""

    name: str  # of the weight in llama.cpp
    a: Any
    b: Any


def settings_of(adapter: Path) -> Settings:
    """An adapter's adapter_config.json."""
    return json.loads((adapter / "adapter_config.json").read_text("utf-8"))


def refused(settings: Settings) -> Problem | None:
    """Why an adapter cannot be a GGUF adapter; None when it can."""
    if settings.get("peft_type", "LORA") != "LORA":
        return no(f"it is not a LoRA adapter ({settings['peft_type']})")
    if settings.get("use_dora"):
        return no("llama.cpp does not know DoRA")
    if settings.get("modules_to_save") or settings.get("trainable_token_indices"):
        return no("it holds whole layers besides its small matrices")
    if settings.get("bias", "none") != "none" or settings.get("lora_bias"):
        return no("it holds trained biases")
    return None


def scale_of(module: str, settings: Settings) -> float:
    """What PEFT multiplies a layer's update with: alpha / rank, or alpha / sqrt(rank) when rank-stabilised; patterns by module name."""
    rank = by_pattern(settings.get("rank_pattern") or {}, module, settings["r"])
    alpha = by_pattern(settings.get("alpha_pattern") or {}, module, settings["lora_alpha"])
    return alpha / (math.sqrt(rank) if settings.get("use_rslora") else rank)


def pairs(adapter: Path, config: Settings) -> Iterator[Pair]:
    """All layers of an adapter. Raises UserError for one llama.cpp has no place for."""
    from safetensors.torch import load_file

    settings, names = settings_of(adapter), Names(config)
    found = load_file(adapter / "adapter_model.safetensors")
    layers = sorted({name.rpartition(".lora_")[0] for name in found if ".lora_" in name})
    strange = [name for name in found if not re.search(r"\.lora_[AB](\.default)?\.weight$", name)]
    if strange or not layers:
        raise UserError(
            f"This adapter holds something llama.cpp does not know ({(strange or ['nothing'])[0]}).", INSTEAD, code="no_gguf_adapter"
        )
    for layer in layers:
        module = layer.removeprefix(PREFIX)
        a, b = (next(v for k, v in found.items() if k.startswith(f"{layer}.lora_{side}.")).float() for side in "AB")
        source = f"{module}.weight"
        wanted = scale_of(module, settings) / (settings["lora_alpha"] / a.shape[0])
        yield Pair(names(source), a.numpy(), (arranged(source, b, config) * wanted).contiguous().numpy())


def write(path: Path, adapter: Path, config: Settings, name: str) -> int:
    """Write the adapter in fp32; returns how many layers it changes."""
    found = list(pairs(adapter, config))
    writer = gguf.GGUFWriter(path, FAMILIES[config["model_type"]].arch)
    try:
        writer.add_type("adapter")
        writer.add_name(safe_name(name))
        writer.add_string(gguf.Keys.Adapter.TYPE, "lora")
        writer.add_float32(gguf.Keys.Adapter.LORA_ALPHA, float(settings_of(adapter)["lora_alpha"]))
        for pair in found:
            writer.add_tensor(f"{pair.name}.lora_a", pair.a)
            writer.add_tensor(f"{pair.name}.lora_b", pair.b)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
    finally:
        writer.close()
    return len(found)


def no(reason: str) -> Problem:
    """That an adapter cannot be a GGUF adapter, and what to take instead."""
    return Problem(code="no_gguf_adapter", what=f"This adapter cannot become a GGUF adapter: {reason}.", todo=INSTEAD)
