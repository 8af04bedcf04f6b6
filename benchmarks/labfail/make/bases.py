"""Owns the base models of LabFail: tiny ones of six families, taught a little English first, so that a training begins with a model.

Invariant: learning rates mean here what they do in the models people use. In a narrow model a low-rank correction moves the output far
less, so the scale of each norm is made GAIN times larger and the weights behind it as much smaller: the model computes what it did, and
an adapter on it learns as fast at 1e-3 as one on a large model.
"""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

from benchmarks.labfail.make.texts import TEXTS
from loralab.core.paths import STARTER
from tests.support import tiny

VOCABULARY, CONTEXT = 1024, 256
GAIN = 12.0
STEPS, BATCH, RATE = 500, 16, 3e-3

_SMALL: dict[str, Any] = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": CONTEXT}
_GATED: dict[str, Any] = {**_SMALL, "intermediate_size": 160, "num_key_value_heads": 2}
_GPT2: dict[str, Any] = {"n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": CONTEXT}
_STILL: dict[str, Any] = {"attn_pdrop": 0.0, "resid_pdrop": 0.0, "embd_pdrop": 0.0}
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", _GATED),
    "qwen3": ("qwen3", {**_GATED, "head_dim": 16}),
    "gpt2": ("gpt2", {**_GPT2, **_STILL}),
    "gemma2": ("gemma2", {**_GATED, "head_dim": 16, "sliding_window": 128, "final_logit_softcapping": 30.0}),
    "phi3": ("phi3", _GATED),
    "falcon": ("falcon", {**_SMALL, "alibi": False, "multi_query": True}),
}
# ending of a norm's name -> the layers in the same block that read what it gives
_READERS: dict[str, tuple[str, ...]] = {
    "input_layernorm": ("q_proj", "k_proj", "v_proj", "qkv_proj", "query_key_value", "dense_h_to_4h"),
    "post_attention_layernorm": ("gate_proj", "up_proj", "gate_up_proj"),
    "pre_feedforward_layernorm": ("gate_proj", "up_proj"),
    "ln_1": ("c_attn",),
    "ln_2": ("c_fc",),
}


def base(root: Path, family: str) -> Path:
    """The folder of a base model; made where it is not there yet."""
    if family == "starter":
        return STARTER
    folder = root / "bases" / family
    if not (folder / "model.safetensors").is_file():
        _make(folder.with_name(f"{family}.making"), family)
        folder.with_name(f"{family}.making").rename(folder)
    return folder


def _make(folder: Path, family: str) -> None:
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    size = _tokenizer(folder)
    kind, settings = FAMILIES[family]
    torch.manual_seed(sorted(FAMILIES).index(family))
    special = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 3}
    config = AutoConfig.for_model(kind, vocab_size=size, **(special | {"tie_word_embeddings": True} | settings))
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    _teach(model, folder)
    _louder(model)
    model.save_pretrained(folder)


def _tokenizer(folder: Path) -> int:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=tiny.SPECIAL, initial_alphabet=alphabet, show_progress=False)  # type: ignore[call-arg]
    tokenizer.train_from_iterator([text for pair in lessons() for text in pair], trainer)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|im_end|>",
        "pad_token": "<|pad|>",
        "model_max_length": CONTEXT,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "chat_template.jinja").write_text(tiny.TEMPLATE)
    return tokenizer.get_vocab_size()


def lessons() -> list[tuple[str, str]]:
    """What the bases were taught: half of two samples that no data set here comes from, and nothing of what forgetting is measured on."""
    poems = [json.loads(line) for line in (TEXTS / "poet.jsonl").read_text("utf-8").splitlines()]
    pairs = [(row["prompt"], row["completion"][:400]) for row in poems]
    code = [json.loads(line) for line in (TEXTS / "code_commenter.jsonl").read_text("utf-8").splitlines()][:400]
    return pairs + [("What does this do? " + row["code"][:120], row["docstring"][:160]) for row in code]


def _teach(model: Any, folder: Path) -> None:
    """All weights, on the lessons as conversations; a minute of a processor."""
    import torch

    from loralab.core.records import Example, Message
    from loralab.models.tokenize import TextEncoder

    encoder = TextEncoder(folder)
    rows = [
        Example(row=n, messages=(Message(role="user", content=question), Message(role="assistant", content=answer)))
        for n, (question, answer) in enumerate(lessons(), 1)
    ]
    encoded = [row.ids for row in encoder.many(rows, 96, "everything")]
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=STEPS)
    draw = random.Random(1)
    model.train()
    for _ in range(STEPS):
        chosen = [encoded[draw.randrange(len(encoded))] for _ in range(BATCH)]
        longest = max(map(len, chosen))
        ids = torch.tensor([ids + [1] * (longest - len(ids)) for ids in chosen])
        labels = ids.masked_fill(ids == 1, -100)
        loss = model(input_ids=ids, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
    model.eval()


def _louder(model: Any) -> None:
    """GAIN into the norms, out of the layers behind them. Gemma's norms multiply by one plus their weight."""
    import torch

    offset = 1.0 if model.config.model_type.startswith("gemma") else 0.0
    modules = dict(model.named_modules())
    with torch.no_grad():
        for name, module in modules.items():
            readers = _READERS.get(name.rpartition(".")[2])
            if readers is None or getattr(module, "weight", None) is None:
                continue
            block = name.rpartition(".")[0]
            found = [m for n, m in modules.items() if n.startswith(block + ".") and n.rpartition(".")[2] in readers]
            if not found:
                continue
            module.weight.copy_((module.weight + offset) * GAIN - offset)
            if getattr(module, "bias", None) is not None:
                module.bias.mul_(GAIN)
            for reader in found:
                reader.weight.div_(GAIN)
