"""What lies beside an export sees and answers as LoRALab does, piece by piece."""

from __future__ import annotations

import ast
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from loralab.datasets.images import opened, views
from loralab.exports.pictures import code
from loralab.exports.pictures.program import classify, detect, seen, segment
from loralab.runtimes.vision.backbone import CHANNELS
from loralab.runtimes.vision.heads.boxes import BoxHead, Spots
from loralab.runtimes.vision.picture_model import PictureCard

CARD: dict[str, Any] = {"width": 96, "height": 64, "fill": 127, "labels": ["a", "b"], "threshold": 0.3, "unsure_below": 0.6}


def drawn(path: Path, mode: str, size: tuple[int, int], **options: Any) -> Path:
    random = np.random.default_rng(size[0])
    if mode == "I;16":
        Image.fromarray((random.integers(0, 60000, size[::-1])).astype(np.uint16)).save(path)
        return path
    channels = {"L": 1, "P": 1, "LA": 2, "RGB": 3, "CMYK": 3, "RGBA": 4}[mode]
    values = random.integers(0, 256, (size[1], size[0], channels), dtype=np.uint8)
    found = Image.fromarray(values[..., 0] if channels == 1 else values).resize((max(1, size[0] // 2), size[1] // 2)).resize(size)
    (found if found.mode == mode else found.convert(mode)).save(path, **options)
    return path


@pytest.mark.parametrize("size", [(96, 64), (64, 96), (301, 57), (40, 33), (1, 200), (1501, 1200)])
def test_a_picture_is_seen_as_in_training(tmp_path: Path, size: tuple[int, int]) -> None:
    path = drawn(tmp_path / "a.png", "RGB", size)
    ours = views.seen(opened.picture(path), (96, 64))
    theirs, (left, top, across, down) = seen.seen(seen.opened(path), CARD)
    assert np.abs(ours.pixels.astype(int) - theirs).max() <= 1
    a, _, c, _, e, f = ours.place.matrix
    assert np.allclose((left, top, across / size[0], down / size[1]), (c, f, a, e))


@pytest.mark.parametrize(
    ("name", "mode"), [("a.png", "RGBA"), ("a.png", "LA"), ("a.png", "L"), ("a.png", "P"), ("a.tiff", "I;16"), ("a.jpg", "CMYK")]
)
def test_a_picture_is_opened_as_in_training(tmp_path: Path, name: str, mode: str) -> None:
    path = drawn(tmp_path / name, mode, (31, 22))
    assert np.array_equal(np.asarray(opened.picture(path)), np.asarray(seen.opened(path)))


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_camera_held_in_any_way_gives_the_same(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[opened.ORIENTATION] = orientation
    path = drawn(tmp_path / "a.jpg", "RGB", (40, 30), exif=exif)
    found = seen.opened(path)
    assert np.array_equal(np.asarray(opened.picture(path)), np.asarray(found))
    assert found.size == ((40, 30) if orientation < 5 else (30, 40))


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("least", [0.05, 0.3])
def test_boxes_are_read_as_the_head_reads_them(seed: int, least: float) -> None:
    chance = torch.Generator().manual_seed(seed)
    heat = torch.rand(1, 3, 16, 24, generator=chance)
    peaks = heat * (torch.nn.functional.max_pool2d(heat, 3, 1, 1) == heat)
    sides = 2 + 30 * torch.rand(1, 4, 16, 24, generator=chance)
    boxes, scores, kinds = BoxHead(CHANNELS, 3).predict(Spots(torch.logit(peaks), sides), least=least)[0]
    found = detect.found(peaks[0].numpy(), sides[0].numpy(), least)
    assert len(found[0]) == len(boxes) > 10
    assert np.allclose(found[0], boxes.numpy(), atol=1e-4)
    assert np.allclose(found[1], scores.numpy(), atol=1e-6)
    assert np.array_equal(found[2], kinds.numpy())


def test_nothing_found_is_an_empty_answer(tmp_path: Path) -> None:
    nothing = [np.zeros((1, 2, 16, 24), np.float32), np.ones((1, 4, 16, 24), np.float32)]
    model = SimpleNamespace(card=CARD, outputs=lambda _: nothing)
    assert detect.answer(model, drawn(tmp_path / "a.png", "RGB", (50, 50))) == {"things": []}


def test_boxes_are_in_the_pixels_of_the_picture(tmp_path: Path) -> None:
    peaks, sides = np.zeros((1, 2, 16, 24), np.float32), np.full((1, 4, 16, 24), 8, np.float32)
    peaks[0, 1, 8, 12] = 0.9
    model = SimpleNamespace(card=CARD, outputs=lambda _: [peaks, sides])
    path = drawn(tmp_path / "a.png", "RGB", (192, 64))  # seen half as large, 16 pixels below the top
    thing = detect.answer(model, path)["things"]
    assert thing == [{"label": "b", "score": 0.9, "box": [84.0, 20.0, 116.0, 52.0]}]


def test_a_class_may_be_unsure(tmp_path: Path) -> None:
    path = drawn(tmp_path / "a.png", "RGB", (50, 50))
    for chances, unsure in (([0.55, 0.45], True), ([0.3, 0.7], False)):
        model = SimpleNamespace(card=CARD, outputs=lambda _, chances=chances: [np.array([chances], np.float32)])
        found = classify.answer(model, path)
        assert found["unsure"] is unsure
        assert found["label"] == ("a" if unsure else "b")


@pytest.mark.parametrize("channels", [1, 3])
def test_masks_are_as_large_as_the_picture(tmp_path: Path, channels: int) -> None:
    random = np.random.default_rng(0)
    maps = np.repeat(np.repeat(random.random((1, channels, 8, 12), np.float32), 8, 2), 8, 3)
    place = views.placed((61, 83), (96, 64))
    own = place.map_to_picture(maps[0])
    wanted = own[0] >= CARD["threshold"] if channels == 1 else own.argmax(0)
    found = segment.answer(SimpleNamespace(card=CARD, outputs=lambda _: [maps]), drawn(tmp_path / "a.png", "RGB", (61, 83)))
    assert found["mask"].shape == (83, 61)
    assert (found["mask"] == wanted).mean() > 0.995
    assert found["shares"]["a"] == pytest.approx(float((found["mask"] == 1).mean()), abs=1e-5)


@pytest.mark.parametrize("task", ["classify", "segment", "detect"])
def test_the_programs_are_whole_and_know_nothing_of_us(task: str) -> None:
    card = PictureCard(task=task, labels=("a",), width=64, height=64)  # type: ignore[arg-type]
    for text in (code.model(card), *(code.program(card, by) for by in ("onnx", "merged", "adapter"))):
        tree = ast.parse(text)
        names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        names |= {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
        assert not [name for name in names if name.startswith(("loralab", "advisor", "ui"))]
        assert "noqa" not in text
        assert "type: ignore" not in text
    assert "torch" not in code.program(card, "onnx")
