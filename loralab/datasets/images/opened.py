"""Owns opening pictures: whatever the format, upright, as RGB; masks as the numbers that stand in them.

Invariant: the same file gives the same pixels everywhere in the product. A picture that cannot be opened is a sentence, never a traceback.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from loralab.core.errors import UserError

ENDINGS = frozenset((".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".dib", ".gif", ".webp", ".tif", ".tiff", ".ppm", ".pgm", ".pbm"))
UNOPENED = frozenset((".heic", ".heif", ".avif", ".svg", ".psd", ".raw", ".cr2", ".nef", ".dng", ".jp2"))  # pictures that are not opened
MOST_PIXELS = 89_000_000  # of one picture: 270 MB once it is opened; from here on PIL warns of pictures made to exhaust memory
ORIENTATION = 0x0112  # the EXIF tag that says how a camera was held
TURNS = {  # its value -> whether x and y are exchanged, then whether top and bottom, and left and right are
    1: (False, False, False),
    2: (False, False, True),
    3: (False, True, True),
    4: (False, True, False),
    5: (True, False, False),
    6: (True, False, True),
    7: (True, True, True),
    8: (True, True, False),
}
_FORMATS = ("PNG", "JPEG", "BMP", "DIB", "GIF", "WEBP", "TIFF", "PPM")  # a camera’s MPO is opened as JPEG
_TOO_LARGE = f"It has more than {MOST_PIXELS // 1_000_000} million pixels."
_SIXTEEN = ("I;16", "I;16B", "I;16L", "I;16N", "I", "F")  # PIL's names of grey values beyond 0..255

Pixels = npt.NDArray[np.uint8]
Values = npt.NDArray[Any]


class Unreadable(UserError):
    """A file is no picture that can be opened; `reason` is the sentence without the file's name."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}", "Save it again as PNG or JPG.", code="unreadable_picture")
        self.reason = reason


@contextmanager
def opening(path: Path) -> Generator[Image.Image, None, None]:
    """The picture, header read only. Raises Unreadable where it, or what is done with it inside, fails."""
    if path.suffix.lower() in UNOPENED:
        raise Unreadable(path.name, f"Pictures saved as {path.suffix[1:].upper()} are not opened yet.")
    try:
        with Image.open(path, formats=_FORMATS) as image:
            _bounded(image, path)
            yield image
    except Unreadable:
        raise
    except FileNotFoundError as error:
        raise Unreadable(path.name, "It is not there.") from error
    except Exception as error:  # a damaged picture makes its decoder fail in any way there is
        raise Unreadable(path.name, _why(path, error)) from error


def picture(path: Path) -> Image.Image:
    """The picture as RGB [height, width, 3], 0..255, upright as its EXIF says; of several frames the first; see-through parts are white.

    Grey values of 16 bits are stretched from the picture's own darkest to its brightest. Raises Unreadable.
    """
    with opening(path) as image:
        image.load()
        return rgb(ImageOps.exif_transpose(image))


def rgb(image: Image.Image) -> Image.Image:
    """An opened picture as RGB, whatever its mode."""
    if image.mode in _SIXTEEN:
        image = Image.fromarray(eight_bits(np.asarray(image)))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        seen = image.convert("RGBA")
        ground = Image.new("RGBA", seen.size, (255, 255, 255, 255))
        return Image.alpha_composite(ground, seen).convert("RGB")
    return image if image.mode == "RGB" and type(image) is Image.Image else image.convert("RGB")


def eight_bits(values: Values) -> Pixels:
    """Grey values of any range as 0..255: as they are where they fit, else from the darkest to the brightest."""
    numbers = np.nan_to_num(values.astype(np.float64), posinf=0.0, neginf=0.0)
    low, high = float(numbers.min()), float(numbers.max())
    if low >= 0 and high <= 255 and not (values.dtype.kind == "f" and high <= 1):
        return numbers.astype(np.uint8)
    return np.round((numbers - low) * (255.0 / max(high - low, 1e-12))).astype(np.uint8)


def mask_values(path: Path) -> Values:
    """What stands in a mask, as it lies in the file: [height, width] numbers (grey, or places in its palette), or colours as
    0xRRGGBB in int64 where they are no greys. Never through grey: a palette's places are the classes. Raises Unreadable.
    """
    with opening(path) as image:
        image.load()
        if image.mode == "1":
            return np.asarray(image).astype(np.int64) * 255
        if image.mode in ("P", "L", *_SIXTEEN):
            return np.asarray(image, dtype=np.int64 if image.mode != "F" else np.float64).astype(np.int64)
        if image.mode in ("LA", "PA", "La"):
            return np.asarray(image)[..., 0].astype(np.int64)
        colours = np.asarray(image.convert("RGB"), dtype=np.int64)
        if np.array_equal(colours[..., 0], colours[..., 1]) and np.array_equal(colours[..., 0], colours[..., 2]):
            return colours[..., 0]
        return (colours[..., 0] << 16) | (colours[..., 1] << 8) | colours[..., 2]


def turned(values: Values, orientation: int) -> Values:
    """An array [height, width, ...] turned upright as EXIF orientation (1..8) says."""
    exchanged, downwards, across = TURNS.get(orientation, TURNS[1])
    if exchanged:
        values = values.swapaxes(0, 1)
    return values[:: -1 if downwards else 1, :: -1 if across else 1]


def _bounded(image: Image.Image, path: Path) -> None:
    if image.width * image.height > MOST_PIXELS:
        raise Unreadable(path.name, _TOO_LARGE)


def _why(path: Path, error: Exception) -> str:
    try:
        if path.stat().st_size == 0:
            return "It is empty."
    except OSError:
        return "It could not be opened."
    if isinstance(error, (Image.DecompressionBombError, Image.DecompressionBombWarning)):
        return _TOO_LARGE
    if isinstance(error, Image.UnidentifiedImageError):
        return "It is no picture, or a damaged one."
    if isinstance(error, PermissionError):
        return "It may not be read."
    return "It is damaged or cut short."
