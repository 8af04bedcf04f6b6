"""What the larger bases for pictures take, counted on the real networks with random weights: work and memory follow from shapes alone.

Counts, for each base at two sizes of its input: weights, operations of looking once (torch's own counter), and bytes that are kept for the
way back (what autograd saves, weights left out) of one picture with an adapter on it. Two sizes give what a pixel costs and what a picture
costs whatever its size. The numbers go to data/vision_models.json and loralab/models/seeing.py.

    python -m benchmarks.picture_bases [NAME ...]
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

import torch

SMALL: dict[str, Any] = {"hidden_size": 384, "num_attention_heads": 6, "num_hidden_layers": 12}
BASE: dict[str, Any] = {"hidden_size": 768, "num_attention_heads": 12, "num_hidden_layers": 12}
DINO: dict[str, Any] = {"patch_size": 14, "image_size": 518}
EOMT: dict[str, Any] = {"num_blocks": 3, "patch_size": 16, "image_size": 640, "num_labels": 133}
STAGES = [f"stage{i}" for i in (3, 6, 9, 12)]


def rf_detr(side: int, layers: int) -> dict[str, Any]:
    """Config of an RF-DETR for pictures of `side` pixels."""
    back = SMALL | {"model_type": "rf_detr_dinov2", "patch_size": 16, "num_windows": 2, "image_size": side, "out_features": STAGES}
    return {"backbone_config": back | {"num_register_tokens": 0}, "decoder_layers": layers, "num_labels": 91}


def d_fine(stem: list[int], first: list[int], middle: list[int], last: list[int], third: int, convs: int, **more: Any) -> dict[str, Any]:
    """Config of a D-FINE: its backbone's channels, blocks of the third stage and convolutions of a block."""
    back = {
        "model_type": "hgnet_v2",
        "stem_channels": stem,
        "hidden_sizes": last,
        "stage_in_channels": first,
        "stage_mid_channels": middle,
        "stage_out_channels": last,
        "stage_num_blocks": [1, 1, third, 1],
        "stage_downsample": [False, True, True, True],
        "stage_light_block": [False, False, True, True],
        "stage_kernel_size": [3, 3, 5, 5],
        "stage_numb_of_layers": [convs] * 4,
        "use_learnable_affine_block": True,
        "out_features": ["stage2", "stage3", "stage4"],
    }
    return {"backbone_config": back, "encoder_in_channels": last[1:], "decoder_n_points": [3, 6, 3], "num_labels": 80, **more}


B0 = ([3, 16, 16], [16, 64, 256, 512], [16, 32, 64, 128], [64, 256, 512, 1024], 2, 3)
B2 = ([3, 24, 32], [32, 96, 384, 768], [32, 64, 128, 256], [96, 384, 768, 1536], 3, 4)
# name -> class, config, kind of training, two sides
NETS: dict[str, tuple[str, dict[str, Any], str, tuple[int, int]]] = {
    "dinov2-small": ("Dinov2WithRegistersModel", SMALL | DINO, "classify", (224, 448)),
    "dinov2-base": ("Dinov2WithRegistersModel", BASE | DINO, "classify", (224, 448)),
    "siglip2-base": ("SiglipVisionModel", BASE | {"intermediate_size": 3072, "patch_size": 16, "image_size": 224}, "classify", (224, 448)),
    "rf-detr-nano": ("RfDetrForObjectDetection", rf_detr(384, 2), "detect", (384, 512)),
    "rf-detr-small": ("RfDetrForObjectDetection", rf_detr(512, 3), "detect", (384, 512)),
    "d-fine-small": ("DFineForObjectDetection", d_fine(*B0, decoder_layers=3, depth_mult=0.34, hidden_expansion=0.5), "detect", (320, 640)),
    "d-fine-medium": (
        "DFineForObjectDetection",
        d_fine(*B2, decoder_layers=4, depth_mult=0.67, hidden_expansion=1.0),
        "detect",
        (320, 640),
    ),
    "eomt-small": ("EomtForUniversalSegmentation", SMALL | EOMT, "segment", (320, 640)),
    "eomt-base": ("EomtForUniversalSegmentation", BASE | EOMT, "segment", (320, 640)),
}


def counted(model: Any, pixels: torch.Tensor) -> tuple[int, int]:
    """Operations of looking at pixels once, and bytes that are kept of it for the way back."""
    from torch.autograd.graph import saved_tensors_hooks
    from torch.utils.flop_counter import FlopCounterMode

    own = {value.untyped_storage().data_ptr() for value in model.parameters()}
    kept: dict[int, int] = {}

    def keep(value: torch.Tensor) -> torch.Tensor:
        place = value.untyped_storage().data_ptr()
        if place not in own:
            kept[place] = value.untyped_storage().nbytes()
        return value

    model.train()
    with FlopCounterMode(display=False) as work, saved_tensors_hooks(keep, lambda value: value):
        model(pixels)
    return work.get_total_flops(), sum(kept.values())


def measured(name: str, task: str, folder: Path, sides: tuple[int, int]) -> dict[str, float]:
    """What a pixel and a picture cost."""
    from loralab.runtimes.vision.picture_model import seeing_model
    from loralab.sessions.pictures.model import attach
    from loralab.tasks.pictures import PicturePlan

    found = []
    for side in sides:
        model = attach(seeing_model(folder, task, 3, (side, side)), PicturePlan(rank=16, alpha=16))
        found.append(counted(model, torch.rand(1, 3, side, side) * 255))
    pixels = [side * side for side in sides]
    each = [(found[1][k] - found[0][k]) / (pixels[1] - pixels[0]) for k in (0, 1)]
    rest = [found[0][k] - each[k] * pixels[0] for k in (0, 1)]
    said: dict[str, float] = {"work": each[0], "work_a_picture": rest[0], "kept": each[1], "kept_a_picture": rest[1]}
    sys.stdout.write(json.dumps({"name": name, **{key: round(value) for key, value in said.items()}, "at": found}) + "\n")
    return said


def main(names: list[str]) -> None:
    """Count, a line for each base."""
    import transformers

    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    torch.manual_seed(0)
    for name in names or NETS:
        kind, settings, task, sides = NETS[name]
        network = getattr(transformers, kind)
        with tempfile.TemporaryDirectory() as place:
            net = network(network.config_class(**settings))
            sys.stdout.write(f"{name}: {sum(p.numel() for p in net.parameters()):,} weights\n")
            net.save_pretrained(place)
            measured(name, task, Path(place), sides)


if __name__ == "__main__":
    main(sys.argv[1:])
