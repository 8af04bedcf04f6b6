"""Owns what a model folder holds, read without loading it: shape, size, template, and what stands in the way of a LoRA adapter.

Invariant: nothing here runs code that came with a model, and no weights are read: only JSON and the headers of safetensors files.
"""

from __future__ import annotations

import json
import math
import struct
from functools import lru_cache
from pathlib import Path
from typing import Any

from loralab.core.errors import Problem
from loralab.core.paths import DATA
from loralab.core.records import Record
from loralab.core.strict_json import load
from loralab.models.seeing import sees, stands_in_the_way

TEMPLATES = DATA / "templates"
MARKER = ".lab-download.json"  # lies in every folder LoRALab made: {"model", "bytes"} and, where it was a squeezed file, "bits"
_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1, "F8_E4M3": 1, "F8_E5M2": 1}
_ATTENTION = ("attn", "attention", "q_proj", "k_proj", "v_proj", "o_proj", "query", "c_attn")
_FUSED = ("GPT2", "GPTBigCode", "GPTNeoX", "Falcon", "Bloom", "CodeGen", "Mpt", "Persimmon", "Phi3", "Glm")
_NOT_LINEAR = ("embed", "wte", "wpe", "lm_head", "norm", "ln_")


class Shape(Record):
    """The measures of a language model that memory and time depend on. Counts of numbers, not bytes."""

    architecture: str
    hidden: int
    layers: int
    intermediate: int
    heads: int
    kv_heads: int
    head_dim: int
    vocab: int
    context: int
    mlp_matrices: int = 3  # 3: gate, up, down; 2: up, down
    tied: bool = True  # the output matrix is the embedding

    @property
    def kv_dim(self) -> int:
        """Width of keys (and of values) over all their heads."""
        return self.kv_heads * self.head_dim

    @property
    def attention_linear(self) -> int:
        """Weights in the attention matrices of all layers."""
        return self.layers * self.hidden * 2 * (self.heads * self.head_dim + self.kv_dim)

    @property
    def mlp_linear(self) -> int:
        """Weights in the feed-forward matrices of all layers."""
        return self.layers * self.mlp_matrices * self.hidden * self.intermediate

    @property
    def parameters(self) -> int:
        """All weights, embeddings included; norms and biases (under 2 %) are not counted."""
        return self.attention_linear + self.mlp_linear + self.vocab * self.hidden * (1 if self.tied else 2)

    def adapter_dims(self, targets: str) -> int:
        """Sum of (inputs + outputs) over the matrices `targets` names: a LoRA adapter has rank times this many weights."""
        q, kv, h = self.heads * self.head_dim, self.kv_dim, self.hidden
        attention = self.layers * ((h + q) + 2 * (h + kv) + (q + h))
        mlp = self.layers * self.mlp_matrices * (h + self.intermediate)
        if self.architecture.startswith(_FUSED):  # queries, keys and values are one matrix, gate and up may be, too
            attention = self.layers * ((h + q + 2 * kv) + (q + h))
            mlp = self.layers * ((h + 2 * self.intermediate) + (self.intermediate + h)) if self.mlp_matrices == 3 else mlp
        if targets == "attention":
            return attention
        if targets == "mlp":
            return mlp
        if targets == "all-linear":
            return attention + mlp
        each = {"q_proj": h + q, "k_proj": h + kv, "v_proj": h + kv, "o_proj": q + h}
        named = [each.get(name.strip(), h + self.intermediate) for name in targets.split(",") if name.strip()]
        return self.layers * sum(named)


