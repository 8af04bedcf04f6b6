"""Tiny models that see, with random weights: the configs of the real ones with everything made small, saved as the Hub holds them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

IMAGENET = {"image_mean": [0.485, 0.456, 0.406], "image_std": [0.229, 0.224, 0.225]}
_VIT: dict[str, Any] = {"hidden_size": 32, "num_hidden_layers": 4, "num_attention_heads": 2}
_DINO = _VIT | {"patch_size": 14, "image_size": 56, "mlp_ratio": 2, "layerscale_value": 1.0}
# What the real config.json says, but for the sizes.
CONFIGS: dict[str, tuple[str, dict[str, Any]]] = {
    "dinov2_with_registers": ("Dinov2WithRegistersModel", _DINO | {"num_register_tokens": 4}),
    "dinov2": ("Dinov2ForImageClassification", _DINO | {"num_labels": 7}),
    "siglip": (
        "SiglipModel",
        {
            "vision_config": _VIT | {"intermediate_size": 64, "patch_size": 16, "image_size": 64},
            "text_config": {
                "hidden_size": 32,
                "intermediate_size": 64,
                "num_hidden_layers": 1,
                "num_attention_heads": 2,
                "vocab_size": 64,
                "projection_size": 32,
            },
        },
    ),
    "rf_detr": (
        "RfDetrForObjectDetection",
        {
            "backbone_config": _DINO
            | {
                "model_type": "rf_detr_dinov2",
                "patch_size": 16,
                "image_size": 64,
                "num_windows": 2,
                "num_register_tokens": 0,
                "out_features": ["stage2", "stage4"],
            },
            "d_model": 32,
            "decoder_layers": 2,
            "decoder_ffn_dim": 64,
            "decoder_self_attention_heads": 2,
            "decoder_cross_attention_heads": 4,
            "decoder_n_points": 2,
            "num_queries": 9,
            "group_detr": 3,
            "num_labels": 91,
        },
    ),
    "d_fine": (
        "DFineForObjectDetection",
        {
            "backbone_config": {
                "model_type": "hgnet_v2",
                "num_channels": 3,
                "stem_channels": [3, 8, 8],
                "hidden_sizes": [16, 24, 32, 40],
                "stage_in_channels": [8, 16, 24, 32],
                "stage_mid_channels": [8, 8, 16, 16],
                "stage_out_channels": [16, 24, 32, 40],
                "stage_num_blocks": [1, 1, 1, 1],
                "stage_downsample": [False, True, True, True],
                "stage_light_block": [False, False, True, True],
                "stage_kernel_size": [3, 3, 5, 5],
                "stage_numb_of_layers": [2, 2, 2, 2],
                "use_learnable_affine_block": True,
                "out_features": ["stage2", "stage3", "stage4"],
            },
            "encoder_in_channels": [24, 32, 40],
            "encoder_hidden_dim": 32,
            "encoder_ffn_dim": 64,
            "encoder_attention_heads": 2,
            "d_model": 32,
            "decoder_in_channels": [32, 32, 32],
            "decoder_ffn_dim": 64,
            "decoder_layers": 2,
            "decoder_attention_heads": 2,
            "decoder_n_points": [2, 2, 2],
            "num_queries": 9,
            "num_denoising": 10,
            "max_num_bins": 8,
            "lqe_hidden_dim": 8,
            "depth_mult": 0.34,
            "hidden_expansion": 0.5,
            "num_labels": 80,
        },
    ),
    "eomt": (
        "EomtForUniversalSegmentation",
        _VIT
        | {
            "patch_size": 16,
            "image_size": 64,
            "mlp_ratio": 2,
            "num_blocks": 2,
            "num_queries": 8,
            "num_upscale_blocks": 2,
            "num_register_tokens": 4,
            "train_num_points": 64,
            "num_labels": 133,
        },
    ),
}
PREPARED = {"siglip": {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}, "d_fine": {"do_normalize": False}}


def tiny(folder: Path, family: str, seed: int = 0, **more: Any) -> Path:
    """A folder with config.json, preprocessor_config.json and model.safetensors."""
    import torch
    import transformers

    name, settings = CONFIGS[family]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        kind = getattr(transformers, name)
        model = kind(kind.config_class(**{**settings, **more}))
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):  # as after a training
                module.running_mean.normal_(0, 0.1)  # type: ignore[union-attr]
                module.running_var.uniform_(0.8, 1.2)  # type: ignore[union-attr]
        for value in model.parameters():  # none is as all others: an export would keep one of them
            value.data.add_(0.02 * torch.randn_like(value))
    transformers.utils.logging.disable_progress_bar()
    model.save_pretrained(str(folder), safe_serialization=True)
    said = {"do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True} | PREPARED.get(family, IMAGENET)
    (folder / "preprocessor_config.json").write_text(json.dumps(said), "utf-8")
    return folder
