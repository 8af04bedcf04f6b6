"""Owns what a model that sees is, told by its config.json: of which family, what it can learn, and what a pixel and a picture cost it.

Invariant: reading a config runs nothing and loads nothing; a family that is not listed here is refused in words, never guessed at.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loralab.core.errors import Problem
from loralab.core.records import Record

ALL = ("classify", "segment", "detect")
# Of a vision transformer with an adapter beside all its matrices, counted (benchmarks/picture_bases.py counts it again): bytes kept for
# the way back for each token, layer and unit of width; operations of looking once for each of its weights and tokens, adapter included.
KEPT_A_UNIT, WORK_A_WEIGHT = 65.0, 2.14
OTHER_LICENCE = "Its licence does not let everybody use what is made from it, so LoRALab leaves it out."
# Families that are left out on purpose: model_type -> why.
LEFT_OUT: Mapping[str, str] = {
    "mask2former": f"Its weights carry a licence of their own (“other”). {OTHER_LICENCE}",
    "segformer": f"Its weights may not be used commercially (NVIDIA's licence). {OTHER_LICENCE}",
    "convnextv2": f"Its weights may not be used commercially (CC-BY-NC). {OTHER_LICENCE}",
    "dinov3_vit": f"Its owner asks everybody to sign an own licence first. {OTHER_LICENCE}",
    "dinov3_convnext": f"Its owner asks everybody to sign an own licence first. {OTHER_LICENCE}",
    "eomt_dinov3": f"It is made from DINOv3, whose owner asks everybody to sign an own licence first. {OTHER_LICENCE}",
}


class Cost(Record):
    """What looking at a picture of p pixels once costs: work * p + work_square * p² + work_a_picture operations, and, while it learns,
    kept * p + kept_a_picture bytes that are held for the way back.
    """

    work: float
    kept: float
    work_square: float = 0.0
    work_a_picture: float = 0.0
    kept_a_picture: float = 0.0

    def operations(self, pixels: float) -> float:
        """Of looking once at a picture."""
        return self.work * pixels + self.work_square * pixels**2 + self.work_a_picture

    def bytes(self, pixels: float) -> float:
        """Kept for the way back of a picture."""
        return self.kept * pixels + self.kept_a_picture

    def times(self, factor: float) -> Cost:
        """The cost of a network of the same family with `factor` times the weights."""
        return Cost.model_validate({name: factor * value for name, value in self.model_dump().items()})


class Seeing(Record):
    """A model that sees, as far as a plan has to know it."""

    model_type: str = ""  # of its config.json; empty: the starter, which has none
    architecture: str = "EfficientNetLite0"
    good_for: tuple[str, ...] = ALL
    own_head: bool = False  # it comes with a head of its own, and learns without a quick look
    sizes: tuple[int, int] = (0, 0)  # shortest and longest side of pictures, in pixels; 0: as the kind of training says
    cost: Cost


STARTER = Seeing(cost=Cost(work=16_200, kept=1_000))
# model_type -> architecture, kinds of training, weights and cost of the network that was counted (None: by its measures)
WHOLE: Mapping[str, tuple[str, str, int, Cost]] = {
    "rf_detr": (
        "RfDetrForObjectDetection",
        "detect",
        30_516_642,
        Cost(work=211_126, work_a_picture=27.8e9, kept=1_485, kept_a_picture=231e6),
    ),
    "d_fine": ("DFineForObjectDetection", "detect", 10_309_605, Cost(work=59_667, work_a_picture=2.77e9, kept=654, kept_a_picture=35.9e6)),
    "eomt": (
        "EomtForUniversalSegmentation",
        "segment",
        23_975_942,
        Cost(work=310_128, work_a_picture=3.18e9, kept=3_115, kept_a_picture=24.2e6),
    ),
}
TOKENS: Mapping[str, str] = {
    "dinov2": "Dinov2Model",
    "dinov2_with_registers": "Dinov2WithRegistersModel",
    "siglip": "SiglipVisionModel",
    "siglip_vision_model": "SiglipVisionModel",
}
KNOWN = frozenset({*TOKENS, *WHOLE})


def sees(config: Mapping[str, Any]) -> bool:
    """Whether a config.json is of a model that sees, whether or not it can be trained here."""
    kind = str(config.get("model_type", ""))
    return kind in KNOWN or kind in LEFT_OUT or (bool(config) and _looks(config))


def _looks(config: Mapping[str, Any]) -> bool:
    """Of a family that is not known: it has patches or channels of pictures and no vocabulary."""
    return bool({"patch_size", "num_channels", "backbone_config"} & config.keys()) and "vocab_size" not in config


def seeing_of(config: Mapping[str, Any], parameters: int = 0) -> Seeing | None:
    """What a config.json says of a known family; None of any other. `parameters`: all its weights, where they are known."""
    kind = str(config.get("model_type", ""))
    if kind in WHOLE:
        architecture, task, counted, cost = WHOLE[kind]
        side = _side((config.get("backbone_config") or {}).get("image_size") or config.get("image_size"))
        factor = parameters / counted if parameters else 1.0
        side = 32 * max(1, (side or 640) // 32)
        sizes, cost = (side, side), cost.times(factor)
        return Seeing(model_type=kind, architecture=architecture, good_for=(task,), own_head=True, sizes=sizes, cost=cost)
    if kind in TOKENS:
        inner = {**(config.get("vision_config") or {})} if kind == "siglip" else {**config}
        width, depth, patch = int(inner.get("hidden_size", 768)), int(inner.get("num_hidden_layers", 12)), _side(inner.get("patch_size"))
        patch = patch or {"siglip": 16}.get(kind, 14)
        ratio = float(inner.get("mlp_ratio") or int(inner.get("intermediate_size", 4 * width)) / width)
        weights = depth * width**2 * (4 + 2 * ratio)
        cost = Cost(
            work=WORK_A_WEIGHT * weights / patch**2,
            work_square=4 * depth * width / patch**4,
            kept=KEPT_A_UNIT * depth * width * (8 + 2 * ratio) / 16 / patch**2,
        )
        return Seeing(model_type=kind, architecture=TOKENS[kind], sizes=(224, 448), cost=cost)
    return None


def _side(said: Any) -> int:
    first: Any = said[0] if isinstance(said, list | tuple) and said else said
    return int(first or 0)


def stands_in_the_way(config: Mapping[str, Any], names: set[str]) -> list[Problem]:
    """What stands in the way of training on pictures, from a config and the names of the files beside it."""
    kind, found = str(config.get("model_type", "")), list[Problem]()
    another = "Choose a model from the list."
    if kind in LEFT_OUT:
        found.append(Problem(code="left_out", what=LEFT_OUT[kind], todo=another))
    elif kind not in KNOWN:
        what = f"LoRALab does not know how to train this kind of model on pictures ({kind or 'it does not say which'})."
        found.append(Problem(code="unknown_architecture", what=what, todo=another))
    if not any(name.endswith(".safetensors") for name in names):
        what = "There are no weights (.safetensors files)."
        if any(name.endswith((".bin", ".pt", ".pth", ".ckpt")) for name in names):
            what = "The weights are in an old format that may hide programs (pickle)."
        found.append(Problem(code="no_weights", what=what, todo="Download the model again, or choose another folder."))
    return found
