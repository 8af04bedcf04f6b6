"""Counts bases that draw, in their real sizes and without their weights: numbers that learn, operations a pixel, memory of a correction.

    python -m benchmarks.drawing_bases            # what is counted on paper, in seconds
    python -m benchmarks.drawing_bases sd fp32    # two corrections are really computed: minutes, and their memory

Results are in data/drawing_models.json (`parameters`, `work`, `kept`) and docs/measurements/pictures.md.
"""

from __future__ import annotations

import importlib
import resource
import sys
import time
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from torch.utils.flop_counter import FlopCounterMode

from loralab.runtimes.vision.diffusion.flux import Klein
from loralab.runtimes.vision.diffusion.latent import ATTENTION
from loralab.runtimes.vision.diffusion.opened import DTYPES

SIDES = {"sd": 512, "sdxl": 1024, "klein": 512}
_XL: dict[str, Any] = {
    "sample_size": 128,
    "block_out_channels": (320, 640, 1280),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 2, 10),
    "attention_head_dim": (5, 10, 20),
    "cross_attention_dim": 2048,
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 256,
    "projection_class_embeddings_input_dim": 2816,
}
_KLEIN: dict[str, Any] = {
    "in_channels": 128,
    "num_layers": 5,
    "num_single_layers": 20,
    "attention_head_dim": 128,
    "num_attention_heads": 24,
    "joint_attention_dim": 7680,
    "guidance_embeds": False,
}


def net(kind: str) -> Any:
    """What learns of a base, on the device that is set."""
    diffusers: Any = importlib.import_module("diffusers")
    if kind == "klein":
        return diffusers.Flux2Transformer2DModel(**_KLEIN)
    return diffusers.UNet2DConditionModel(**(_XL if kind == "sdxl" else {"cross_attention_dim": 768, "attention_head_dim": 8}))


def look(model: Any, kind: str, kept: torch.dtype) -> Any:
    """One picture at one time is looked at; what is said of it."""
    side = SIDES[kind] // (16 if kind == "klein" else 8)
    zeros: dict[str, Any] = {"dtype": kept}
    if kind == "klein":
        places = {"img_ids": torch.zeros(1, side * side, 4), "txt_ids": torch.zeros(1, 512, 4)}
        seen, words = torch.zeros(1, side * side, 128, **zeros), torch.zeros(1, 512, 7680, **zeros)
        return model(hidden_states=seen, encoder_hidden_states=words, timestep=torch.zeros(1, **zeros), **places, return_dict=False)[0]
    wide = 2048 if kind == "sdxl" else 768
    beside = {"text_embeds": torch.zeros(1, 1280, **zeros), "time_ids": torch.zeros(1, 6, **zeros)} if kind == "sdxl" else None
    words = torch.zeros(1, 77, wide, **zeros)
    return model(torch.zeros(1, 4, side, side, **zeros), torch.zeros(1), words, added_cond_kwargs=beside).sample


def counted(kind: str) -> tuple[int, float]:
    """Numbers that learn, and operations of looking for each pixel."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter, torch.no_grad():
        model = net(kind)
        look(model, kind, torch.float32)
    return sum(p.numel() for p in model.parameters()), counter.get_total_flops() / SIDES[kind] ** 2


def computed(kind: str, precision: str) -> None:
    """Two corrections with an adapter of rank 16, recomputing what the way back needs; memory of the process in gigabytes."""
    kept = DTYPES[precision]
    with torch.device("meta"):
        model = net(kind)
    model = model.to(kept).to_empty(device="cpu").requires_grad_(False)
    for parameter in model.parameters():
        parameter.fill_(0.01)
    model.enable_gradient_checkpointing()
    before = _most()
    tuned = get_peft_model(model, LoraConfig(r=16, lora_alpha=16, target_modules=Klein.targets if kind == "klein" else ATTENTION))
    tuned.train()
    learner = torch.optim.AdamW([p for p in tuned.parameters() if p.requires_grad], 1e-4)
    for _ in range(2):
        begun = time.time()
        look(model, kind, kept).float().pow(2).mean().backward()
        learner.step()
        learner.zero_grad()
        pixel = (_most() - before) * 1e9 / SIDES[kind] ** 2
        took = time.time() - begun
        sys.stdout.write(f"{kind} {precision}: loaded {before:.2f} GB, at most {_most():.2f} ({pixel:.0f} bytes a pixel), {took:.0f} s\n")


def _most() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


if __name__ == "__main__":
    if sys.argv[1:]:
        computed(sys.argv[1], sys.argv[2])
    else:
        for one, side in SIDES.items():
            numbers, work = counted(one)
            sys.stdout.write(f"{one}: {numbers:,} numbers, {work:,.0f} operations a pixel at {side} pixels\n")
