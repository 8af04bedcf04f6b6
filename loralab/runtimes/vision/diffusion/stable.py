"""Owns Stable Diffusion 1.5 and XL: a U-Net that says what in a latent is noise, told by one reader of captions or by two.

Ho et al. 2020 (arXiv 2006.11239); Rombach et al. 2022 (arXiv 2112.10752); Podell et al. 2023 (arXiv 2307.01952).
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from loralab.runtimes.vision.diffusion.kept import Numbers
from loralab.runtimes.vision.diffusion.latent import LatentPainter


class Stable(LatentPainter):
    """Stable Diffusion 1.5 and those built like it."""

    def __init__(self, pipe: Any, folder: Path, keep: Path | None) -> None:
        super().__init__(pipe, pipe.unet, folder, keep)
        self.noising = importlib.import_module("diffusers").DDPMScheduler.from_config(pipe.scheduler.config)

    def _encoded(self, words: str) -> Numbers:
        return {"words": self.pipe.encode_prompt(words, self.device, 1, False)[0]}

    def wrong(self, clean: Tensor, noise: Tensor, times: Tensor, captions: Sequence[str]) -> Tensor:
        most = self.noising.config.num_train_timesteps
        steps = (times * most).long().clamp(0, most - 1)
        told = self.told(captions)
        noisy = self.noising.add_noise(clean, noise, steps)  # type: ignore[arg-type]
        said = self.net(noisy.to(self.net.dtype), steps, told["words"], added_cond_kwargs=self._beside(told, clean)).sample.float()
        by_speed = self.noising.config.prediction_type == "v_prediction"
        truth = self.noising.get_velocity(clean, noise, steps) if by_speed else noise  # type: ignore[arg-type]
        return (said - truth).pow(2).flatten(1).mean(1)

    def _beside(self, told: Numbers, clean: Tensor) -> dict[str, Tensor] | None:  # noqa: ARG002  (XL has more to say)
        """What the U-Net is told beside the words."""
        return None

    def packed(self, latents: Tensor) -> Tensor:
        return latents * self.pipe.vae.config.scaling_factor

    def unpacked(self, latents: Tensor) -> Tensor:
        return latents / self.pipe.vae.config.scaling_factor

    def shape(self, size: tuple[int, int]) -> tuple[int, int, int]:
        one = self.pipe.vae_scale_factor
        return self.net.config.in_channels, size[1] // one, size[0] // one

    def words_of(self, captions: Sequence[str]) -> dict[str, Tensor]:
        told, free = self.told(captions), self.told([""] * len(captions))
        return {"prompt_embeds": told["words"], "negative_prompt_embeds": free["words"]}


class StableXL(Stable):
    """Stable Diffusion XL: two readers, and the U-Net is told how large the picture is."""

    def _encoded(self, words: str) -> Numbers:
        each, _, whole, _ = self.pipe.encode_prompt(words, None, self.device, 1, False)
        if not words and self.pipe.config.force_zeros_for_empty_prompt:  # as the pipeline itself does
            each, whole = torch.zeros_like(each), torch.zeros_like(whole)
        return {"words": each, "whole": whole}

    def _beside(self, told: Numbers, clean: Tensor) -> dict[str, Tensor]:
        height, width = (side * self.pipe.vae_scale_factor for side in clean.shape[-2:])
        sizes = torch.tensor([height, width, 0, 0, height, width], device=self.device, dtype=self.net.dtype)
        return {"text_embeds": told["whole"], "time_ids": sizes.expand(len(clean), -1)}

    def words_of(self, captions: Sequence[str]) -> dict[str, Tensor]:
        told, free = self.told(captions), self.told([""] * len(captions))
        return {
            "prompt_embeds": told["words"],
            "pooled_prompt_embeds": told["whole"],
            "negative_prompt_embeds": free["words"],
            "negative_pooled_prompt_embeds": free["whole"],
        }
