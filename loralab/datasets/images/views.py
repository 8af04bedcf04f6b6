"""Owns how the model sees a picture: fitted into the size it reads, and while it learns a little different every time.

A picture goes through one affine map, and its boxes and its mask through the same one; `geometry.Placement` keeps it for the way back.

Invariant: what a view does to a picture it does to boxes and mask, and the same numbers drawn give the same pixels.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageFilter

from loralab.datasets.images.geometry import Matrix, Placement, Size, clipped, compose, within

GREY = 127  # what the input is filled with where there is no picture
OUTSIDE = 255  # in a mask: no class is known here, so nothing is learned and nothing is measured
STEP = 32  # sides of an input are multiples of it: the coarsest feature of the model is a pixel in 32
KEEP = 0.3  # a box of which less than this share can still be seen is dropped
SQUARE = 1.1  # an input whose sides differ by no more than this factor may be turned by a quarter
ALIKE = 1.2  # pictures whose width / height is within this factor of the median have one shape

Boxes = npt.NDArray[np.float32]  # [k, 4]: left, top, right, bottom
Pixels = npt.NDArray[np.uint8]

_LUMA = np.array([0.299, 0.587, 0.114])  # ITU-R BT.601
_TURNS: Mapping[tuple[bool, int], Image.Transpose] = MappingProxyType(
    {
        (False, 1): Image.Transpose.ROTATE_90,
        (False, 2): Image.Transpose.ROTATE_180,
        (False, 3): Image.Transpose.ROTATE_270,
        (True, 0): Image.Transpose.FLIP_LEFT_RIGHT,
        (True, 1): Image.Transpose.TRANSPOSE,
        (True, 2): Image.Transpose.FLIP_TOP_BOTTOM,
        (True, 3): Image.Transpose.TRANSVERSE,
    }
)


@dataclass(frozen=True)
class View:
    """One way to look at a picture. As it stands: fitted into the input, nothing else."""

    mirror: bool = False  # left for right, before it is turned
    quarters: int = 0  # turns by 90 degrees, counterclockwise
    degrees: float = 0.0  # a further turn, counterclockwise
    scale: float = 1.0  # of what fits
    shift: tuple[float, float] = (0.0, 0.0)  # to the right and down, in shares of the input's sides
    brightness: float = 1.0  # factor
    contrast: float = 1.0  # factor, around the mean of the picture
    saturation: float = 1.0  # factor
    hue: float = 0.0  # degrees around the grey axis
    stain: tuple[float, float, float] = (1.0, 1.0, 1.0)  # factor on the absorbance of each channel: a thicker or a thinner stain
    blur: float = 0.0  # reach of the mean over neighbours, in pixels of the input
    noise: float = 0.0  # standard deviation in grey levels
    grain: int = 0  # seed of the noise


@dataclass(frozen=True)
class Preset:
    """How far views of one kind of picture may go; factors lie between 1 / (1 + it) and 1 + it."""

    mirror: bool = False
    quarters: bool = False
    degrees: float = 0.0
    scale: float = 0.0
    shift: float = 0.0  # share of a side, beside what a larger or smaller picture leaves free
    brightness: float = 0.0
    contrast: float = 0.0
    saturation: float = 0.0
    hue: float = 0.0  # degrees
    stain: float = 0.0
    blur: float = 0.0  # the most; a view in BLURRED has any
    noise: float = 0.0  # the most; a view in BLURRED has any


BLURRED = 5
PRESETS: Mapping[str, Preset] = MappingProxyType(
    {
        "none": Preset(),
        "photo": Preset(mirror=True, scale=0.25, shift=0.05, brightness=0.2, contrast=0.2, saturation=0.3, hue=8.0, blur=0.8, noise=5.0),
        "microscope": Preset(
            mirror=True,
            quarters=True,
            scale=0.2,
            shift=0.05,
            brightness=0.12,
            contrast=0.2,
            saturation=0.2,
            hue=6.0,
            stain=0.15,
            blur=0.7,
            noise=4.0,
        ),
        # Never mirrored: the heart lies on one side, and a mirrored chest is a finding of its own.
        "xray": Preset(degrees=7.0, scale=0.1, shift=0.05, brightness=0.12, contrast=0.2, blur=0.6, noise=4.0),
    }
)


@dataclass(frozen=True)
class Seen:
    """What the model reads of one picture, and what it is to say of it."""

    pixels: Pixels  # [height, width, 3]
    mask: Pixels | None  # [height, width], classes; OUTSIDE where the picture does not lie
    boxes: Boxes  # [k, 4] in pixels of the input, clipped to it
    kept: npt.NDArray[np.int64]  # [k]: which of the boxes given these are
    place: Placement


def draw(preset: str, random: np.random.Generator, size: Size) -> View:
    """
    A view of the named preset for an input of `size`. KeyError for a preset there is not.

    An input that is no square is turned by half turns only: a quarter turn would leave a quarter of 4 : 3 empty, and cut off as much.
    """
    p = PRESETS[preset]
    if preset == "none":
        return View()
    # Everything is drawn whatever the preset says, so that the n-th view does not depend on which settings are in use.
    u = random.uniform(-1.0, 1.0, 16).tolist()
    chance = random.integers(0, 2**31, 4).tolist()
    quarters = chance[1] % 4 if max(size) <= min(size) * SQUARE else 2 * (chance[1] % 2)
    scale = (1 + p.scale) ** u[0]
    free = abs(scale - 1) / 2 + p.shift
    return View(
        mirror=p.mirror and bool(chance[0] % 2),
        quarters=quarters if p.quarters else 0,
        degrees=p.degrees * u[1],
        scale=scale,
        shift=(free * u[2], free * u[3]),
        brightness=(1 + p.brightness) ** u[4],
        contrast=(1 + p.contrast) ** u[5],
        saturation=(1 + p.saturation) ** u[6],
        hue=p.hue * u[7],
        stain=((1 + p.stain) ** u[8], (1 + p.stain) ** u[9], (1 + p.stain) ** u[10]),
        blur=p.blur * abs(u[11]) if chance[2] % BLURRED == 0 else 0.0,
        noise=p.noise * abs(u[12]) if chance[2] % BLURRED == 1 else 0.0,
        grain=chance[3],
    )


def placed(picture: Size, size: Size, view: View | None = None) -> Placement:
    """Where a picture of that size lies in an input of `size`: as large as fits, in the middle, then as the view says."""
    view = view or View()
    scaled, turned = _scaled(picture, size, view), _turned_size(picture, view)
    matrix = compose(_turn_matrix(picture, view), (scaled[0] / turned[0], 0.0, 0.0, 0.0, scaled[1] / turned[1], 0.0))
    return Placement(picture, size, compose(matrix, _laid(scaled, size, view)))


def seen(
    picture: Image.Image,
    size: Size,
    view: View | None = None,
    mask: npt.NDArray[np.generic] | None = None,
    boxes: npt.ArrayLike | None = None,
) -> Seen:
    """
    A picture as the model reads it, in an input of `size`, with what is known of it.

    `mask` [height, width] holds classes, `boxes` [k, 4] are in the picture's pixels. Boxes are clipped to the picture; those that are
    seen by less than KEEP are dropped. ValueError where a mask has another size than its picture.
    """
    view = view or View()
    place = placed(picture.size, size, view)
    inside, kept = _seen_boxes(place, boxes)
    pixels = _pixels(picture if picture.mode == "RGB" else picture.convert("RGB"), size, view)
    return Seen(pixels, None if mask is None else _seen_mask(place, mask), inside, kept, place)


def input_size(sizes: Sequence[Size], side: int) -> Size:
    """
    Width and height of an input that suits pictures of these sizes: multiples of 32, the longer one `side` (or the next multiple).

    It has the shape of the median picture; square where more than a quarter of them have another. ValueError without a picture.
    """
    if not sizes:
        raise ValueError("an input has the shape of its pictures, and there are none")
    long = _multiple(side)
    shapes = np.log([width / height for width, height in sizes])
    median = float(np.median(shapes))
    if np.mean(np.abs(shapes - median) > math.log(ALIKE)) > 0.25:
        return long, long
    short = _multiple(side * math.exp(-abs(median)))
    return (long, short) if median >= 0 else (short, long)


def _multiple(length: float) -> int:
    """The next multiple of STEP; a pixel more than one is no reason for another."""
    return STEP * max(1, math.ceil((length - 1) / STEP))


# ---- where it lies -----------------------------------------------------------------------------------------------------------


def _turned_size(picture: Size, view: View) -> Size:
    return picture if view.quarters % 2 == 0 else (picture[1], picture[0])


def _turn_matrix(picture: Size, view: View) -> Matrix:
    """Mirrored, then turned by quarters: (x, y) of a picture w wide goes to (y, w - x) with each."""
    width, height = picture
    matrix = (-1.0, 0.0, float(width), 0.0, 1.0, 0.0) if view.mirror else (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
    for _ in range(view.quarters % 4):
        matrix = compose(matrix, (0.0, 1.0, 0.0, -1.0, 0.0, float(width)))
        width, height = height, width
    return matrix


def _scaled(picture: Size, size: Size, view: View) -> Size:
    """Whole pixels of the turned picture in the input; a quarter turn leaves things as large as they are in the picture unturned."""
    scale = min(size[0] / picture[0], size[1] / picture[1]) * view.scale
    width, height = _turned_size(picture, view)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _laid(scaled: Size, size: Size, view: View) -> Matrix:
    """From the scaled picture to the input. Without a slanted turn it moves by whole pixels, so nothing is interpolated twice."""
    middle = size[0] * (0.5 + view.shift[0]), size[1] * (0.5 + view.shift[1])
    if not view.degrees:
        return 1.0, 0.0, float(math.floor(middle[0] - scaled[0] / 2 + 0.5)), 0.0, 1.0, float(math.floor(middle[1] - scaled[1] / 2 + 0.5))
    cos, sin = math.cos(math.radians(view.degrees)), math.sin(math.radians(view.degrees))
    x, y = scaled[0] / 2, scaled[1] / 2
    return cos, sin, middle[0] - cos * x - sin * y, -sin, cos, middle[1] + sin * x - cos * y


# ---- what is known of it ----------------------------------------------------------------------------------------------------


def _seen_boxes(place: Placement, boxes: npt.ArrayLike | None) -> tuple[Boxes, npt.NDArray[np.int64]]:
    whole = place.to_input(clipped(np.asarray([] if boxes is None else boxes, np.float64).reshape(-1, 4), place.picture))
    inside = clipped(whole, place.input)
    area, full = ((b[:, 2] - b[:, 0]) * (b[:, 3] - b[:, 1]) for b in (inside, whole))
    kept = np.flatnonzero((area > 0) & (area >= KEEP * full))
    return inside[kept].astype(np.float32), kept


def _seen_mask(place: Placement, mask: npt.NDArray[np.generic]) -> Pixels:
    if mask.shape != (place.picture[1], place.picture[0]):
        raise ValueError(f"a mask of {mask.shape} does not lie on a picture of {place.picture[1]} x {place.picture[0]}")
    classes = Image.fromarray(np.ascontiguousarray(mask, np.uint8))
    return np.array(classes.transform(place.input, Image.Transform.AFFINE, place.back, Image.Resampling.NEAREST, fillcolor=OUTSIDE))


# ---- what it looks like ------------------------------------------------------------------------------------------------------


def _pixels(picture: Image.Image, size: Size, view: View) -> Pixels:
    turn = _TURNS.get((view.mirror, view.quarters % 4))
    turned = picture if turn is None else picture.transpose(turn)
    scaled = _scaled(picture.size, size, view)
    laid = _laid(scaled, size, view)
    if view.degrees:
        whole = _coloured(_resized(turned, scaled), view)
        back = Placement(scaled, size, laid).back
        fill = (GREY, GREY, GREY)
        # It has its final scale already, so a bilinear turn costs little sharpness, and half the time of a bicubic one.
        return np.array(whole.transform(size, Image.Transform.AFFINE, back, Image.Resampling.BILINEAR, fillcolor=fill))
    x, y = int(laid[2]), int(laid[5])
    left, top, right, bottom = max(0, x), max(0, y), min(size[0], x + scaled[0]), min(size[1], y + scaled[1])
    canvas = np.full((size[1], size[0], 3), GREY, np.uint8)
    if right > left and bottom > top:
        across, down = turned.size[0] / scaled[0], turned.size[1] / scaled[1]
        box = ((left - x) * across, (top - y) * down, (right - x) * across, (bottom - y) * down)
        shown = _resized(turned, (right - left, bottom - top), within(box, turned.size))
        canvas[top:bottom, left:right] = np.asarray(_coloured(shown, view))
    return canvas


def _resized(picture: Image.Image, size: Size, box: tuple[float, float, float, float] | None = None) -> Image.Image:
    """A picture, or a part of it, in another size: averaged where it shrinks; the same pixels where nothing changes."""
    return picture.resize(size, Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)


def _coloured(picture: Image.Image, view: View) -> Image.Image:
    """Blur, stain, then all that is linear in colour as one matrix, then noise."""
    if view.blur:
        picture = picture.filter(ImageFilter.BoxBlur(view.blur))
    if view.stain != (1.0, 1.0, 1.0):
        light = np.arange(256) / 255  # Beer-Lambert: absorbance times g is transmitted light to the power of g
        stain = view.stain[:1] * 3 if _colourless(picture) else view.stain  # a camera without colour never shows a tint
        picture = picture.point(np.rint(255 * np.concatenate([light**g for g in stain])).astype(int).tolist())
    matrix = _colour_matrix(picture, view)
    if matrix is not None:
        picture = picture.convert("RGB", matrix)
    if view.noise:
        # Even over its range: drawn from bytes, it costs a tenth of a normal deviate.
        channels = 1 if _colourless(picture) else 3
        grain = np.random.default_rng(view.grain).integers(0, 256, (picture.height, picture.width, channels), np.uint8)
        spread = np.rint((np.arange(256) - 127.5) / 127.5 * view.noise * math.sqrt(3)).astype(np.int16)[grain]
        picture = Image.fromarray(np.clip(np.asarray(picture) + spread, 0, 255).astype(np.uint8))
    return picture


def _colourless(picture: Image.Image) -> bool:
    return np.ptp(np.asarray(picture.reduce(8)), axis=2).max() <= 1


def _colour_matrix(picture: Image.Image, view: View) -> tuple[float, ...] | None:
    """Hue (Rodrigues' turn around the grey axis), saturation, contrast around the picture's mean grey and brightness: 3 rows of 4."""
    if (view.brightness, view.contrast, view.saturation, view.hue) == (1.0, 1.0, 1.0, 0.0):
        return None
    cos, sin = math.cos(math.radians(view.hue)), math.sin(math.radians(view.hue))
    axis = math.sqrt(1 / 3) * np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]])
    colour = cos * np.eye(3) + sin * axis + (1 - cos) / 3
    colour = (view.saturation * np.eye(3) + (1 - view.saturation) * _LUMA) @ colour
    mean = float(np.dot(picture.reduce(picture.size).getpixel((0, 0)), _LUMA))  # pyright: ignore[reportArgumentType]
    gain = view.brightness * view.contrast
    offset = np.full((3, 1), view.brightness * (1 - view.contrast) * mean)
    return tuple(np.hstack([gain * colour, offset]).ravel().tolist())