@lru_cache(maxsize=1)
def known_architectures() -> frozenset[str]:
    """Class names of the causal language models an adapter is known to fit."""
    return frozenset(json.loads((DATA / "models.json").read_text("utf-8"))["architectures"])


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty when the file is absent or is no object. Raises ValueError when it is damaged."""
    if not path.is_file():
        return {}
    found = load(path.read_text("utf-8"))
    return found if isinstance(found, dict) else {}


def shape_of(config: dict[str, Any]) -> Shape:
    """Measures from a config.json, across the spellings families use. Missing measures are 0."""

    def first(*names: str) -> int:
        return next((int(config[n]) for n in names if isinstance(config.get(n), int | float) and config[n]), 0)

    architecture = str((config.get("architectures") or [""])[0])
    hidden = first("hidden_size", "n_embd", "d_model")
    heads = first("num_attention_heads", "n_head", "n_heads") or 1
    falcon_shared = config.get("multi_query") and not config.get("new_decoder_architecture")
    kv_heads = 1 if falcon_shared else first("num_key_value_heads", "num_kv_heads") or heads
    two = architecture.startswith(
        ("GPT", "Falcon", "PhiFor", "OPT", "Bloom", "Mpt", "Starcoder2", "CodeGen", "XGLM", "BioGpt", "Persimmon", "Nemotron", "NanoChat")
    )
    tied_by_default = not architecture.startswith(
        ("Llama", "Mistral", "PhiFor", "GPTNeoX", "GPTJ", "CodeGen", "Persimmon", "StableLm", "Nemotron")
    )
    return Shape(
        architecture=architecture,
        hidden=hidden,
        layers=first("num_hidden_layers", "n_layer", "n_layers"),
        intermediate=first("intermediate_size", "n_inner", "ffn_dim", "ffn_hidden_size") or 4 * hidden,
        heads=heads,
        kv_heads=kv_heads,
        head_dim=first("head_dim") or hidden // heads,
        vocab=first("vocab_size"),
        context=first("max_position_embeddings", "n_positions", "n_ctx", "max_seq_len", "seq_length") or 2048,
        mlp_matrices=2 if two else 3,
        tied=bool(config.get("tie_word_embeddings", tied_by_default)),
    )


def weight_files(folder: Path) -> list[Path]:
    """The safetensors files the model is loaded from: those of the index where there is one, otherwise all named model*."""
    index = read_json(folder / "model.safetensors.index.json")
    if index:
        names = sorted({str(name) for name in index.get("weight_map", {}).values()})
        if any(name != Path(name).name or not name.endswith(".safetensors") for name in names):
            raise ValueError("its index of weights points outside the folder")
        return [folder / name for name in names]
    return sorted(p for p in folder.glob("model*.safetensors"))


def header(path: Path) -> dict[str, Any]:
    """Tensor names, shapes and types of a safetensors file. Raises ValueError when the file is cut short or damaged."""
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else 0
        if not 2 <= length <= min(size - 8, 100_000_000):
            raise ValueError(f"{path.name} is not a safetensors file")
        tensors = load(file.read(length))
    if not isinstance(tensors, dict) or not all(isinstance(found, dict) for found in tensors.values()):
        raise ValueError(f"{path.name} is not a safetensors file")
    tensors.pop("__metadata__", None)
    for tensor in tensors.values():
        begin, end = tensor["data_offsets"]
        if 8 + length + end > size:
            raise ValueError(f"{path.name} is cut short")
        if not 0 <= begin <= end or math.prod(tensor["shape"]) > 8 * (end - begin):
            raise ValueError(f"{path.name} says untrue things about its weights")
    return tensors


def count_weights(files: list[Path]) -> tuple[int, int, dict[str, int]]:
    """Number of weights, bytes of one weight as stored (of the commonest type), and weights by part (attention, mlp, other)."""
    total, by_type = 0, dict[str, int]()
    parts = {"attention": 0, "mlp": 0, "other": 0}
    for path in files:
        for name, tensor in header(path).items():
            n = math.prod(tensor["shape"])
            total += n
            by_type[tensor["dtype"]] = by_type.get(tensor["dtype"], 0) + n
            linear = len(tensor["shape"]) == 2 and not any(word in name for word in _NOT_LINEAR)
            parts["other" if not linear else "attention" if any(word in name for word in _ATTENTION) else "mlp"] += n
    commonest = max(by_type, key=lambda t: by_type[t], default="F32")
    return total, _BYTES.get(commonest, 2), parts


def template_for(folder: Path | str) -> str:
    """The chat template (Jinja text) a model folder will be trained and asked with: its own, otherwise the plain one."""
    own = own_template(Path(folder))
    return own or (TEMPLATES / "plain.jinja").read_text("utf-8")


def own_template(folder: Path) -> str:
    """The chat template that came with a model; empty when there is none."""
    file = folder / "chat_template.jinja"
    if file.is_file():
        return file.read_text("utf-8")
    found = read_json(folder / "tokenizer_config.json").get("chat_template") or read_json(folder / "chat_template.json").get(
        "chat_template"
    )
    if isinstance(found, list):  # several named templates: the one called default
        found = next((t.get("template") for t in found if isinstance(t, dict) and t.get("name") == "default"), None)
    return found if isinstance(found, str) else ""


def obstacles(config: dict[str, Any], names: set[str]) -> list[Problem]:
    """What stands in the way of training, from a model's config and the names of its files. Needs neither weights nor network."""
    if "adapter_config.json" in names and "config.json" not in names:
        return [_no("is_adapter", "This is an adapter, not a whole model.", "Choose the base model it was made for.")]
    if "config.json" not in names:
        if any(n.endswith(".gguf") for n in names):
            return [
                _no(
                    "gguf_only",
                    "This is a model squeezed for chatting (GGUF), which cannot be trained.",
                    "Choose the original model it was made from.",
                )
            ]
        return [
            _no(
                "no_config",
                "This is not a language model: there is no config.json.",
                "Choose the folder that holds config.json and the weights.",
            )
        ]
    if sees(config):
        return stands_in_the_way(config, names)
    found: list[Problem] = []
    architecture = str((config.get("architectures") or ["unknown"])[0])
    if architecture not in known_architectures():
        found.append(_unknown(architecture, config))
    return found + _squeezed(config) + _missing_files(names)


def _squeezed(config: dict[str, Any]) -> list[Problem]:
    squeezed = config.get("quantization_config")
    if not squeezed:
        return []
    method = squeezed.get("quant_method", "quantised") if isinstance(squeezed, dict) else "quantised"
    todo = "Choose its original; LoRALab squeezes it itself where that helps."
    return [_no("already_quantised", f"This model was squeezed already ({method}).", todo)]


def _missing_files(names: set[str]) -> list[Problem]:
    found: list[Problem] = []
    if not any(n.endswith(".safetensors") for n in names):
        if any(n.endswith((".bin", ".pt", ".pth", ".ckpt")) for n in names):
            found.append(
                _no(
                    "pickle_weights",
                    "The weights are in an old format that may hide programs (pickle).",
                    "Choose a copy of the model with .safetensors files.",
                )
            )
        else:
            found.append(
                _no("no_weights", "There are no weights (.safetensors files).", "Download the model again, or choose another folder.")
            )
    if "tokenizer.json" not in names:
        found.append(
            _no("no_tokenizer", "The tokenizer (tokenizer.json) is missing.", "Download the model again, or choose one that has this file.")
        )
    return found


def _unknown(architecture: str, config: dict[str, Any]) -> Problem:
    if config.get("auto_map"):
        return _no(
            "needs_remote_code",
            f"This model ({architecture}) only works by running programs that come with it, which LoRALab never does.",
            "Choose a model from the list.",
        )
    return _no(
        "unknown_architecture", f"LoRALab does not know how to train this kind of model ({architecture}).", "Choose a model from the list."
    )


def _no(code: str, what: str, todo: str) -> Problem:
    return Problem(code=code, what=what, todo=todo)
