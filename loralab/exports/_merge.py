"""Owns merging an adapter into its base straight from file to file: W + scale * B A in fp32, a tensor at a time.

Invariant: at no time is more than one shard of the result in memory; a base that was trained over in 4 bit is read in the numbers it
was published in. What this way does not know (DoRA, whole trained layers, embeddings, other names in the files) it leaves to PEFT. Where
the base's output matrix is its embedding and the adapter changes one of them, the result has two.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open

from loralab.exports import Note, Source
from loralab.exports.gguf import lora
from loralab.models.model_folder import header, read_json, weight_files

SHARD = 2_000_000_000  # bytes in one file of the result
PREFIX = "base_model.model."
SIDEWAYS = frozenset({"gpt2", "openai-gpt"})  # families whose layers are stored [in, out]; an adapter's settings have no say in it


@dataclass(frozen=True)
class Layer:
    """What is added to one weight: the names of its two matrices in the adapter's file, and the factor."""

    a: str
    b: str
    scale: float
    sideways: bool


def layers_of(source: Source) -> dict[str, Layer]:
    """Weight in the base's files -> what is added to it; empty when this adapter has to be merged by PEFT."""
    settings = lora.settings_of(source.adapter)
    config = read_json(source.model / "config.json")
    found = _tensors([source.adapter / "adapter_model.safetensors"])
    if lora.refused(settings) or any(not name.endswith((".lora_A.weight", ".lora_B.weight")) for name in found):
        return {}
    known = _tensors(weight_files(source.model))
    layers: dict[str, Layer] = {}
    for name in found:
        layer, mark, _ = name.rpartition(".lora_A")
        if not mark:
            continue
        module = layer.removeprefix(PREFIX)
        weight = _place(f"{module}.weight", known)
        sideways = config.get("model_type") in SIDEWAYS and module != "lm_head"
        out, inside = found[f"{layer}.lora_B.weight"][0], found[name][1]
        if not weight or known[weight] != ([inside, out] if sideways else [out, inside]):
            return {}
        layers[weight] = Layer(name, f"{layer}.lora_B.weight", lora.scale_of(module, settings), sideways)
    tied = config.get("tie_word_embeddings") and any("lm_head" in name for name in layers)
    return {} if tied else layers


def joined(model: Any) -> Any:
    """The adapter of a PEFT model merged into its base, in memory; an output matrix that was the embedding becomes one of its own."""
    import torch

    base: Any = model.get_base_model()
    ends = (base.get_output_embeddings(), base.get_input_embeddings())
    config = base.config.get_text_config()
    apart = bool(config.tie_word_embeddings) and any(type(end).__module__.startswith("peft.") for end in ends)
    if apart:
        base.config.tie_word_embeddings = config.tie_word_embeddings = False
        head = getattr(ends[0], "base_layer", None) or getattr(ends[0], "original_module", None) or ends[0]
        head.weight = torch.nn.Parameter(head.weight.detach().clone(), requires_grad=False)
    merged = model.merge_and_unload(safe_merge=True)
    head, embedding = merged.get_output_embeddings(), merged.get_input_embeddings()
    if apart and head.weight is embedding.weight:
        head.weight = torch.nn.Parameter(head.weight.detach().clone(), requires_grad=False)
    return merged


def _place(name: str, known: Mapping[str, Any]) -> str:
    """The weight's name in the files, also where they leave the model's own first name out (transformer.h.0 as h.0)."""
    return next((short for short in (name, name.partition(".")[2]) if short in known), "")


def _tensors(files: list[Path]) -> dict[str, list[int]]:
    """Name -> shape, from the heads of the files alone."""
    return {name: entry["shape"] for file in files for name, entry in header(file).items()}


def write(source: Source, layers: Mapping[str, Layer], target: Path, dtype: Any, note: Note) -> None:
    """Write config.json and the shards of the merged model into `target`."""
    config = read_json(source.model / "config.json")
    config.pop("torch_dtype", None)
    config["dtype"] = str(dtype).removeprefix("torch.")
    (target / "config.json").write_text(json.dumps(config, indent=2) + "\n", "utf-8")
    shards = _shards(weight_files(source.model), dtype.itemsize)
    for number, shard in enumerate(shards, 1):
        note("merging" if len(shards) == 1 else f"merging, part {number} of {len(shards)}")
        name = _name(number, len(shards))
        _write_shard(source.adapter / "adapter_model.safetensors", shard, layers, dtype, target / name)
    if len(shards) > 1:
        index = {name: _name(number, len(shards)) for number, shard in enumerate(shards, 1) for name in shard}
        total = sum(path.stat().st_size for path in target.glob("model-*.safetensors"))
        papers = {"metadata": {"total_size": total}, "weight_map": index}
        (target / "model.safetensors.index.json").write_text(json.dumps(papers, indent=2) + "\n", "utf-8")


def _name(number: int, of: int) -> str:
    return "model.safetensors" if of == 1 else f"model-{number:05d}-of-{of:05d}.safetensors"


def _shards(files: list[Path], width: int) -> list[dict[str, Path]]:
    """Tensors in their order, in portions of at most SHARD bytes: name -> the file it is read from."""
    shards: list[dict[str, Path]] = [{}]
    filled = 0
    for file in files:
        for name, entry in header(file).items():
            needed = math.prod(entry["shape"]) * width
            if shards[-1] and filled + needed > SHARD:
                shards.append({})
                filled = 0
            shards[-1][name] = file
            filled += needed
    return shards


def _write_shard(adapter: Path, shard: Mapping[str, Path], layers: Mapping[str, Layer], dtype: Any, target: Path) -> None:
    from safetensors.torch import save_file

    tensors: dict[str, Any] = {}
    with safe_open(adapter, framework="pt") as learned:
        for file in dict.fromkeys(shard.values()):
            with safe_open(file, framework="pt") as base:
                for name in (name for name, place in shard.items() if place == file):
                    tensors[name] = _merged(base.get_tensor(name), layers.get(name), learned, dtype)
    save_file(tensors, target, metadata={"format": "pt"})


def _merged(weight: Any, layer: Layer | None, learned: Any, dtype: Any) -> Any:
    if not weight.is_floating_point():
        return weight
    if layer is None:
        return weight.to(dtype).contiguous()
    update = learned.get_tensor(layer.b).float() @ learned.get_tensor(layer.a).float() * layer.scale
    return (weight.float() + (update.T if layer.sideways else update)).to(dtype).contiguous()
