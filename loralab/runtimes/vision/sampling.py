"""Drawing with a model in plain PyTorch: seeds and words in, pixels out. It lies beside exported models, too, as it is.

Invariant: the same weights, words, seed and steps draw the same picture on one computer: the noise is made by numpy from the seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from loralab.core.errors import UserError
from loralab.runtimes.vision.draws import SIDE, Draws

STEPS, GUIDANCE = 20, 3.0  # of drawing: enough for straight paths, and how much more than without words the words count
Pixels = npt.NDArray[np.uint8]


def with_trigger(words: str, trigger: str) -> str:
    """A caption with the trigger word: in the place of “[trigger]”, else before it where it is not there yet."""
    if "[trigger]" in words:
        return " ".join(words.replace("[trigger]", trigger).split())
    known = trigger.casefold() in words.casefold().split() or not trigger
    return " ".join((words if known else f"{trigger} {words}").split())


def noise(seed: int, side: int = SIDE) -> Tensor:
    """Standard normal noise [3, side, side] that follows from the seed alone, on every computer."""
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((3, side, side), dtype=np.float32))


@torch.no_grad()
def sample(
    unet: Draws,
    captions: Sequence[str],
    seeds: Sequence[int],
    *,
    steps: int = STEPS,
    guidance: float = GUIDANCE,
    stop: Callable[[], bool] | None = None,
) -> Pixels:
    """Pictures [n, side, side, 3] of captions, from the noise of their seeds, by Euler's method; stopped, none.

    Guidance without a classifier (Ho and Salimans 2022, arXiv 2207.12598): free + guidance * (told - free).
    """
    where = next(unet.parameters()).device
    x = torch.stack([noise(seed) for seed in seeds]).to(where)
    told, free = unet.reader(captions), unet.reader([""] * len(captions))
    for i in range(steps):
        if stop is not None and stop():
            return np.zeros((0, SIDE, SIDE, 3), np.uint8)
        times = torch.full((len(captions),), 1 - i / steps, device=where)
        plain = unet.flow(x, times, free)
        x = x - (plain + guidance * (unet.flow(x, times, told) - plain)) / steps
    if not math.isfinite(float(x.sum())):
        raise UserError("What it draws is not a number any more.", "Train it again with a smaller learning rate.", code="broken_drawing")
    return ((x.clamp(-1, 1) + 1) * 127.5).round().byte().permute(0, 2, 3, 1).cpu().numpy()
