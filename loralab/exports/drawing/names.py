"""Owns the names that kohya's programs, ComfyUI and Stable Diffusion web UI know an adapter's layers by. No torch: names and places alone.

Sources: the network modules of kohya's sd-scripts; the layouts of the models' first releases (CompVis, sgm, Black Forest Labs).
Invariant: every trained layer has a place in the file, or its name is an error: nothing is left out in silence.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from loralab.core.errors import UserError

PREFIX, PEFT = "lora_unet_", "base_model.model."
VERSIONS = {  # what the programs call the base
    "StableDiffusionPipeline": "sd_v1",
    "StableDiffusionXLPipeline": "sdxl_base_v1-0",
    "Flux2KleinPipeline": "flux2_klein",
}
_UNET = re.compile(r"(down|up)_blocks\.(\d+)\.attentions\.(\d+)\.(.+)|mid_block\.attentions\.0\.(.+)")
_DOUBLE = re.compile(r"transformer_blocks\.(\d+)\.attn\.(\w+(?:\.0)?)")
_SINGLE = re.compile(r"single_transformer_blocks\.(\d+)\.attn\.(to_qkv_mlp_proj|to_out)")
# Layers that lie in one matrix elsewhere, and where in it
_JOINED = {
    "to_q": ("img_attn_qkv", 0),
    "to_k": ("img_attn_qkv", 1),
    "to_v": ("img_attn_qkv", 2),
    "add_q_proj": ("txt_attn_qkv", 0),
    "add_k_proj": ("txt_attn_qkv", 1),
    "add_v_proj": ("txt_attn_qkv", 2),
}
_ALONE = {"to_out.0": "img_attn_proj", "to_add_out": "txt_attn_proj"}
THREE = 3  # queries, keys and values


class Place(NamedTuple):
    """Where a layer lies: its name in the file, and which of `of` equal parts of that matrix it is."""

    name: str
    part: int = 0
    of: int = 1


def place(kind: str, layer: str, layers_a_block: int) -> Place:
    """The place of a layer of PEFT's (`down_blocks.0...to_q`) in a base of this kind. Raises UserError for one that has none."""
    if kind == "Flux2KleinPipeline":
        found = _flux(layer)
    elif kind == "StableDiffusionXLPipeline":
        found = _sgm(layer, layers_a_block)
    else:
        found = Place(layer.replace(".", "_")) if _UNET.fullmatch(layer) else None
    if found is None:
        raise UserError(f"The layer “{layer}” has no name in other programs.", "Take the adapter as PEFT's folder.", code="no_name")
    return found._replace(name=PREFIX + found.name)


def _sgm(layer: str, layers: int) -> Place | None:
    """The names of XL's first release, in which kohya's programs write it."""
    found = _UNET.fullmatch(layer)
    if found is None:
        return None
    way, block, at, rest, middle = found.groups()
    if middle:
        return Place(f"middle_block_1_{middle.replace('.', '_')}")
    number = int(block) * (layers + 1) + int(at) + (way == "down")  # the first of the way down is the layer that comes before
    return Place(f"{'input' if way == 'down' else 'output'}_blocks_{number}_1_{rest.replace('.', '_')}")


def _flux(layer: str) -> Place | None:
    """The names of FLUX's first release, where queries, keys and values are one matrix."""
    if found := _SINGLE.fullmatch(layer):
        return Place(f"single_blocks_{found[1]}_{'linear1' if found[2] == 'to_qkv_mlp_proj' else 'linear2'}")
    found = _DOUBLE.fullmatch(layer)
    if found is None:
        return None
    if found[2] in _ALONE:
        return Place(f"double_blocks_{found[1]}_{_ALONE[found[2]]}")
    name, part = _JOINED.get(found[2], ("", 0))
    return Place(f"double_blocks_{found[1]}_{name}", part, THREE) if name else None


def layers_of(keys: Sequence[str]) -> list[str]:
    """Names of the layers in PEFT's file, in their order."""
    ends = (".lora_A.weight", ".lora_B.weight")
    odd = [key for key in keys if not (key.startswith(PEFT) and key.endswith(ends))]
    if odd:
        raise UserError(f"“{odd[0]}” is no part of a plain adapter.", "Take the adapter as PEFT's folder.", code="no_name")
    return list(dict.fromkeys(key.removeprefix(PEFT).rpartition(".lora_")[0] for key in keys))
