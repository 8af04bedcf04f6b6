"""Tiny bases that draw, with random weights: the configs of the real ones with everything made small, saved as the Hub holds them."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

SIDE = 64  # pixels of what they draw
BLOCKS = (4, 8, 8, 8)  # four levels: a latent is an eighth of the picture, as in the real ones
_VAE: dict[str, Any] = {
    "block_out_channels": BLOCKS,
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "layers_per_block": 1,
    "norm_num_groups": 2,
    "sample_size": SIDE,
}
_UNET: dict[str, Any] = {
    "sample_size": SIDE // 8,
    "block_out_channels": (8, 16),
    "layers_per_block": 1,
    "norm_num_groups": 4,
    "down_block_types": ("CrossAttnDownBlock2D", "DownBlock2D"),
    "up_block_types": ("UpBlock2D", "CrossAttnUpBlock2D"),
}
_NOISE = {"beta_schedule": "scaled_linear", "beta_start": 0.00085, "beta_end": 0.012, "clip_sample": False, "set_alpha_to_one": False}
_WORDS = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 77}


def made(kind: str, folder: Path, seed: int = 0) -> Path:
    """A base of the kind `sd`, `sdxl` or `klein` in `folder`; the folder."""
    import torch

    torch.manual_seed(seed)
    pipe = {"sd": _sd, "sdxl": _sdxl, "klein": _klein}[kind](folder.with_name(f"{folder.name}-words"))
    pipe.save_pretrained(folder, safe_serialization=True)
    return folder


def _clip(place: Path, **more: Any) -> tuple[Any, Any]:
    """A reader of captions and its tokenizer."""
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

    letters = _letters()
    vocabulary = ["<|startoftext|>", "<|endoftext|>", *letters, *(f"{one}</w>" for one in letters)]
    place.mkdir(parents=True, exist_ok=True)
    (place / "vocab.json").write_text(json.dumps({word: at for at, word in enumerate(vocabulary)}), "utf-8")
    (place / "merges.txt").write_text("#version: 0.2\n", "utf-8")
    tokenizer = CLIPTokenizer.from_pretrained(place, model_max_length=77)
    config = CLIPTextConfig(vocab_size=len(vocabulary), bos_token_id=0, eos_token_id=1, pad_token_id=1, **_WORDS, **more)
    made_of = CLIPTextModelWithProjection if "projection_dim" in more else CLIPTextModel
    return made_of(config).eval(), tokenizer


def _letters() -> list[str]:
    from tokenizers.pre_tokenizers import ByteLevel

    return sorted(ByteLevel.alphabet())


def _sd(place: Path) -> Any:
    diffusers: Any = importlib.import_module("diffusers")

    reader, tokenizer = _clip(place)
    unet = diffusers.UNet2DConditionModel(**_UNET, cross_attention_dim=16, attention_head_dim=2)
    rest: dict[str, Any] = {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    noise = diffusers.PNDMScheduler(skip_prk_steps=True, steps_offset=1, **{k: v for k, v in _NOISE.items() if k != "clip_sample"})
    return diffusers.StableDiffusionPipeline(diffusers.AutoencoderKL(**_VAE), reader, tokenizer, unet, noise, **rest)


def _sdxl(place: Path) -> Any:
    diffusers: Any = importlib.import_module("diffusers")

    (one, words), (two, others) = _clip(place), _clip(place, projection_dim=16)
    unet = diffusers.UNet2DConditionModel(
        **_UNET
        | {
            "block_out_channels": (8, 16, 16),
            "layers_per_block": 2,
            "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
        },
        cross_attention_dim=32,
        attention_head_dim=(2, 4, 4),
        transformer_layers_per_block=(1, 1, 2),
        use_linear_projection=True,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + 16,
    )
    noise = diffusers.EulerDiscreteScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, steps_offset=1)
    vae = diffusers.AutoencoderKL(**_VAE, scaling_factor=0.13025, force_upcast=True)
    return diffusers.StableDiffusionXLPipeline(vae, one, two, words, others, unet, noise)


def _klein(place: Path) -> Any:
    import torch
    from transformers import Qwen2Tokenizer, Qwen3Config, Qwen3ForCausalLM

    diffusers: Any = importlib.import_module("diffusers")
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    vocabulary = {word: at for at, word in enumerate([*_letters(), *special])}
    tokenizer = Qwen2Tokenizer(vocab=vocabulary, merges=[], pad_token=special[0], eos_token=special[2])
    tokenizer.chat_template = "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    reader = Qwen3ForCausalLM(
        Qwen3Config(
            vocab_size=len(vocabulary) + 8,
            hidden_size=8,
            intermediate_size=16,
            num_hidden_layers=28,  # its 9th, 18th and 27th are what is listened to
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=4,
        )
    )
    net = diffusers.Flux2Transformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=24,
        timestep_guidance_channels=16,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=False,
    )
    with torch.no_grad():
        for name, weights in net.named_parameters():
            if "modulation" in name:
                weights.mul_(20.0)  # as they are laid out, blocks hardly count
    vae = diffusers.AutoencoderKLFlux2(**_VAE, latent_channels=4)
    noise = diffusers.FlowMatchEulerDiscreteScheduler(shift=3.0, use_dynamic_shifting=True)
    return diffusers.Flux2KleinPipeline(noise, vae, reader, tokenizer, net)
