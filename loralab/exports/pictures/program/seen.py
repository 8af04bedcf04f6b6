"""A picture as the model reads it."""

import math
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps


def opened(path: Path) -> Image.Image:
    """The picture in colour, upright as its camera says; see-through parts are white, 16 bits become 8."""
    with Image.open(path) as image:
        image.load()
        found = ImageOps.exif_transpose(image)
    if found.mode.startswith("I") or found.mode == "F":
        values = np.nan_to_num(np.asarray(found).astype(np.float64), posinf=0.0, neginf=0.0)
        low, high = float(values.min()), float(values.max())
        if low < 0 or high > 255 or (found.mode == "F" and high <= 1):
            values = np.round((values - low) * (255.0 / max(high - low, 1e-12)))
        found = Image.fromarray(values.astype(np.uint8))
    if found.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in found.info:
        over = found.convert("RGBA")
        found = Image.alpha_composite(Image.new("RGBA", over.size, (255, 255, 255, 255)), over)
    return found.convert("RGB")


def seen(image: Image.Image, card: dict[str, Any]) -> tuple[np.ndarray, tuple[int, int, int, int]]:
    """Pixels [height, width, 3] in 0..255 with the picture as large as fits, in the middle; and where it lies: left, top, width, height."""
    width, height = card["width"], card["height"]
    scale = min(width / image.width, height / image.height)
    across, down = max(1, round(image.width * scale)), max(1, round(image.height * scale))
    left, top = math.floor((width - across) / 2 + 0.5), math.floor((height - down) / 2 + 0.5)
    pixels = np.full((height, width, 3), card["fill"], np.uint8)
    shown = image.resize((across, down), Image.Resampling.BICUBIC, reducing_gap=3.0)
    pixels[top : top + down, left : left + across] = np.asarray(shown)
    return pixels, (left, top, across, down)
