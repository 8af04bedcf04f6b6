"""Small data sets of pictures for tests, made with numpy and PIL."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

from loralab.datasets.images.door import Pictures

Box = tuple[str, float, float, float, float]  # label, left, top, right, bottom


def pixels(seed: int, width: int = 32, height: int = 24, bright: float = 0.5) -> np.ndarray:
    """A picture [height, width, 3] that is no copy of one with another seed: smooth blots."""
    random = np.random.default_rng(seed)
    coarse = Image.fromarray(random.integers(0, 256, (5, 6, 3)).astype(np.uint8))
    smooth = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC), dtype=np.float32)
    return np.clip(smooth * 2 * bright, 0, 255).astype(np.uint8)


def encoded(values: np.ndarray | Image.Image, ending: str = ".png", **options: object) -> bytes:
    image = values if isinstance(values, Image.Image) else Image.fromarray(values)
    file = io.BytesIO()
    image.save(file, {".jpg": "JPEG", ".png": "PNG", ".tif": "TIFF", ".gif": "GIF", ".webp": "WEBP", ".bmp": "BMP"}[ending], **options)
    return file.getvalue()


@cache
def png(seed: int, width: int = 32, height: int = 24) -> bytes:
    return encoded(pixels(seed, width, height))


def write(folder: Path, files: Mapping[str, bytes | str]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def packed(path: Path, files: Mapping[str, bytes | str]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def class_folders(classes: Sequence[str] = ("cat", "dog"), each: int = 12, before: str = "", start: int = 0) -> dict[str, bytes | str]:
    """PNGs in a folder per class."""
    return {f"{before}{label}/{n:03d}.png": png(start + 1000 * at + n) for at, label in enumerate(classes) for n in range(each)}


def voc(name: str, boxes: Sequence[Box], size: tuple[int, int] = (32, 24)) -> str:
    """An annotation as Pascal VOC has them."""
    things = "".join(
        f"<object><name>{label}</name><bndbox><xmin>{a}</xmin><ymin>{b}</ymin><xmax>{c}</xmax><ymax>{d}</ymax></bndbox></object>"
        for label, a, b, c, d in boxes
    )
    sides = f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>"
    return f"<annotation><filename>{name}</filename>{sides}{things}</annotation>"


def coco(images: Sequence[tuple[int, str]], boxes: Sequence[tuple[int, int, Sequence[float]]], categories: dict[int, str]) -> str:
    """A COCO file: (id, file), (image id, category id, x y width height), id -> name."""
    return json.dumps(
        {
            "images": [{"id": number, "file_name": name, "width": 32, "height": 24} for number, name in images],
            "annotations": [
                {"id": at, "image_id": image, "category_id": category, "bbox": list(box), "iscrowd": 0}
                for at, (image, category, box) in enumerate(boxes, 1)
            ],
            "categories": [{"id": number, "name": name} for number, name in categories.items()],
        }
    )


def adds_up(pictures: Pictures) -> None:
    """Assert that nothing was lost without a word: pictures, and boxes."""
    assert pictures.loaded.n_read == len(pictures.examples) + len(pictures.loaded.left_out) + pictures.loaded.more_left_out
    assert all(one.reason for one in pictures.loaded.left_out)
    assert [example.row for example in pictures.examples] == list(range(1, len(pictures.examples) + 1))
    if pictures.boxes is not None:
        kept = sum(len(example.target.regions) for example in pictures.examples if example.target)
        assert pictures.boxes.kept == kept
        assert pictures.boxes.read == kept + pictures.boxes.dropped.total()
        for example, fact in zip(pictures.examples, pictures.facts, strict=True):
            for region in example.target.regions if example.target else ():
                assert region.box is not None
                left, top, right, bottom = region.box
                assert 0 <= left < right <= fact.width
                assert 0 <= top < bottom <= fact.height


def codes(pictures: Pictures) -> set[str]:
    """The codes of what reading found."""
    return {problem.code for problem in pictures.findings}
