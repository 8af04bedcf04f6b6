"""Where in a picture a class was seen: gradient times activation at the features that the head reads (Selvaraju et al. 2017, arXiv
1610.02391; not averaged over the map first, Draelos and Carin 2020, arXiv 2011.08891).

Invariant: what is explained is the very answer that is given: the backbone's features go through the head as they do otherwise.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor


def saliency(backbone: Any, head: Any, pixels: Tensor, kind: int) -> Tensor:
    """Pixels [1, 3, height, width] -> [height, width] from 0 to 1: how much each place speaks for the class `kind` rather than another.

    `backbone` gives features [1, channels, h, w], finest first; `head(features, (height, width))` gives logits [1, classes]. All of
    them nothing where the head's answer does not depend on places.
    """
    size = tuple(pixels.shape[-2:])
    with torch.no_grad():
        found = backbone(pixels)
    features = [feature.detach().float().requires_grad_(True) for feature in found]
    with torch.enable_grad():
        logits = head(features, size)[0].float()
        others = (logits.sum() - logits[kind]) / max(1, len(logits) - 1)
        slopes: Any = torch.autograd.grad(logits[kind] - others, features, allow_unused=True)
    heat = torch.zeros(size)
    for feature, slope in zip(features, slopes, strict=True):
        if slope is not None and slope.ndim == 4 and slope.any():  # one vector for a whole picture has no places
            told = (slope * feature).sum(1, keepdim=True)
            told = told * (told.shape[-2] * told.shape[-1] / (size[0] * size[1]))  # a place of a coarse map is as much as all it covers
            heat += F.interpolate(told.detach().cpu(), size, mode="bilinear", align_corners=False)[0, 0]
    heat = (heat - heat.median()).clamp(min=0)  # what is everywhere is nowhere
    most = heat.max()
    return heat / most if most > 0 else heat
