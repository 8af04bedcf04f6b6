"""Owns the adapter: attaching it with PEFT, naming its targets, saving it so that `PeftModel.from_pretrained` loads it anywhere.

Invariant: whatever the kind, the base's own weights are never touched and the file is plain LoRA (or DoRA): what PiSSA takes out of the
base and how MiSS folds its inputs stand in the two matrices themselves.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from peft import LoraConfig, PeftModel, get_peft_model
from peft.utils.integrations import dequantize_module_weight
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.pytorch_utils import Conv1D

from loralab.core.digest import digest
from loralab.core.errors import UserError
from loralab.core.jobs import TrainJob
from loralab.core.records import Artifact
from loralab.models.tokenize import TextEncoder
from loralab.runs.run_folder import RunFolder
from loralab.sessions import ranks
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
            r=plan.file_rank,
            lora_alpha=_alpha(plan),  # type: ignore[arg-type]  # PEFT takes any number
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
    if like is None and plan.adapter == "pissa":
        _begin_with_strongest(adapted, plan.rank)
    if like is None and plan.adapter == "miss":
        for layer in ranks.layers(adapted).values():
            layer.lora_A[ranks.NAME] = _Folded(layer.lora_A[ranks.NAME].weight)
    if not plan.dropout:
        _silence(model)
    return adapted.train()  # type: ignore[return-value]


def _silence(model: nn.Module) -> None:
    """Where a plan asks for no dropout, what a base itself would drop out while learning (GPT-2, Falcon) stays, too: it does not learn."""
    for name, module in model.named_modules():
        if "lora" not in name and isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(getattr(module, "attention_dropout", None), float):
            module.attention_dropout = 0.0  # type: ignore[assignment]  # families with a kernel of their own keep a number


def groups(trained: Mapping[str, Tensor], plan: TextPlan) -> list[dict[str, Any]]:
    """What is trained as groups of an optimiser: with LoRA+ (Hayou et al. 2024, arXiv 2402.12354) B learns `lora_plus` times faster.

    PiSSA's are not decayed: towards zero they would take away what the base itself had there.
    """
    rest = {"weight_decay": 0.0} if plan.adapter == "pissa" else {}
    second = [p for name, p in trained.items() if ".lora_B." in name] if plan.lora_plus != 1 else []
    held = {id(p) for p in second}
    first = [p for p in trained.values() if id(p) not in held]
    return [{"params": first, **rest}, *([{"params": second, "ratio": plan.lora_plus, **rest}] if second else [])]


def _alpha(plan: TextPlan) -> float:
    """The alpha with which matrices of the file's rank are as loud as the plan's rank and alpha say."""
    times = plan.file_rank / plan.rank
    return plan.alpha * (times**0.5 if plan.use_rslora else times)


@torch.no_grad()
def _begin_with_strongest(model: nn.Module, rank: int) -> None:
    """PiSSA (Meng et al. 2024, arXiv 2404.02948): the strongest directions of each weight are what learns.

    The paper takes them out of the base. Here the base stays and they are taken out by a second half of the matrices that is held still:
    W + s·(B·A - B0·A0), which PEFT's own conversion to plain LoRA writes, too. So the model without its adapter is the base, whatever
    numbers it is stored in.
    """
    for layer in ranks.layers(model).values():
        a, b = layer.lora_A[ranks.NAME].weight, layer.lora_B[ranks.NAME].weight
        a.register_hook(lambda gradient: torch.cat([gradient[:rank], torch.zeros_like(gradient[rank:])]))
        b.register_hook(lambda gradient: torch.cat([gradient[:, :rank], torch.zeros_like(gradient[:, rank:])], 1))
        if a.is_meta:
            continue
        weight = dequantize_module_weight(layer.get_base_layer()).detach().float()
        weight = weight.T if layer.fan_in_fan_out else weight
        k = min(rank, *weight.shape)
        left, strengths, right = torch.svd_lowrank(weight, q=min(2 * k, *weight.shape), niter=4)
        root = (strengths[:k] / layer.scaling[ranks.NAME]).sqrt()
        a[:k] = a[rank : rank + k] = root[:, None] * right[:, :k].T
        b[:, :k] = left[:, :k] * root
        b[:, rank : rank + k] = -b[:, :k]


class _Folded(nn.Module):
    """MiSS (Kang & Yin 2024, arXiv 2409.15371): x [.., in] -> sums [.., rank] of every rank-th input; only what follows learns.

    `weight` [rank, in] says the same as a matrix, so that what is saved and merged is plain LoRA.
    """

    def __init__(self, like: Tensor) -> None:
        super().__init__()
        self.out_features, self.in_features = like.shape
        places = torch.arange(self.in_features, device=like.device)
        weight = torch.zeros_like(like, requires_grad=False)
        weight[places % self.out_features, places] = 1.0
        self.register_buffer("weight", weight)

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (0, -self.in_features % self.out_features))
        return padded.unflatten(-1, (-1, self.out_features)).sum(-2)


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
    if (model_folder / "tokenizer.json").exists():
        TextEncoder(model_folder).keep_template(building)
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
