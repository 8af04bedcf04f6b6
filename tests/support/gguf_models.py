"""Owns what the GGUF tests share: tiny models of each family with real tokenizers of each kind, and a model in llama.cpp."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from loralab.core.errors import LabError
from loralab.runtimes.llama import parent, quantizer
from tests.support import tiny

_SPECIAL: dict[str, Any] = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 3}
_SMALL: dict[str, Any] = {
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "intermediate_size": 128,
    "max_position_embeddings": 512,
}
_WINDOW: dict[str, Any] = {**_SMALL, "head_dim": 32, "sliding_window": 16, "query_pre_attn_scalar": 32}  # shorter than the prompt
_FALCON: dict[str, Any] = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "alibi": False, "bias": False}
_STRETCHED = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
_LONG: dict[str, Any] = {"rope_type": "longrope", "rope_theta": 10000.0, "original_max_position_embeddings": 256}
_FACTORS = {"long_factor": [1.0 + 0.1 * i for i in range(8)], "short_factor": [1.0 + 0.02 * i for i in range(8)]}

# name -> (model type, settings)
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", _SMALL),
    "llama_biases": ("llama", {**_SMALL, "tie_word_embeddings": True, "attention_bias": True, "mlp_bias": True, "head_dim": 32}),
    "llama3": ("llama", {**_SMALL, "rope_parameters": {**_STRETCHED, "original_max_position_embeddings": 64}}),
    "llama_linear": ("llama", {**_SMALL, "rope_parameters": {"rope_type": "linear", "rope_theta": 10000.0, "factor": 2.0}}),
    "mistral": ("mistral", {**_SMALL, "sliding_window": 256}),
    "qwen2": ("qwen2", _SMALL),
    "qwen3": ("qwen3", {**_SMALL, "head_dim": 32}),
    "gemma": ("gemma", {**_SMALL, "head_dim": 32}),
    "gemma2": ("gemma2", _WINDOW),
    "gemma3": ("gemma3_text", {**_WINDOW, "num_hidden_layers": 7}),  # the sixth layer is the first that looks at everything
    "phi": ("phi", {**_SMALL, "num_key_value_heads": 4}),
    "phi3": ("phi3", _SMALL),
    "phi3_long": ("phi3", {**_SMALL, "max_position_embeddings": 1024, "rope_parameters": {**_LONG, **_FACTORS}}),
    "gpt2": ("gpt2", {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 512}),
    "falcon": ("falcon", {**_FALCON, "multi_query": True}),
    "falcon_new": ("falcon", {**_FALCON, "new_decoder_architecture": True, "num_kv_heads": 2}),
    "falcon_each": ("falcon", {**_FALCON, "multi_query": False}),
}
# llama.cpp looks GELU up in a table of half precision; everything else it computes as we do
TABLED = {"gemma", "gemma2", "gemma3", "phi", "gpt2", "falcon", "falcon_new", "falcon_each"}

EXACT, TABLE, HALF = 2e-5, 4e-3, 2e-2  # logits: fp32 throughout; GELU from llama.cpp's table of halves; sixteen-bit weights


def model_folder(folder: Path, family: str = "llama", **changes: Any) -> Path:
    """A random model of a family with numbers large enough to tell its parts apart, and a real tokenizer and chat template."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    kind, settings = FAMILIES[family]
    size = tiny._tokenizer(folder, 256)
    torch.manual_seed(7)
    config = AutoConfig.for_model(kind, **{**_SPECIAL, "vocab_size": size, **settings, **changes})
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.add_(torch.randn_like(parameter) * 0.1)
            else:
                parameter.mul_(3.0)
    model.save_pretrained(folder)
    return folder


def ggml(kind: str, columns: int, raw: bytes) -> bytes:
    """ggml's own packing, in this process."""
    return quantizer.Quantizer().quantize(parent.packing_library(), kind, columns, raw)


