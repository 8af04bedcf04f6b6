"""Owns what the tests of training share: tiny models of many families, uneven examples, and a run folder driven in this process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from loralab.core import events
from loralab.core.events import EventLog, Stepped
from loralab.core.jobs import TrainJob
from loralab.core.records import Plan
from loralab.runs.run_folder import RunFolder
from loralab.tasks.text import TextPlan
from tests.support import tiny

_SMALL: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "max_position_embeddings": 256}
_GATED: dict[str, Any] = {**_SMALL, "intermediate_size": 64, "num_key_value_heads": 2}
_SPECIAL: dict[str, Any] = {"pad_token_id": 1, "bos_token_id": 0, "eos_token_id": 3}
_GPT2: dict[str, Any] = {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 256, "bos_token_id": 0, "eos_token_id": 3}

# family -> (model type, settings); dropout off, so that two passes can be compared
FAMILIES: dict[str, tuple[str, dict[str, Any]]] = {
    "llama": ("llama", _GATED),
    "mistral": ("mistral", {**_GATED, "sliding_window": None}),
    "qwen2": ("qwen2", _GATED),
    "qwen3": ("qwen3", {**_GATED, "head_dim": 8}),
    "phi3": ("phi3", _GATED),
    "gemma2": ("gemma2", {**_GATED, "head_dim": 8, "sliding_window": 128, "final_logit_softcapping": 30.0}),
    "gpt2": ("gpt2", {**_GPT2, "attn_pdrop": 0.0, "resid_pdrop": 0.0, "embd_pdrop": 0.0}),
    "falcon_rotary": ("falcon", {**_SMALL, "alibi": False, "multi_query": True}),
    "falcon_alibi": ("falcon", {**_SMALL, "alibi": True, "new_decoder_architecture": False, "multi_query": False, "bias": True}),
}


def model(family: str, vocabulary: int = 300) -> Any:
    """A random fp32 causal language model of a family, in evaluation mode."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM

    kind, settings = FAMILIES[family]
    torch.manual_seed(7)
    config = AutoConfig.for_model(kind, vocab_size=vocabulary, **(_SPECIAL | settings))
    return AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()


def model_folder(folder: Path, family: str = "llama") -> Path:
    """Such a model on disk with a real tokenizer and chat template."""
    size = tiny._tokenizer(folder, 256)
    model(family, size).save_pretrained(folder)
    return folder


def uneven_file(path: Path, rows: int = 60) -> Path:
    """Question and answer rows, no two alike, with answers of very different lengths."""
    lines = [
        json.dumps({"prompt": f"Tell me about number {i}.", "completion": " ".join(["green sea and blue sky"] * (1 + (i * 7) % 11))})
        for i in range(rows)
    ]
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def plan(dataset: Path, **settings: Any) -> TextPlan:
    """A text plan for a tiny model: short, exact, without early stopping."""
    chosen: dict[str, Any] = {
        "dataset": str(dataset),
        "rank": 4,
        "alpha": 8,
        "max_length": 128,
        "micro_batch": 4,
        "effective_batch": 8,
        "patience": 0,
        "learning_rate": 1e-2,
        "epochs": 100.0 if settings.get("max_steps") else 2.0,  # most updates are a limit, never more than the rounds need
        "eval_every": 100,
        **settings,
    }
    return TextPlan.model_validate(chosen)


def run_folder(path: Path, chosen: Plan, base: Path) -> RunFolder:
    """The worker's side of a run folder, as a worker would open it; opening it again goes on with the same run."""
    path.mkdir(parents=True, exist_ok=True)
    job = TrainJob(run=path.name, plan=chosen.model_dump(), model=str(base))
    return RunFolder(path, job, EventLog(path / "events.jsonl"))


def told(folder: RunFolder, kind: type[Any] | None = None) -> list[Any]:
    """Events of a run, of one kind where named."""
    return [event for event in events.read(folder.path / "events.jsonl")[0] if kind is None or isinstance(event, kind)]


def losses(folder: RunFolder) -> list[float]:
    """The loss of every update told."""
    return [event.loss for event in told(folder, Stepped)]
