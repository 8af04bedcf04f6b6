"""Owns adapters as other programs leave them, for the tests of bringing one in. Invariant: each is a real adapter, written by PEFT."""

from __future__ import annotations

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from loralab.lab import Lab
from loralab.models.catalog import catalogue
from tests.support import gguf_models

WEIGHTS, CONFIG = "adapter_model.safetensors", "adapter_config.json"
# The `target_modules` Unsloth writes: one pattern over the whole name.
UNSLOTH = (
    r"(?:.*?(?:language|text).*?(?:self_attn|attention|attn|mlp|feed_forward|ffn|dense).*?(?:k_proj|v_proj|q_proj|up_proj).*?)|"
    r"(?:\bmodel\.layers\.[\d]{1,}\.(?:self_attn|attention|attn|mlp|feed_forward|ffn|dense)\.(?:(?:k_proj|v_proj|q_proj|up_proj)))"
)


def edit(folder: Path, **changes: Any) -> None:
    found = json.loads((folder / CONFIG).read_text()) | changes
    (folder / CONFIG).write_text(json.dumps(found))


def rewrite(folder: Path, change: Callable[[str, Any], Any]) -> None:
    tensors = {name: change(name, tensor) for name, tensor in load_file(folder / WEIGHTS).items()}
    save_file({name: tensor.contiguous() for name, tensor in tensors.items() if tensor is not None}, folder / WEIGHTS, {"format": "pt"})


def llama_factory(folder: Path, base: Path) -> Path:
    """An output folder as LLaMA-Factory leaves it: adapter, tokenizer, logs, a pickle of its arguments, checkpoints."""
    gguf_models.adapter_folder(folder, base, use_rslora=True, lora_dropout=0.1)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(base / name, folder / name)
    shutil.copytree(folder, folder / "checkpoint-20")
    logged = [{"epoch": i / 10, "grad_norm": 1.5, "learning_rate": 1e-4, "loss": 4.0 - i, "step": 10 * i} for i in (1, 2)]
    state = {"max_steps": 20, "global_step": 20, "log_history": [*logged, {"epoch": 0.2, "train_runtime": 12.0, "step": 20}]}
    (folder / "trainer_state.json").write_text(json.dumps(state))
    (folder / "trainer_log.jsonl").write_text('{"current_steps": 10, "total_steps": 20, "loss": 3.0, "lr": 0.0001, "percentage": 50.0}\n')
    (folder / "all_results.json").write_text("{}")
    (folder / "training_args.bin").write_bytes(pickle.dumps({"learning_rate": 1e-4}))
    return folder


def unsloth(folder: Path, base: Path) -> Path:
    """A folder as Unsloth's save_pretrained leaves it: one pattern for the targets, a squeezed base's name, a mapping of its own."""
    gguf_models.adapter_folder(folder, base, target_modules=UNSLOTH)
    mapped = {"base_model_class": "LlamaForCausalLM", "parent_library": "transformers.models.llama.modeling_llama", "unsloth_fixed": True}
    name = next(entry.hub_id.rpartition("/")[2] for entry in catalogue() if entry.hub_id)
    edit(folder, base_model_name_or_path=f"unsloth/{name}-unsloth-bnb-4bit", auto_mapping=mapped, peft_version="0.99.0", a_new_option=None)
    for name in ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja"):
        shutil.copyfile(base / name, folder / name)
    return folder


def left(lab: Lab) -> list[str]:
    """What lies in the workspace besides what is always there."""
    found = [*lab.home.glob(".import-*"), *(lab.home / "runs").glob("*")] if (lab.home / "runs").is_dir() else []
    return [path.name for path in found]