def written(folder: Path, path: Path, variant: str = "f32") -> tuple[Any, Any, Any]:
    """Write the model in a folder as GGUF; returns model, encoder and the types chosen."""
    import torch

    from loralab.exports.gguf import recipe, tokens, writer
    from loralab.models.tokenize import TextEncoder
    from loralab.runtimes.base_model import load_base

    encoder = TextEncoder(folder)
    model = load_base(folder, "fp32", torch.device("cpu"), "eager")
    vocabulary = tokens.read(encoder, model.config.vocab_size)
    choices = writer.write(path, model, vocabulary, recipe.VARIANTS[variant], writer.Label("tiny"), foreign=ggml)
    return model, encoder, choices


@contextmanager
def running(path: Path, adapter: Path | None = None, name: str = "xllamacpp") -> Iterator[Any]:
    """The file in llama.cpp."""
    from loralab.runtimes.llama.parent import LlamaCpp

    runtime = LlamaCpp(path, adapter, context=256, name=name)
    try:
        yield runtime
    finally:
        runtime.close()


def sentencepiece(folder: Path, kind: str = "prepend") -> Path:
    """A tokenizer of the sentencepiece kind: `prepend` as Llama 2's, `metaspace` as newer ones, `bare` as Gemma's."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    special = ["<unk>", "<s>", "</s>"]
    learner = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    learner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")  # type: ignore[assignment]
    alphabet = [f"<0x{i:02X}>" for i in range(256)]
    trainer = trainers.BpeTrainer(vocab_size=700, special_tokens=[*special, *alphabet], show_progress=False)  # type: ignore[call-arg]
    learner.train_from_iterator(
        [tiny.WORDS, tiny.WORDS.title(), "a b c 1 2 3 4 5 6 7 8 9 0 . , ! ? ' \" ( ) / : = + - # @ % $ & * < > [ ] { }"], trainer
    )
    found = json.loads(learner.to_str())
    found["added_tokens"] = [a for a in found["added_tokens"] if a["content"] in special]
    for added in found["added_tokens"]:
        added["normalized"] = False
    replaced = {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}
    prepended = {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u2581"}, replaced]}
    found["normalizer"] = {"prepend": prepended, "metaspace": None, "bare": replaced}[kind]
    found["pre_tokenizer"] = (
        {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "always", "split": False} if kind == "metaspace" else None
    )
    begin = {"SpecialToken": {"id": "<s>", "type_id": 0}}
    sequence = [{"Sequence": {"id": "A", "type_id": 0}}]
    found["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [begin, *sequence],
        "pair": [begin, *sequence, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"<s>": {"id": "<s>", "ids": [1], "tokens": ["<s>"]}},
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.json").write_text(json.dumps(found), "utf-8")
    names = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    (folder / "tokenizer_config.json").write_text(json.dumps(names))
    template = "{{ bos_token }}{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endfor %}"
    (folder / "chat_template.jinja").write_text(template + "{% if add_generation_prompt %}[assistant]{% endif %}")
    return folder


def adapter_folder(folder: Path, base: Path, **settings: Any) -> Path:
    """A PEFT adapter on the model in `base` that changes its answers."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(11)
    wish = LoraConfig(**{"task_type": "CAUSAL_LM", "r": 4, "lora_alpha": 8, "target_modules": "all-linear", **settings})
    model: Any = get_peft_model(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), wish)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.2)
    model.save_pretrained(folder)
    return folder


def compared(path: Path, model: Any, encoder: Any, kind: str = "f32", adapter: Path | None = None) -> dict[str, Any]:
    """The gate's numbers of a file against a model in torch. Raises LabError when it is red."""
    from loralab.exports.gguf import recipe
    from loralab.exports.gguf.inside import file_inside
    from loralab.exports.parity.checks import gate
    from loralab.exports.parity.reference import asked_again, wanted_of
    from loralab.exports.parity.trained import Trained
    from loralab.runtimes.llama.parent import LlamaCpp

    wanted, inside = wanted_of(model, encoder), []
    if adapter is None:
        found = Trained(copy.deepcopy(model), encoder)
        inside = list(file_inside(path, found, recipe.VARIANTS[kind]))
        wanted = replace(wanted, own=asked_again(found.with_the_files_numbers(), encoder, wanted))
    parity = gate(lambda context: LlamaCpp(path, adapter, context=context), encoder, wanted, kind, inside)
    if not parity.proven:
        raise LabError(parity.words, parity.why, code="differs")
    return parity.facts()
