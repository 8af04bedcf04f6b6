"""Small data sets of pictures that are drawn: shapes to tell apart, discs to mark, discs and squares to find."""

from __future__ import annotations

from pathlib import Path
from zipfile import ZipFile

import numpy as np
from PIL import Image, ImageDraw

SIDE = 64
BOXES = """<annotation><size><width>{side}</width><height>{side}</height><depth>3</depth></size>{things}</annotation>"""
THING = "<object><name>{}</name><bndbox><xmin>{}</xmin><ymin>{}</ymin><xmax>{}</xmax><ymax>{}</ymax></bndbox></object>"


def _ground(random: np.random.Generator) -> Image.Image:
    return Image.fromarray(random.integers(90, 150, (SIDE, SIDE, 3), dtype=np.uint8))


def _place(random: np.random.Generator, size: int) -> tuple[int, int, int, int]:
    left, top = (int(v) for v in random.integers(2, SIDE - size - 2, 2))
    return left, top, left + size, top + size


def shapes(path: Path, each: int = 20, seed: int = 0) -> Path:
    """A zip with a folder for each of three kinds: bright discs, dark squares, nothing."""
    random = np.random.default_rng(seed)
    with ZipFile(path, "w") as packed:
        for kind in ("disc", "square", "nothing"):
            for number in range(each):
                picture = _ground(random)
                box = _place(random, int(random.integers(24, 40)))
                pen = ImageDraw.Draw(picture)
                if kind == "disc":
                    pen.ellipse(box, fill=(240, 220, 60))
                elif kind == "square":
                    pen.rectangle(box, fill=(20, 30, 120))
                _add(packed, f"{kind}/{number:03}.png", picture)
    return path


def captioned(path: Path, each: int = 12, seed: int = 3, captions: bool = True) -> Path:
    """A zip of red discs and blue squares on cream paper, with a line about each in a text file of the same name."""
    random = np.random.default_rng(seed)
    with ZipFile(path, "w") as packed:
        for number in range(each):
            picture, kind = Image.new("RGB", (SIDE, SIDE), (244, 234, 210)), ("red disc", "blue square")[number % 2]
            pen, box = ImageDraw.Draw(picture), _place(random, int(random.integers(24, 40)))
            (pen.ellipse if number % 2 == 0 else pen.rectangle)(box, fill=(210, 30, 40) if number % 2 == 0 else (40, 60, 200))
            _add(packed, f"{number:03}.png", picture)
            if captions:
                packed.writestr(f"{number:03}.txt", f"a {kind}, number {number}\n")
    return path


def discs(path: Path, each: int = 30, seed: int = 1) -> Path:
    """A zip of pictures with bright discs, and masks that mark them."""
    random = np.random.default_rng(seed)
    with ZipFile(path, "w") as packed:
        for number in range(each):
            picture, mask = _ground(random), Image.new("L", (SIDE, SIDE))
            for _ in range(2):
                box = _place(random, int(random.integers(14, 24)))
                ImageDraw.Draw(picture).ellipse(box, fill=(250, 240, 200))
                ImageDraw.Draw(mask).ellipse(box, fill=255)
            _add(packed, f"images/{number:03}.png", picture)
            _add(packed, f"masks/{number:03}.png", mask)
    return path


def things(path: Path, each: int = 30, seed: int = 2) -> Path:
    """A zip of pictures with a disc and a square each, in boxes as Pascal VOC writes them."""
    random = np.random.default_rng(seed)
    with ZipFile(path, "w") as packed:
        for number in range(each):
            picture, found = _ground(random), []
            for name, colour in (("disc", (250, 230, 80)), ("square", (20, 30, 120))):
                box = _place(random, int(random.integers(14, 22)))
                pen = ImageDraw.Draw(picture)
                (pen.ellipse if name == "disc" else pen.rectangle)(box, fill=colour)
                found.append(THING.format(name, *box))
            _add(packed, f"JPEGImages/{number:03}.png", picture)
            words = BOXES.format(side=SIDE, things="".join(found)).replace(
                "<annotation>", f"<annotation><filename>{number:03}.png</filename>"
            )
            packed.writestr(f"Annotations/{number:03}.xml", words)
    return path


def _add(packed: ZipFile, name: str, picture: Image.Image) -> None:
    with packed.open(name, "w") as file:
        picture.save(file, "PNG")
