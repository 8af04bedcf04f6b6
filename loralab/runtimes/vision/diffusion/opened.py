"""Owns opening a base from diffusers: which of the families a folder holds, and its painter.

Invariant: safetensors only, no code from the folder, nothing fetched; what cannot be opened is an error in words.
"""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import torch

from loralab.core import parts
from loralab.core.errors import UserError
from loralab.runtimes.vision.diffusion.flux import Klein
from loralab.runtimes.vision.diffusion.latent import LatentPainter
from loralab.runtimes.vision.diffusion.stable import Stable, StableXL

INDEX = "model_index.json"
# What a folder calls itself -> its painter and the parts that are left out
FAMILIES: dict[str, tuple[type[Any], tuple[str, ...]]] = {
    "StableDiffusionPipeline": (Stable, ("safety_checker", "feature_extractor", "image_encoder")),
    "StableDiffusionXLPipeline": (StableXL, ("feature_extractor", "image_encoder")),
    "Flux2KleinPipeline": (Klein, ()),
}
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


def open_diffusion(folder: Path, where: torch.device, precision: str = "fp32", keep: Path | None = None) -> LatentPainter:
    """The painter of the base in `folder`, every weight frozen. Raises Unavailable without diffusers, UserError for what is damaged."""
    if parts.missing("diffusers"):
        raise parts.unavailable("diffusers", "Larger models that draw need a part that is not installed here.")
    name = _family(folder)
    painter, left_out = FAMILIES[name]
    half = not list(folder.glob("*/*_model.safetensors")) and bool(list(folder.glob("*/*.fp16.safetensors")))
    try:
        pipe: Any = getattr(importlib.import_module("diffusers"), name).from_pretrained(
            str(folder),
            dtype=DTYPES.get(precision, torch.float32),
            variant="fp16" if half else None,
            local_files_only=True,
            use_safetensors=True,
            trust_remote_code=False,
            **dict.fromkeys(left_out),
        )
    except (OSError, ValueError, KeyError, RuntimeError, TypeError) as error:
        raise UserError(f"The model in {folder} cannot be opened: {error}", "Download it again.", code="damaged") from error
    pipe.to(where)
    for part in pipe.components.values():
        if isinstance(part, torch.nn.Module):
            part.requires_grad_(False).eval()
    found: LatentPainter = painter(pipe, folder, keep)
    found.net.enable_gradient_checkpointing()
    return found


def _family(folder: Path) -> str:
    try:
        name = json.loads((folder / INDEX).read_text("utf-8"))["_class_name"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{folder / INDEX} is missing or damaged.", "Download the model again.", code="damaged") from error
    if name not in FAMILIES:
        what = f"{folder.name} is a model that draws, but of a kind (“{name}”) that cannot be trained here."
        raise UserError(what, "Take Stable Diffusion 1.5 or XL, or FLUX.2 klein.", code="unknown_family")
    return str(name)
