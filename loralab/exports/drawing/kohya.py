"""Owns the adapter that draws as one file for ComfyUI, Stable Diffusion web UI and kohya's programs.

Invariant: the numbers are the trained ones bit for bit, under the names those programs know; alpha is the rank, as it was trained.
"""

from __future__ import annotations

from typing import Any

from loralab.core.errors import Problem
from loralab.exports import Format, Proof, Source, later
from loralab.exports.adapter import needs_bytes
from loralab.exports.drawing import adapter
from loralab.exports.drawing.names import PEFT, THREE, layers_of, place
from loralab.models.drawing import draws_through_diffusers

FILE = "lora.safetensors"
SECONDS = 120.0  # on two busy cores, and the base is loaded twice


def refuse(source: Source) -> Problem | None:
    """Only what was taught to a base that those programs know."""
    if not draws_through_diffusers(source.model):
        what = "Those programs draw with Stable Diffusion or FLUX; this adapter belongs to the starter that draws."
        return Problem(code="other_base", what=what, todo="Take another form, or train on a larger base.")
    return adapter.refuse(source)


def renamed(tensors: dict[str, Any], kind: str, layers_a_block: int) -> dict[str, Any]:
    """PEFT's tensors (plain LoRA, alpha = rank) under kohya's names, with an alpha beside each.

    Layers that are one matrix elsewhere are put together: their ranks behind each other, each with its own part of what comes out.
    """
    import torch

    parts: dict[str, dict[int, tuple[Any, Any]]] = {}
    for layer in layers_of(list(tensors)):
        where = place(kind, layer, layers_a_block)
        pair = (tensors[f"{PEFT}{layer}.lora_A.weight"], tensors[f"{PEFT}{layer}.lora_B.weight"])
        parts.setdefault(where.name, {})[where.part if where.of > 1 else -1] = pair
    found: dict[str, Any] = {}
    for name, pairs in parts.items():
        down, up = pairs[-1] if -1 in pairs else _together(pairs)
        found[f"{name}.lora_down.weight"], found[f"{name}.lora_up.weight"] = down.contiguous(), up.contiguous()
        found[f"{name}.alpha"] = torch.tensor(float(down.shape[0]))
    return found


def _together(pairs: dict[int, tuple[Any, Any]]) -> tuple[Any, Any]:
    import torch

    every = [pairs[part] for part in range(THREE)]
    return torch.cat([down for down, _ in every]), torch.block_diag(*(up for _, up in every))


def restored(tensors: dict[str, Any], kind: str, layers: list[str], layers_a_block: int) -> dict[str, Any]:
    """The other way: PEFT's tensors of these layers, out of what `renamed` made."""
    found: dict[str, Any] = {}
    for layer in layers:
        where = place(kind, layer, layers_a_block)
        down, up = tensors[f"{where.name}.lora_down.weight"], tensors[f"{where.name}.lora_up.weight"]
        if where.of > 1:
            rank, out = down.shape[0] // where.of, up.shape[0] // where.of
            own = slice(where.part * rank, (where.part + 1) * rank)
            down, up = down[own], up[where.part * out : (where.part + 1) * out, own]
        found |= {f"{PEFT}{layer}.lora_A.weight": down, f"{PEFT}{layer}.lora_B.weight": up}
    return found


FORMAT = Format(
    name="kohya",
    label="One file for ComfyUI and others",
    words="For programs that draw: ComfyUI, Stable Diffusion web UI. Put it into their folder for LoRAs.",
    refuse=refuse,
    needs_bytes=needs_bytes,
    export=later("loralab.exports.drawing.making:kohya"),
    seconds=lambda source: SECONDS,
    proof=Proof(later("loralab.exports.drawing.making:proven_kohya")),
)
