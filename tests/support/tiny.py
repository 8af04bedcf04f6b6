"""Owns the smallest real things tests work with: a byte-level BPE tokenizer, a random Llama, an adapter on it, rows to hold out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

WORDS = (
    "what is the colour of grass sky sea snow blood coal it is green blue white red black tell me about a small kind quick answer please"
)
TEMPLATE = (
    "{% for message in messages %}{% if message.role == 'assistant' %}"
    "<|im_start|>assistant\n{% generation %}{{ message.content }}<|im_end|>"
    "{% endgeneration %}\n{% else %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|pad|>", "<|im_start|>", "<|im_end|>"]
COLOURS = {"grass": "green", "the sky": "blue", "snow": "white", "blood": "red", "coal": "black", "the sea": "blue"}


def model_folder(folder: Path, context: int = 256) -> Path:
    """A random Llama of about 0.2 million weights in Hugging Face layout, with a real tokenizer and chat template."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    size = _tokenizer(folder, context)
    torch.manual_seed(7)
    config = LlamaConfig(
        vocab_size=size,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=context,
        tie_word_embeddings=True,
        bos_token_id=0,
        eos_token_id=3,
        pad_token_id=1,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def adapter_folder(folder: Path, base: Path, strength: float = 0.5) -> Path:
    """A PEFT adapter on the model in `base` whose weights are random and not zero, so that switching it on can be seen."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(11)
    config = LoraConfig(task_type="CAUSAL_LM", r=4, lora_alpha=8, target_modules="all-linear")
    model: Any = get_peft_model(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), config)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=strength)
    model.save_pretrained(folder)
    return folder


def examples_file(path: Path, rows: int = 120) -> Path:
    """Question and answer rows, no two alike, as .jsonl."""
    things = list(COLOURS.items())
    lines = [
        json.dumps({"prompt": f"What is the colour of {thing}, please, number {i}?", "completion": f"It is {colour}."})
        for i in range(rows)
        for thing, colour in [things[i % len(things)]]
    ]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def _tokenizer(folder: Path, context: int) -> int:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)  # type: ignore[assignment]
    tokenizer.decoder = decoders.ByteLevel()  # type: ignore[assignment]
    trainer = trainers.BpeTrainer(
        vocab_size=400, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )  # type: ignore[call-arg]
    tokenizer.train_from_iterator([WORDS, WORDS.title()], trainer)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|im_end|>",
        "pad_token": "<|pad|>",
        "model_max_length": context,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return tokenizer.get_vocab_size()
