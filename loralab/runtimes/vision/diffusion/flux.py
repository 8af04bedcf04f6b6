"""Owns FLUX.2 klein: a transformer that says the way from a latent picture to the noise, told by a language model that reads captions.

Flow matching, as the starter that draws: x_t = (1 - t) picture + t noise, and what is asked for is noise - picture.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from loralab.runtimes.vision.diffusion.kept import Numbers
from loralab.runtimes.vision.diffusion.latent import ATTENTION, LatentPainter


class Klein(LatentPainter):
    """FLUX.2 klein, the base that is meant for training."""

    even = False
    targets = rf"{ATTENTION}|.*single_transformer_blocks.*to_out"

    def __init__(self, pipe: Any, folder: Path, keep: Path | None) -> None:
        super().__init__(pipe, pipe.transformer, folder, keep)

    def _encoded(self, words: str) -> Numbers:
        return {"words": self.pipe.encode_prompt(words, self.device)[0]}

    def wrong(self, clean: Tensor, noise: Tensor, times: Tensor, captions: Sequence[str]) -> Tensor:
        told = self.told(captions)["words"]
        noisy = torch.lerp(clean, noise, times[:, None, None, None])
        said = self.net(
            hidden_states=self.pipe._pack_latents(noisy).to(self.net.dtype),  # noqa: SLF001  (the library has no other name for it)
            encoder_hidden_states=told,
            timestep=times.to(self.net.dtype),
            img_ids=self.pipe._prepare_latent_ids(noisy).to(self.device),  # noqa: SLF001
            txt_ids=self.pipe._prepare_text_ids(told).to(self.device),  # noqa: SLF001
            return_dict=False,
        )[0]
        return (said.float() - self.pipe._pack_latents(noise - clean)).pow(2).flatten(1).mean(1)  # noqa: SLF001

    def packed(self, latents: Tensor) -> Tensor:
        average, spread = self._norm()
        return (self.pipe._patchify_latents(latents) - average) / spread  # noqa: SLF001

    def unpacked(self, latents: Tensor) -> Tensor:
        return latents  # the pipeline undoes it itself

    def _norm(self) -> tuple[Tensor, Tensor]:
        norm = self.pipe.vae.bn
        return norm.running_mean.view(1, -1, 1, 1), (norm.running_var.view(1, -1, 1, 1) + self.pipe.vae.config.batch_norm_eps).sqrt()

    def shape(self, size: tuple[int, int]) -> tuple[int, int, int]:
        one = 2 * self.pipe.vae_scale_factor
        return self.net.config.in_channels, size[1] // one, size[0] // one

    def words_of(self, captions: Sequence[str]) -> dict[str, Tensor]:
        told, free = self.told(captions), self.told([""] * len(captions))
        return {"prompt_embeds": told["words"], "negative_prompt_embeds": free["words"]}
