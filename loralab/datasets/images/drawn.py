"""Owns pictures for people: what is marked in them, or what a model says of them, drawn on top.

Invariant: pure functions from pictures to pictures. What lies beside the picture is transparent and every word stands on its own ground, so
that a drawing reads the same on a light page and on a dark one; nothing is told by colour alone where two things must be told apart.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageColor, ImageDraw, ImageFont

from loralab.core.records import Example

# Told apart with every kind of colour vision: Okabe and Ito (2008), then three of Tol's (2021) that differ from those most.
PALETTE = ("#E69F00", "#56B4E9", "#009E73", "#F0E442", "#CC79A7", "#D55E00", "#0072B2", "#DDCC77", "#332288", "#661100")
RIGHT, WRONG = "#009E73", "#D55E00"
INK, PAPER, RIM = "#1B1B1B", "#FFFFFF", "#1B1B1B90"
SIDE = 480  # pixels of the longer side
TAGGED = 6  # boxes; where there are more, names on each of them would hide what they name, and a legend says them once
WASH = 0.3  # opacity of a mask
GAP = 8  # pixels between pictures
# Where the built-in font lacks a script: fonts that systems come with, found by their names.
FONTS = (
    "NotoSansCJK-Regular.ttc",
    "NotoSans-Regular.ttf",
    "DejaVuSans.ttf",
    "msyh.ttc",
    "PingFang.ttc",
    "Arial Unicode.ttf",
    "segoeui.ttf",
)

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
Colours = Mapping[str, str]  # class -> colour; the k-th class is k in a mask
Rect = tuple[float, float, float, float]


@dataclass(frozen=True)
class Mark:
    """A thing in a picture, and how sure a model is of it (0 to 1; None: a person marked it)."""

    label: str
    box: Rect  # left, top, right, bottom in pixels of the picture
    sure: float | None = None


@dataclass(frozen=True)
class Marks:
    """What is known or said of a picture: a class, boxes, a mask [height, width] of classes with 0 for none and 255 for unknown."""

    label: str = ""
    sure: float | None = None
    boxes: tuple[Mark, ...] = ()
    mask: npt.NDArray[np.integer] | None = None


def marks(example: Example, mask: npt.NDArray[np.integer] | None = None) -> Marks:
    """What the file says of an example; the mask is given as it was read."""
    regions = example.target.regions if example.target else ()
    return Marks(example.label or "", boxes=tuple(Mark(r.label, r.box) for r in regions if r.box), mask=mask)


def colours(labels: Sequence[str]) -> dict[str, str]:
    """A colour for each class, in their order; after ten they begin again."""
    return {label: PALETTE[k % len(PALETTE)] for k, label in enumerate(labels)}


def drawn(picture: Image.Image, what: Marks, table: Colours, side: int = SIDE) -> Image.Image:
    """
    The picture, its longer side `side` pixels, with what is marked; classes are named in it or, where they are many, under it.

    `side` is best the size it is shown in: words and lines are made for that. The result has an alpha channel.
    """
    panel = _panel(picture, what, table, side)
    crowded = len(what.boxes) > TAGGED
    present = Counter(mark.label for mark in what.boxes) if crowded else Counter[str]()
    names = {label: f"{_written(label, table)}  {n}" for label in (*table, *present) if (n := present[label])}
    names |= {label: _written(label, table) for label in _in_mask(what, table)}
    return _over(panel, _pills(names, table, panel.width))


def compared(picture: Image.Image, truth: Marks, before: Marks | None, after: Marks, table: Colours, side: int = SIDE) -> Image.Image:
    """Side by side what is marked, what the model said before it learned and what it says after: marked solid, said dashed."""
    panels = [_panel(picture, truth, table, side, caption="Marked")]
    for caption, said in (("Before", before), ("After", after)):
        if said is not None:
            panels.append(_panel(picture, said, table, side, caption=caption, truth=truth))
    sheet = grid(panels, len(panels), sum(panel.width for panel in panels) + GAP * (len(panels) - 1))
    everything = [what for what in (truth, before, after) if what]
    used = {mark.label for what in everything for mark in what.boxes} | {label for what in everything for label in _in_mask(what, table)}
    names = {label: _written(label, table) for label in table if label in used}
    return _over(sheet, _pills(names, table, sheet.width, key=True)) if names else sheet


def grid(pictures: Sequence[Image.Image], columns: int, width: int) -> Image.Image:
    """A sheet of pictures, `width` pixels wide, row by row; each as large as its column, what is between them transparent."""
    if not pictures:
        raise ValueError("a sheet of no pictures")
    room = (width - GAP * (columns - 1)) // columns
    cells = [_sized(picture, room, round(picture.height * room / picture.width)) for picture in pictures]
    rows = [cells[start : start + columns] for start in range(0, len(cells), columns)]
    heights = [max(cell.height for cell in row) for row in rows]
    sheet = Image.new("RGBA", (width, sum(heights) + GAP * (len(rows) - 1)))
    for k, row in enumerate(rows):
        for column, cell in enumerate(row):
            sheet.paste(cell, (column * (room + GAP), sum(heights[:k]) + GAP * k))
    return sheet


def _over(panel: Image.Image, legend: Image.Image | None) -> Image.Image:
    if legend is None:
        return panel.convert("RGBA")
    whole = Image.new("RGBA", (panel.width, panel.height + GAP + legend.height))
    whole.paste(panel, (0, 0))
    whole.paste(legend, (0, panel.height + GAP))
    return whole


def _sized(picture: Image.Image, width: int, height: int) -> Image.Image:
    if picture.mode not in ("RGB", "RGBA"):
        picture = picture.convert("RGB")
    return picture.resize((max(1, width), max(1, height)), Image.Resampling.BICUBIC, reducing_gap=3.0)


# ---- one picture -------------------------------------------------------------------------------------------------------------


def _panel(picture: Image.Image, what: Marks, table: Colours, side: int, caption: str = "", truth: Marks | None = None) -> Image.Image:
    """A picture with what is said of it. Where the truth is given, that is drawn beneath in white, solid, and what is said is dashed."""
    scale = side / max(picture.size)
    canvas = _sized(picture.convert("RGB"), round(picture.width * scale), round(picture.height * scale))
    line = max(2, round(side / 200))
    if what.mask is not None:
        canvas = _washed(canvas, what.mask, table, line, dashed=truth is not None)
    if truth is not None and truth.mask is not None:
        canvas = _rimmed(canvas, truth.mask)
    pen = ImageDraw.Draw(canvas, "RGBA")  # so that the rim of a box lets the picture through
    for mark in truth.boxes if truth else ():
        _outline(pen, _times(mark.box, scale), PAPER, 1)
    for mark in what.boxes:
        _outline(pen, _times(mark.box, scale), _colour(table, mark.label), line, dash=0 if truth is None else 3 * line)
    taken = _corner(pen, what, table, side, caption, truth)
    if len(what.boxes) <= TAGGED:
        _tag_boxes(pen, what.boxes, table, scale, taken)
    return canvas


def _corner(pen: ImageDraw.ImageDraw, what: Marks, table: Colours, side: int, caption: str, truth: Marks | None) -> list[Rect]:
    """Caption and class in the upper left corner, with a tick or a cross where the class is known; where they stand."""
    size, at, taken = _text_size(side), GAP, []
    width = pen.im.size[0]
    if caption:
        taken.append(_tag(pen, (at, GAP), caption, INK, size, width - 2 * GAP))
        at = taken[-1][2] + GAP / 2
    if what.label:
        text = _written(what.label, table, what.sure)
        badge = size * 1.6 if truth and truth.label else 0.0
        rect = _tag(pen, (at, GAP), text, _colour(table, what.label), size, width - at - GAP - badge)
        taken.append(rect)
        if truth and truth.label:
            _badge(pen, (rect[2] + GAP / 2, rect[1], rect[2] + GAP / 2 + rect[3] - rect[1], rect[3]), right=truth.label == what.label)
    return taken


def _tag_boxes(pen: ImageDraw.ImageDraw, boxes: Sequence[Mark], table: Colours, scale: float, taken: list[Rect]) -> None:
    """A name at each box, over it or within, wherever it hides no other name; where there is no such place, colour has to do."""
    width, height = pen.im.size
    size = _text_size(max(width, height)) * 0.85
    for mark in boxes:
        left, top, right, bottom = _times(mark.box, scale)
        text = _written(mark.label, table, mark.sure)
        across, down = _tag_size(text, size, width)
        for x, y in ((left, top - down), (left, bottom), (right - across, top - down), (left, top), (right - across, bottom - down)):
            rect = (x, y, x + across, y + down)
            if x >= 0 and y >= 0 and rect[2] <= width and rect[3] <= height and not any(_meet(rect, other) for other in taken):
                taken.append(_tag(pen, (x, y), text, _colour(table, mark.label), size, width))
                break


def _times(box: Rect, scale: float) -> Rect:
    return box[0] * scale, box[1] * scale, box[2] * scale, box[3] * scale


def _meet(one: Rect, other: Rect) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _outline(pen: ImageDraw.ImageDraw, box: Rect, colour: str, line: int, dash: int = 0) -> None:
    """A box with a dark rim, so that it shows on any ground; dashed where it is said to be."""
    left, top, right, bottom = (round(value) for value in box)
    dash = dash and max(2, min(dash, min(right - left, bottom - top) // 4))  # a small box still shows four dashes on a side
    for ink, grow in ((RIM, 1), (colour, 0)):
        for start, end in (
            ((left, top), (right, top)),
            ((left, bottom), (right, bottom)),
            ((left, top), (left, bottom)),
            ((right, top), (right, bottom)),
        ):
            for (x0, y0), (x1, y1) in _dashes(start, end, dash):
                reach = line // 2 + grow
                pen.rectangle((x0 - reach, y0 - reach, x1 - reach + line - 1 + 2 * grow, y1 - reach + line - 1 + 2 * grow), fill=ink)


def _dashes(start: tuple[int, int], end: tuple[int, int], dash: int) -> list[tuple[tuple[int, int], tuple[int, int]]]:
    """The pieces of an upright or a level line; two thirds of it are drawn."""
    length = max(end[0] - start[0], end[1] - start[1])
    if not dash:
        return [(start, end)]
    step = (1, 0) if end[0] > start[0] else (0, 1)
    pieces = [(at, min(length, at + dash)) for at in range(0, length + 1, round(dash * 1.6))]
    return [((start[0] + step[0] * a, start[1] + step[1] * a), (start[0] + step[0] * b, start[1] + step[1] * b)) for a, b in pieces]


# ---- masks -------------------------------------------------------------------------------------------------------------------


def _in_mask(what: Marks, table: Colours) -> list[str]:
    if what.mask is None:
        return []
    there = set(np.unique(what.mask).tolist())
    return [label for k, label in enumerate(table, start=1) if k in there]


def _laid(mask: npt.NDArray[np.integer], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    return np.asarray(Image.fromarray(np.ascontiguousarray(mask, np.uint8)).resize(size, Image.Resampling.NEAREST))


def _edge(where: npt.NDArray[np.bool_], line: int) -> npt.NDArray[np.bool_]:
    """What lies within `line` pixels of the border, on the inner side; the border of the picture is none."""
    inner = np.pad(where, line, mode="edge")
    height, width = where.shape
    kept = where.copy()
    for k in range(-line, line + 1):
        kept &= inner[line + k : line + k + height, line : line + width] & inner[line : line + height, line + k : line + k + width]
    return where & ~kept


def _washed(canvas: Image.Image, mask: npt.NDArray[np.integer], table: Colours, line: int, *, dashed: bool) -> Image.Image:
    """Each class washed over in its colour, with its outline."""
    classes, pixels = _laid(mask, canvas.size), np.asarray(canvas).astype(np.float32)
    down, across = np.indices(classes.shape)
    drawn_part = (down + across) // (3 * line) % 2 == 0 if dashed else np.ones(classes.shape, bool)
    for k, label in enumerate(table, start=1):
        where = classes == k
        if where.any():
            colour = np.array(ImageColor.getrgb(_colour(table, label))[:3], np.float32)
            pixels[where] += WASH * (colour - pixels[where])
            pixels[_edge(where, line) & drawn_part] = colour
    return Image.fromarray(np.rint(pixels).astype(np.uint8))


def _rimmed(canvas: Image.Image, mask: npt.NDArray[np.integer]) -> Image.Image:
    """The outline of every class in white beside black."""
    classes, pixels = _laid(mask, canvas.size), np.array(canvas)
    for k in np.unique(classes[(classes > 0) & (classes < 255)]).tolist():
        where = classes == k
        pixels[_edge(~where, 1)] = ImageColor.getrgb(INK)[:3]
        pixels[_edge(where, 1)] = ImageColor.getrgb(PAPER)[:3]
    return Image.fromarray(pixels)


# ---- words -------------------------------------------------------------------------------------------------------------------


def _written(label: str, table: Colours, sure: float | None = None) -> str:
    """The class, and how sure it is; where no font here can write its name, which of the classes it is."""
    if _writer(label) is None:
        label = f"class {list(table).index(label) + 1}" if label in table else "?"
    return label if sure is None else f"{label}  {100 * sure:.0f} %"


def _colour(table: Colours, label: str) -> str:
    return table.get(label, "#BBBBBB")


def _text_size(side: int) -> float:
    return max(11.0, side / 30)


@lru_cache(maxsize=64)
def _font(size: int, name: str) -> Font | None:
    try:
        return ImageFont.truetype(name, size) if name else ImageFont.load_default(size)
    except OSError:
        return None  # this system does not have it


@lru_cache(maxsize=256)
def _can_write(name: str, text: str) -> bool:
    """Whether a font has a shape for each letter: one it lacks looks like a letter that nobody has."""
    font = _font(20, name)
    if font is None:
        return False
    lacking = _shape(font, "\U0010fffe")
    return all(_shape(font, letter) != lacking for letter in set(text) if not letter.isspace())


def _shape(font: Font, letter: str) -> bytes:
    image = Image.new("L", (48, 48))
    ImageDraw.Draw(image).text((8, 8), letter, 255, font)
    return image.tobytes()


def _writer(text: str) -> str | None:
    """The first font that can write all of a text; None where none can."""
    return next((name for name in ("", *FONTS) if _can_write(name, text)), None)


def _fitted(text: str, size: float, room: float) -> tuple[Font, str]:
    """As much of the text as there is room for."""
    font = _font(round(size), _writer(text) or "") or ImageFont.load_default(round(size))
    if font.getlength(text) <= room:
        return font, text
    while text and font.getlength(text + "...") > room:
        text = text[:-1]
    return font, text + "..."


def _tag_size(text: str, size: float, room: float) -> tuple[int, int]:
    font, text = _fitted(text, size, room - size)
    return round(font.getlength(text) + 0.8 * size), round(1.5 * size)


def _tag(pen: ImageDraw.ImageDraw, at: tuple[float, float], text: str, ground: str, size: float, room: float) -> Rect:
    """A word on a ground of its own, black or white, whichever reads better there; where it stands."""
    font, text = _fitted(text, size, room - size)
    width, height = round(font.getlength(text) + 0.8 * size), round(1.5 * size)
    rect = (round(at[0]), round(at[1]), round(at[0]) + width, round(at[1]) + height)
    pen.rounded_rectangle((rect[0], rect[1], rect[2] - 1, rect[3] - 1), radius=size / 4, fill=ground)
    pen.text((rect[0] + 0.4 * size, rect[1] + height / 2), text, fill=_ink(ground), font=font, anchor="lm")
    return rect


def _ink(ground: str) -> str:
    """Black or white, by the contrast of WCAG 2.2: equal at a relative luminance of 0.18."""
    red, green, blue = ((v / 255) ** 2.2 for v in ImageColor.getrgb(ground)[:3])
    return INK if 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.18 else PAPER


def _badge(pen: ImageDraw.ImageDraw, at: Rect, *, right: bool) -> None:
    """A tick or a cross, so that it is told by its shape, too."""
    left, top, size = at[0], at[1], at[3] - at[1]
    pen.ellipse((left, top, left + size, top + size), fill=RIGHT if right else WRONG)
    strokes = [((0.27, 0.52), (0.44, 0.69), (0.74, 0.33))] if right else [((0.32, 0.32), (0.68, 0.68)), ((0.68, 0.32), (0.32, 0.68))]
    for stroke in strokes:
        pen.line([(left + x * size, top + y * size) for x, y in stroke], fill=PAPER, width=max(2, round(size / 9)))


def _pills(names: Mapping[str, str], table: Colours, width: int, *, key: bool = False) -> Image.Image | None:
    """A legend as wide as the picture: each class on its colour; with `key` also which line is whose. None without classes."""
    if not names:
        return None
    size = _text_size(min(width, SIDE))
    entries = [(text, _colour(table, label)) for label, text in names.items()]
    entries += [("—  marked", INK), ("- -  said by the model", INK)] if key else []
    height, x, y, spots = round(1.5 * size), 0, 0, []
    for text, ground in entries:
        across = _tag_size(text, size, width)[0]
        if x and x + across > width:
            x, y = 0, y + height + GAP // 2
        spots.append((x, y, text, ground))
        x += across + GAP // 2
    strip = Image.new("RGBA", (width, y + height))
    pen = ImageDraw.Draw(strip)
    for x, y, text, ground in spots:
        _tag(pen, (x, y), text, ground, size, width)
    return strip
