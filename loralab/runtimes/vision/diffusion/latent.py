"""Owns what all bases from diffusers have in common: pictures become latents, captions become numbers, both once; drawing goes through the
library's own pipeline.

Invariants: noise is made by numpy from the seed, the same on every computer; a caption that was read is never read again; what turns
latents into pictures computes in fp32, since it overflows in half precision.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from loralab.core.errors import UserError
from loralab.runtimes.vision.diffusion.kept import Kept, Numbers
from loralab.runtimes.vision.painter import How, Pixels

ATTENTION = r".*(to_q|to_k|to_v|to_out\.0|add_q_proj|add_k_proj|add_v_proj|to_add_out|to_qkv_mlp_proj)"  # as PEFT matches whole names


class LatentPainter:
    """See Painter. `pipe`: the library's pipeline; `net`: the part of it that learns; `keep`: a folder of the workspace, or None."""

    even = True
    targets = ATTENTION
    readers: tuple[str, ...] = ("text_encoder", "text_encoder_2", "tokenizer", "tokenizer_2")

    def __init__(self, pipe: Any, net: Any, folder: Path, keep: Path | None) -> None:
        self.pipe, self.net = pipe, net
        pipe.set_progress_bar_config(disable=True)
        pipe.vae.to(torch.float32)
        self._said: dict[str, Numbers] = {}
        self._ready = True
        self.seen = Kept(keep, weights(folder / "vae"), "picture")
        self.heard = Kept(keep, [file for name in self.readers for file in weights(folder / name)], f"words {net.dtype}")

    @property
    def step(self) -> int:
        """Sides are multiples of this: eight latents, as the library's own models are trained on."""
        return 8 * int(self.pipe.vae_scale_factor)

    @property
    def side(self) -> int:
        """Pixels of a side that the base was made for."""
        return int(self.net.config.get("sample_size") or 128) * int(self.pipe.vae_scale_factor)

    @property
    def device(self) -> torch.device:
        return next(self.net.parameters()).device

    # ---- captions ------------------------------------------------------------------------------------------------------------
    def read(self, captions: Sequence[str]) -> None:
        for words in dict.fromkeys(captions):
            if words not in self._said:
                self._said[words] = self.heard.of(words.encode(), lambda words=words: self._read(words))
        self.heard.tidy()

    def forget(self) -> None:
        for name in self.readers:
            if getattr(self.pipe, name, None) is not None:
                setattr(self.pipe, name, None)
        self._ready = False

    @torch.no_grad()
    def _read(self, words: str) -> Numbers:
        if not self._ready:
            raise UserError(f"“{words}” was not among what it was to draw.", "Start it again.", code="not_read")
        return self._encoded(words)

    def _encoded(self, words: str) -> Numbers:
        raise NotImplementedError

    def told(self, captions: Sequence[str]) -> Numbers:
        """Captions as the net takes them: by name, each [n, ...]."""
        self.read(captions)
        every = [self._said[words] for words in captions]
        return {name: torch.cat([one[name] for one in every]).to(self.device, self.net.dtype) for name in every[0]}

    # ---- pictures ------------------------------------------------------------------------------------------------------------
    def canvas(self, pixels: Pixels) -> Tensor:
        shape = "x".join(map(str, pixels.shape))
        return self.seen.of(shape.encode() + pixels.tobytes(), lambda: {"latents": self._latents(pixels)})["latents"].float().cpu()

    @torch.no_grad()
    def _latents(self, pixels: Pixels) -> Tensor:
        whole = torch.from_numpy(np.array(pixels)).to(self.device).permute(2, 0, 1)[None].float() / 127.5 - 1
        return self.packed(self.pipe.vae.encode(whole).latent_dist.mode())[0]

    def packed(self, latents: Tensor) -> Tensor:
        """Latents [n, ...] of the encoder as the net works on them."""
        raise NotImplementedError

    def unpacked(self, latents: Tensor) -> Tensor:
        """Latents [n, ...] that the pipeline gives, as the decoder takes them."""
        raise NotImplementedError

    def shape(self, size: tuple[int, int]) -> tuple[int, int, int]:
        """Of the canvas [c, h, w] of a picture of this width and height."""
        raise NotImplementedError

    def wrong(self, clean: Tensor, noise: Tensor, times: Tensor, captions: Sequence[str]) -> Tensor:
        """See Painter."""
        raise NotImplementedError

    # ---- drawing -------------------------------------------------------------------------------------------------------------
    def words_of(self, captions: Sequence[str]) -> dict[str, Tensor]:
        """Captions, and none beside them, as the pipeline's own arguments."""
        raise NotImplementedError

    @torch.no_grad()
    def draw(self, captions: Sequence[str], seeds: Sequence[int], how: How, stop: Callable[[], bool] | None = None) -> Pixels:
        width, height = how.size
        if stop is not None and stop():
            return np.zeros((0, height, width, 3), np.uint8)
        shape = self.shape(how.size)
        noise = np.stack([np.random.default_rng(seed).standard_normal(shape, dtype=np.float32) for seed in seeds])
        latents = self.pipe(
            **self.words_of(captions),
            latents=torch.from_numpy(noise).to(self.device, self.net.dtype),
            num_inference_steps=how.steps,
            guidance_scale=how.guidance,
            height=height,
            width=width,
            output_type="latent",
        ).images
        found = self.pipe.vae.decode(self.unpacked(latents.float()), return_dict=False)[0]
        if not bool(torch.isfinite(found).all()):
            what = "What it draws is not a number any more."
            raise UserError(what, "Train it again with a smaller learning rate.", code="broken_drawing")
        return ((found.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()


def weights(folder: Path) -> list[Path]:
    """Files with weights in a part of a base."""
    return sorted(folder.glob("*.safetensors"))
