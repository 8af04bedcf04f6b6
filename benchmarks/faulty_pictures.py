"""Owns pictures with one fault each, and faults of a worker: what the logs of `golden_pictures` are made of."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest.mock import patch
from zipfile import ZipFile

import numpy as np
import torch
from peft import PeftModel
from PIL import Image, ImageDraw, ImageEnhance
from safetensors.torch import load_file, save_file

from loralab.sessions.pictures.session import PictureSession
from tests.support.small_pictures import BOXES, THING

SIDE = 64


def _zip(path: Path, files: dict[str, Image.Image | str]) -> Path:
    with ZipFile(path, "w") as packed:
        for name, content in files.items():
            if isinstance(content, str):
                packed.writestr(name, content)
                continue
            with packed.open(name, "w") as file:
                content.save(file, "BMP")  # all files are alike in size, which would tell the classes apart
    return path


def _noise(draws: np.random.Generator, side: int = SIDE) -> Image.Image:
    return Image.fromarray(draws.integers(90, 150, (side, side, 3), dtype=np.uint8))


def _shape(draws: np.random.Generator, kind: str) -> Image.Image:
    picture, size = _noise(draws), int(draws.integers(24, 40))
    left, top = (int(value) for value in draws.integers(2, SIDE - size - 2, 2))
    pen, box, fill = ImageDraw.Draw(picture), (left, top, left + size, top + size), tuple(draws.integers(0, 256, 3).tolist())
    (pen.ellipse if kind == "disc" else pen.rectangle)(box, fill=fill)
    return picture


def uneven(path: Path) -> Path:
    """Seven in eight are called “common”, the others “rare”, and nothing in them says which."""
    draws = np.random.default_rng(5)
    return _zip(path, {f"{'rare' if n % 8 == 0 else 'common'}/{n:03}.bmp": _shape(draws, "disc") for n in range(120)})


def copied(path: Path) -> Path:
    """Discs and squares with a test folder, half of which are pictures to learn from, a shade brighter."""
    draws, files = np.random.default_rng(6), dict[str, Image.Image | str]()
    for n in range(72):
        kind = ("disc", "square")[n % 2]
        picture = _shape(draws, kind)
        files[f"train/{kind}/{n:03}.bmp"] = picture
        if n < 12:
            files[f"test/{kind}/copy{n:03}.bmp"] = ImageEnhance.Brightness(picture).enhance(1.02)
            files[f"test/{kind}/{n:03}.bmp"] = _shape(draws, kind)
    return _zip(path, files)


def dots(path: Path) -> Path:
    """Pictures of 512 pixels with ten dots of six pixels, in boxes."""
    draws, files = np.random.default_rng(7), dict[str, Image.Image | str]()
    for n in range(30):
        picture, found = _noise(draws, 512), list[str]()
        for at in range(10):
            left, top = (int(value) for value in draws.integers(4, 500, 2))
            box = (left, top, left + 6, top + 6)
            ImageDraw.Draw(picture).rectangle(box, fill=((250, 230, 80), (20, 30, 120))[at % 2])
            found.append(THING.format(("light", "dark")[at % 2], *box))
        files[f"{n:03}.bmp"] = picture
        files[f"{n:03}.xml"] = BOXES.format(side=512, things="".join(found))
    return _zip(path, files)


def few(path: Path) -> Path:
    """Forty discs, forty squares, and six that are nothing."""
    draws = np.random.default_rng(8)
    files: dict[str, Image.Image | str] = {f"{k}/{n:03}.bmp": _shape(draws, k) for k in ("disc", "square") for n in range(40)}
    return _zip(path, files | {f"nothing/{n:03}.bmp": _noise(draws) for n in range(6)})


def fine(path: Path) -> Path:
    """Pictures of 512 pixels with lines of two, across or along: nothing of them is left at an eighth of the size."""
    draws, files = np.random.default_rng(9), dict[str, Image.Image | str]()
    for n in range(96):
        lines = np.where((np.arange(512) + draws.integers(0, 4)) % 4 < 2, 90, 160)[:, None] + draws.integers(-20, 20, (512, 512))
        pixels = np.full((512, 512), 125, np.uint8)
        pixels[32:-32, 32:-32] = (lines if n % 2 == 0 else lines.T)[32:-32, 32:-32]
        files[f"{('weft', 'warp')[n % 2]}/{n:03}.bmp"] = Image.fromarray(pixels).convert("RGB")
    return _zip(path, files)


def arrows(path: Path) -> Path:
    """Arrows to the left and to the right."""
    draws, files = np.random.default_rng(10), dict[str, Image.Image | str]()
    for n in range(72):
        picture, size = _noise(draws), int(draws.integers(28, 44))
        left, top = (int(value) for value in draws.integers(2, SIDE - size - 2, 2))
        tip, back = (left, left + size) if n % 2 == 0 else (left + size, left)
        points = [(tip, top + size // 2), (back, top), (back, top + size)]
        ImageDraw.Draw(picture).polygon(points, fill=tuple(draws.integers(0, 256, 3).tolist()))
        files[f"{('left', 'right')[n % 2]}/{n:03}.bmp"] = picture
    return _zip(path, files)


@contextmanager
def headless() -> Generator[None, None, None]:
    """A worker that leaves the part that answers out of what it saves."""
    save = PeftModel.save_pretrained

    def without(self: PeftModel, save_directory: str, **how: Any) -> None:
        save(self, save_directory, **how)
        file = Path(save_directory) / "adapter_model.safetensors"
        save_file({name: value for name, value in load_file(file).items() if "head" not in name}, file, {"format": "pt"})

    with patch.object(PeftModel, "save_pretrained", without):
        yield


@contextmanager
def moving() -> Generator[None, None, None]:
    """A worker whose frozen numbers follow what they are shown, as a batch norm does that is left in training mode."""
    loss = PictureSession.loss

    def counted(self: PictureSession, batch: Any) -> Any:
        with torch.no_grad():
            still = next(p for name, p in self.model.named_parameters() if not p.requires_grad and name.endswith("bias") and p.ndim == 1)
            still.mul_(0.9).add_(0.01)
        return loss(self, batch)

    with patch.object(PictureSession, "loss", counted):
        yield
