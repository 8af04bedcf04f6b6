"""Owns the adapter: attaching it with PEFT, naming its targets, saving it so that `PeftModel.from_pretrained` loads it anywhere."""

from __future__ import annotations

import shutil
from pathlib import Path

from peft import LoraConfig, PeftModel, get_peft_model
from torch import nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from loralab.core.digest import digest
from loralab.core.errors import UserError
from loralab.core.jobs import TrainJob
from loralab.core.records import Artifact
from loralab.runs.run_folder import RunFolder
from loralab.tasks.text import TextPlan
from loralab.train.finite import refuse_broken

# Endings of layer names in the architectures of the catalogue (Llama, Mistral, Qwen, Gemma, Phi, GPT-2, GPT-NeoX, Falcon).
_ATTENTION = (
    "q_proj",
    "k_proj",
    "v_proj",
    "o_proj",
    "qkv_proj",
    "c_attn",
    "query_key_value",
    "dense",
    "attn.c_proj",
    "self_attention.dense",
)
_MLP = ("gate_proj", "up_proj", "down_proj", "gate_up_proj", "fc1", "fc2", "c_fc", "mlp.c_proj", "dense_h_to_4h", "dense_4h_to_h")
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja")


def brought_in(folder: RunFolder) -> Path | None:
    """Where the adapter of a run lies that was brought in from elsewhere; None for one that learns or learned here."""
    job = folder.asked(TrainJob)
    return folder.path.parent / job.run / "artifacts" / "adapter" if job.imported else None


def attach_adapter(model: PreTrainedModel, plan: TextPlan, like: Path | None = None) -> PeftModel:
    """A fresh adapter on `model` as the plan says, or of the kind in `like`. Its weights are fp32 masters whatever the base's precision."""
    config = (
        _like(like)
        if like
        else LoraConfig(
            task_type="CAUSAL_LM",
            r=plan.rank,
            lora_alpha=plan.alpha,  # type: ignore[arg-type]  # PEFT takes any number
            lora_dropout=plan.dropout,
            target_modules=_targets(model, plan.targets),
            use_rslora=plan.use_rslora,
            use_dora=plan.use_dora,
        )
    )
    try:
        adapted = get_peft_model(model, config, autocast_adapter_dtype=True)
    except ValueError as error:
        names = ", ".join(sorted(_linear_names(model)))
        raise UserError(f"“{plan.targets}” names no part of this model.", f"Its parts are: {names}.", code="bad_targets") from error
    return adapted.train()  # type: ignore[return-value]


def _like(folder: Path) -> LoraConfig:
    """Settings of an adapter that is there, with all a plan has no word for (patterns, whole layers)."""
    config = LoraConfig.from_pretrained(str(folder))
    config.inference_mode = False
    return config  # type: ignore[return-value]


def save_adapter(model: PeftModel, folder: Path, model_folder: Path, step: int) -> Artifact:
    """Write adapter, tokenizer and chat template; the folder appears whole or not at all."""
    refuse_broken({name: p for name, p in model.named_parameters() if p.requires_grad}, "adapter")
    building = folder.with_name(folder.name + ".writing")
    shutil.rmtree(building, ignore_errors=True)
    model.save_pretrained(str(building), safe_serialization=True)
    for name in TOKENIZER_FILES:
        if (model_folder / name).exists():
            shutil.copyfile(model_folder / name, building / name)
    old = folder.with_name(folder.name + ".old")
    shutil.rmtree(old, ignore_errors=True)
    if folder.exists():
        folder.rename(old)
    building.rename(folder)
    shutil.rmtree(old, ignore_errors=True)
    weights = folder / "adapter_model.safetensors"
    size = sum(f.stat().st_size for f in folder.iterdir())
    return Artifact(kind="adapter", path=str(folder), step=step, digest=digest(weights), bytes=size)


def _targets(model: PreTrainedModel, targets: str) -> str | list[str]:
    names = _linear_names(model)
    match targets:
        case "all-linear":
            return "all-linear"
        case "attention" | "mlp":
            wanted = _ATTENTION if targets == "attention" else _MLP
            return [name for name in names if any(name.endswith(end) for end in wanted)]
        case _:
            return [name.strip() for name in targets.split(",") if name.strip()]


def _linear_names(model: PreTrainedModel) -> set[str]:
    """Last two parts of every linear layer's name inside the blocks (`self_attn.q_proj`), the output head left out."""
    head = model.get_output_embeddings()
    found = {name for name, module in model.named_modules() if isinstance(module, nn.Linear | Conv1D) and module is not head}
    return {".".join(name.split(".")[-2:]) for name in found}
