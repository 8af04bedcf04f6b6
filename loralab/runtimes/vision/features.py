"""Owns what a network that sees makes of whole pictures: one vector each, by which pictures are compared."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from loralab.runtimes.vision.backbone import load_backbone

LOOKED_AT = 96  # pixels that little pictures are enlarged to
AT_ONCE = 32


@torch.no_grad()
def features(folder: Path, pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """What the backbone in `folder` sees of pictures [n, side, side, 3], as [n, 512]: the mean of each of its five scales, each as long as
    the others, together of length 1. The distance of two is 0..2. Raises UserError where the backbone is not there.
    """
    eyes, found = load_backbone(folder), list[torch.Tensor]()
    for start in range(0, len(pixels), AT_ONCE):
        some = torch.from_numpy(np.array(pixels[start : start + AT_ONCE])).permute(0, 3, 1, 2).float()
        large = F.interpolate(some, (LOOKED_AT, LOOKED_AT), mode="bilinear", antialias=True)
        scales = [F.normalize(scale.mean((2, 3)), dim=1) for scale in eyes(large.contiguous(memory_format=torch.channels_last))]
        found.append(torch.cat(scales, 1) / len(scales) ** 0.5)
    return torch.cat(found).double().numpy() if found else np.zeros((0, 512))
