"""The examples: a folder of small PPM pictures for each class, drawn or read."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from loralab.core.records import Example

SIDE = 8  # pixels
CLASSES = ("across", "down", "dots")


def draw(folder: Path, each: int = 20, seed: int = 5) -> Path:
    """Noisy pictures of stripes across, stripes down and dots."""
    random, place = np.random.default_rng(seed), np.arange(SIDE)
    across, down = (place % 2)[:, None].repeat(SIDE, 1), (place % 2)[None].repeat(SIDE, 0)
    for name, pattern in zip(CLASSES, (across, down, across * down), strict=True):
        (folder / name).mkdir(parents=True)
        for number in range(each):
            noisy = 120 * np.roll(pattern, number % 2, (0, 1))[..., None] + random.integers(0, 136, (SIDE, SIDE, 3))
            head = f"P6 {SIDE} {SIDE} 255\n".encode()
            (folder / name / f"{number:03}.ppm").write_bytes(head + noisy.astype(np.uint8).tobytes())
    return folder


def examples(folder: Path) -> list[Example]:
    """Every picture with its class, in the order of their names."""
    found = sorted(folder.glob("*/*.ppm"))
    return [Example(row=row, media=(path.relative_to(folder).as_posix(),), label=path.parent.name) for row, path in enumerate(found, 1)]


def pixels(path: Path) -> np.ndarray:
    """A picture as numbers in 0..1 [3, SIDE, SIDE]."""
    raw = path.read_bytes().split(b"\n", 1)[1]
    return np.frombuffer(raw, np.uint8).reshape(SIDE, SIDE, 3).transpose(2, 0, 1).astype(np.float32) / 255
