"""Owns what a network that sees makes of whole pictures: one vector each, by which pictures are compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from loralab.runtimes.vision.backbone import load_backbone

LOOKED_AT = 64  # pixels that pictures are enlarged to
AFAR, THUMB = 2, 4  # pixels that are looked at as one, as from afar, where noise does not count; and across the little picture of colours
AT_ONCE = 32


@torch.no_grad()
def features(folder: Path, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """What the backbone in `folder` sees of pictures [n, side, side, 3], as [n, 560]: the mean of each of its five scales, and the colours
    of the picture's sixteen parts; each as long as the others, together of length 1. The distance of two is 0..2.

    Raises UserError where the backbone is not there.
    """
    eyes, found = load_backbone(folder), list[torch.Tensor]()
    for start in range(0, len(pixels), AT_ONCE):
        some = torch.from_numpy(np.array(pixels[start : start + AT_ONCE])).permute(0, 3, 1, 2).float()
        afar = F.interpolate(F.avg_pool2d(some, AFAR), (LOOKED_AT, LOOKED_AT), mode="bilinear", antialias=True)
        parts = [scale.mean((2, 3)) for scale in eyes(afar.contiguous(memory_format=torch.channels_last))]
        parts.append(F.adaptive_avg_pool2d(some, THUMB).flatten(1) / 255 + 0.1)  # black is a colour, too
        found.append(torch.cat([F.normalize(part, dim=1) for part in parts], 1) / len(parts) ** 0.5)
    return torch.cat(found).double().numpy() if found else np.zeros((0, 560))
