"""Owns how it is drawn where a model looked: the picture in grey, washed over the stronger the more a place spoke for the answer.

Invariant: strength is told by lightness as well as by hue, so that it reads with every kind of colour vision, on light pages and on dark.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

MOST = 0.75  # opacity where a place speaks the most
FAINT = 0.15  # of the most: less is not drawn
# From faint to strong: steps of “inferno” (Smith and van der Walt 2015, CC0), its dark end left out.
_STEPS = np.array([(106, 23, 110), (188, 55, 84), (237, 105, 37), (251, 180, 26), (252, 255, 164)], np.float32)


def heated(picture: Image.Image, heat: Image.Image, side: int) -> Image.Image:
    """The picture, its longer side `side` pixels. `heat`: of the same shape, grey, 255 the most."""
    scale = side / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    grey = np.asarray(picture.convert("L").resize(size, Image.Resampling.BICUBIC, reducing_gap=3.0), np.float32)[..., None]
    strength = np.asarray(heat.convert("L").resize(size, Image.Resampling.BILINEAR), np.float32) / 255
    strength = np.clip((strength - FAINT) / (1 - FAINT), 0, 1)
    at = strength * (len(_STEPS) - 1)
    low = np.minimum(at.astype(int), len(_STEPS) - 2)
    part = (at - low)[..., None]
    colour = _STEPS[low] * (1 - part) + _STEPS[low + 1] * part
    opacity = MOST * np.sqrt(strength)[..., None]
    return Image.fromarray(np.rint(grey * (1 - opacity) + colour * opacity).clip(0, 255).astype(np.uint8))
