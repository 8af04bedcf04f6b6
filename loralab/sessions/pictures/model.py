"""Owns the model of a run on pictures: a backbone that sees, a head that answers, and the adapter in between, attached with PEFT.

Invariant: what learns is in the adapter and the head, and both are in the adapter's folder; everything else is as it was loaded.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn

from loralab.tasks.pictures import PicturePlan

SAVED = ".modules_to_save."  # in the names of what answers, which is saved whole


def attach(model: Any, plan: PicturePlan) -> PeftModel:
    """The model with a fresh adapter beside what it names as `targets`, and a copy of what it names as `to_save` that learns.

    PEFT compares the ends of names: a name that several modules end with would save, and train, what was to stay as it is.
    """
    every = [name for name, _ in model.named_modules()]
    if wrong := [name for name in model.to_save if sum(one.endswith(name) for one in every) != 1]:
        raise ValueError(f"not the name of one module: {wrong[0]}")
    config = LoraConfig(
        r=plan.rank,
        lora_alpha=plan.alpha,  # type: ignore[arg-type]  # PEFT takes any number
        lora_dropout=plan.dropout,
        target_modules=model.targets,
        modules_to_save=list(model.to_save),
    )
    return get_peft_model(model, config).to(memory_format=torch.channels_last)  # type: ignore[arg-type, return-value]


def groups(model: nn.Module, plan: PicturePlan) -> list[dict[str, Any]]:
    """What is trained as groups of an optimiser: the head learns `head_rate` times as fast as the adapter."""
    named = {name: p for name, p in model.named_parameters() if p.requires_grad}
    head = [p for name, p in named.items() if SAVED in name]
    rest = [p for name, p in named.items() if SAVED not in name]
    return [{"params": rest}, {"params": head, "ratio": plan.head_rate}]


@contextmanager
def before(model: PeftModel, *, trained: bool) -> Generator[None]:
    """The model as the quick look left it, for a while; with `trained` as it is."""
    if trained:
        yield
        return
    with model.disable_adapter():
        yield


def tensor(pixels: Any, device: torch.device) -> Tensor:
    """Pixels [n, height, width, 3] in 0..255 as the model takes them."""
    return torch.from_numpy(pixels).to(device).permute(0, 3, 1, 2).float()


def trained_file(folder: Path) -> Path:
    """Where the weights of an adapter lie."""
    return folder / "adapter_model.safetensors"
