"""Owns the model that draws: a small U-Net that turns noise into a picture along a straight path, told by words what to draw.

Flow matching (Lipman et al. 2022, arXiv 2210.02747; Liu et al. 2022, arXiv 2209.03003): x_t = (1 - t) picture + t noise, and what is asked
for is noise - picture.
Invariant: what is drawn follows from weights, words, noise and the number of steps alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from loralab.runtimes.vision.hashed_words import PIECES, WORDS, pieces_of

SIDE = 32  # of what is drawn, in pixels
FINE, COARSE, WIDE = 64, 192, 384  # channels at 16x16 and at 8x8, and of what time and words come in as
HEADS = 4
GROUPS = 16  # of channels that are normed together


class Told(NamedTuple):
    """Words as the U-Net takes them: each of them [n, WORDS, COARSE], which of them are there [n, WORDS], and all together [n, WIDE]."""

    words: Tensor
    there: Tensor
    together: Tensor


class WordReader(nn.Module):
    """Captions -> Told. A word is the sum of hashed pieces of its letters, so a new word is never unknown; an empty caption is one, too."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces = nn.EmbeddingBag(PIECES, COARSE, mode="mean", padding_idx=0)
        self.places = nn.Parameter(torch.randn(WORDS, COARSE) * 0.02)
        self.layer = nn.TransformerEncoderLayer(COARSE, HEADS, 2 * COARSE, 0.0, "gelu", batch_first=True, norm_first=True)
        self.together = nn.Linear(COARSE, WIDE)
        nn.init.normal_(self.pieces.weight, std=0.5)

    def forward(self, captions: Sequence[str]) -> Told:
        bags = [pieces_of(caption) for caption in captions]
        where = self.places.device
        lengths = torch.tensor([len(bag) for one in bags for bag in one])
        flat = torch.tensor([piece for one in bags for bag in one for piece in bag], device=where)
        starts = F.pad(lengths.cumsum(0)[:-1], (1, 0)).to(where)
        words = self.pieces(flat, starts).view(len(bags), WORDS, COARSE)
        there = torch.tensor([[i == 0 or bag != [0] for i, bag in enumerate(one)] for one in bags], device=where)
        words = self.layer(words + self.places, src_key_padding_mask=~there)
        weight = there[..., None].to(words.dtype)
        return Told(words, there, self.together((words * weight).sum(1) / weight.sum(1)))


class Residual(nn.Module):
    """Two convolutions beside a short cut; time and words shift and stretch what is between them."""

    def __init__(self, channels: int, out: int) -> None:
        super().__init__()
        self.norm1, self.conv1 = nn.GroupNorm(GROUPS, channels), nn.Conv2d(channels, out, 3, padding=1)
        self.norm2, self.conv2 = nn.GroupNorm(GROUPS, out), nn.Conv2d(out, out, 3, padding=1)
        self.told = nn.Linear(WIDE, 2 * out)
        self.short = nn.Conv2d(channels, out, 1) if channels != out else nn.Identity()
        nn.init.zeros_(self.conv2.weight)

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        stretch, shift = self.told(told)[:, :, None, None].chunk(2, 1)
        inner = self.norm2(self.conv1(F.silu(self.norm1(x)))) * (1 + stretch) + shift
        return self.short(x) + self.conv2(F.silu(inner))


class Attention(nn.Module):
    """Every spot looks at all spots and at the words."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.GroupNorm(GROUPS, channels)
        self.q_proj, self.o_proj = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self.k_proj, self.v_proj = nn.Linear(channels, channels), nn.Linear(channels, channels)
        self.word_k, self.word_v = nn.Linear(COARSE, channels), nn.Linear(COARSE, channels)
        nn.init.zeros_(self.o_proj.weight)

    def forward(self, x: Tensor, told: Told) -> Tensor:
        n, channels, height, width = x.shape
        spots = self.norm(x).flatten(2).transpose(1, 2)
        keys = torch.cat([self.k_proj(spots), self.word_k(told.words)], 1)
        values = torch.cat([self.v_proj(spots), self.word_v(told.words)], 1)
        q, k, v = (one.view(n, -1, HEADS, channels // HEADS).transpose(1, 2) for one in (self.q_proj(spots), keys, values))
        seen = F.pad(told.there, (height * width, 0), value=True)[:, None, None]
        weight = (q @ k.transpose(2, 3) * (channels // HEADS) ** -0.5).masked_fill(~seen, float("-inf")).softmax(-1)
        out = (weight @ v).transpose(1, 2).reshape(n, -1, channels)
        return x + self.o_proj(out).transpose(1, 2).reshape(n, channels, height, width)


class Draws(nn.Module):
    """Noisy pictures [n, 3, SIDE, SIDE] of about -1..1, times [n] in 0..1 and captions -> what points from the picture to the noise."""

    def __init__(self) -> None:
        super().__init__()
        self.reader = WordReader()
        self.time = nn.Sequential(nn.Linear(128, WIDE), nn.SiLU(), nn.Linear(WIDE, WIDE))
        self.enter = nn.Conv2d(12, FINE, 3, padding=1)
        self.fine_down = Residual(FINE, FINE)
        self.narrow = nn.Conv2d(FINE, COARSE, 3, 2, 1)
        self.down, self.look_down = Residual(COARSE, COARSE), Attention(COARSE)
        self.up, self.look_up = Residual(2 * COARSE, COARSE), Attention(COARSE)
        self.widen = nn.Conv2d(COARSE, FINE, 3, padding=1)
        self.fine_up = Residual(2 * FINE, FINE)
        self.norm, self.leave = nn.GroupNorm(GROUPS, FINE), nn.Conv2d(FINE, 12, 3, padding=1)
        nn.init.zeros_(self.leave.weight)

    def forward(self, noisy: Tensor, times: Tensor, captions: Sequence[str]) -> Tensor:
        return self.flow(noisy, times, self.reader(captions))

    def flow(self, noisy: Tensor, times: Tensor, told: Told) -> Tensor:
        """The same for captions that were read already."""
        both = F.silu(self.time(_waves(times)) + told.together)
        x = self.enter(F.pixel_unshuffle(noisy, 2).contiguous(memory_format=torch.channels_last))
        first, fine = x, self.fine_down(x, both)
        narrow = self.narrow(fine)
        x = self.look_down(self.down(narrow, both), told)
        x = self.look_up(self.up(torch.cat([x, narrow], 1), both), told)
        x = self.widen(F.interpolate(x, scale_factor=2.0, mode="nearest")) + first
        x = self.fine_up(torch.cat([x, fine], 1), both)
        return F.pixel_shuffle(self.leave(F.silu(self.norm(x))), 2)


def _waves(times: Tensor) -> Tensor:
    """Times [n] as 64 waves each of sine and cosine (Vaswani et al. 2017)."""
    speeds = torch.exp(torch.arange(64, device=times.device) * (-math.log(1000.0) / 63)) * 1000.0
    turns = times[:, None] * speeds
    return torch.cat([turns.sin(), turns.cos()], 1)
