"""The doctor for pictures: every check fires where it should, and is quiet where all is well."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from loralab.datasets.images.checks import examine
from loralab.datasets.images.checks.shortcuts import auc
from loralab.datasets.images.door import load_pictures
from tests.datasets.images.made import class_folders, encoded, packed, pixels, png, voc

Files = dict[str, bytes | str]


def found(tmp_path: Path, files: Mapping[str, bytes | str]) -> dict[str, str]:
    """Code -> severity of what is found; every finding has its sentences."""
    problems = examine(load_pictures(packed(tmp_path / "a.zip", files), tmp_path / "home"))
    assert all(problem.what[0].isupper() or problem.what[0] in "“0123456789" for problem in problems)
    assert all(problem.what.endswith(".") and problem.todo.endswith(".") for problem in problems)
    assert [problem.severity for problem in problems] == sorted(
        (problem.severity for problem in problems), key=["error", "warning", "info"].index
    )
    return {problem.code: problem.severity for problem in problems}


def boxes(size: float = 8, each: int = 50) -> Files:
    files: Files = {f"{n}.png": png(n, 96, 72) for n in range(each)}
    return files | {f"{n}.xml": voc(f"{n}.png", [("cell", 20, 20, 20 + size, 20 + size)], (96, 72)) for n in range(each)}


def masks(side: int = 12, each: int = 50) -> Files:
    values = np.zeros((72, 96), np.uint8)
    values[4 : 4 + side, 6 : 6 + side] = 255
    files: Files = {f"images/{n}.png": png(n, 96, 72) for n in range(each)}
    return files | {f"masks/{n}.png": encoded(values) for n in range(each)}


def test_all_is_well(tmp_path: Path) -> None:
    assert found(tmp_path, class_folders(each=40)) == {}


@pytest.mark.parametrize("make", [boxes, masks])
def test_all_is_well_with_boxes_and_masks(tmp_path: Path, make) -> None:
    assert found(tmp_path, make()) == {}


def test_few_pictures_and_rare_classes(tmp_path: Path) -> None:
    assert found(tmp_path, class_folders(each=12)) == {"few_pictures": "warning"}
    files = class_folders(each=40) | {f"owl/{n}.png": png(5000 + n) for n in range(4)}
    assert found(tmp_path, files) == {"rare_classes": "warning"}
    files = class_folders(each=60) | {f"cat/x{n}.png": png(5000 + n) for n in range(240)}
    assert found(tmp_path, files) == {"one_class_dominates": "warning"}


def test_broken_pictures(tmp_path: Path) -> None:
    files = class_folders(each=40)
    assert found(tmp_path, files | {"cat/broken.png": b"\x89PNG"}) == {"pictures_left_out": "info"}
    assert found(tmp_path, files | {f"cat/broken{n}.png": b"\x89PNG" for n in range(9)}) == {"pictures_left_out": "warning"}


def test_copies(tmp_path: Path) -> None:
    files = class_folders(each=40)
    assert found(tmp_path, files | {"cat/again.png": files["cat/003.png"]}) == {"near_copies": "info"}
    codes = found(tmp_path, files | {"dog/again.png": files["cat/003.png"]})
    assert codes == {"near_copies": "info", "copies_two_classes": "warning"}
    many = files | {f"cat/again{n}.png": files[f"cat/{n:03d}.png"] for n in range(8)}
    assert found(tmp_path, many) == {"near_copies": "warning"}


def test_copies_and_patients_on_both_sides(tmp_path: Path) -> None:
    files = class_folders(each=40, before="train/") | class_folders(each=10, before="test/", start=300)
    assert found(tmp_path, files) == {}
    codes = found(tmp_path, files | {"test/cat/again.png": files["train/cat/003.png"]})
    assert codes == {"copies_across": "warning", "near_copies": "info"}
    files = {
        f"{side}/{c}/p{p}_{n}.png": png(100 * p + n + 50 * (c == "b"))
        for p, side in enumerate(("test", "train", "train") * 8)
        for n in range(3)
        for c in "ab"
    }
    assert found(tmp_path, files) == {"same_source": "info"}
    files["test/a/p1_0.png"] = files.pop("train/a/p1_0.png")
    assert found(tmp_path, files) == {"source_across": "warning"}


def test_tiny_things(tmp_path: Path) -> None:
    assert found(tmp_path, boxes(1)) == {"tiny_things": "warning"}
    assert found(tmp_path, masks(2)) == {"tiny_things": "warning"}
    assert found(tmp_path, masks() | {"masks/0.png": encoded(np.zeros((72, 96), np.uint8))}) == {"empty_masks": "info"}


def test_boxes_that_were_not_kept(tmp_path: Path) -> None:
    bad = voc("0.png", [("cell", 5, 5, 5, 9), ("cell", 80, 20, 400, 40), ("cell", 40, 40, 20, 20)], (96, 72))
    codes = found(tmp_path, boxes() | {"0.xml": bad})
    assert codes == {"boxes_left_out": "info", "boxes_clipped": "info", "boxes_turned": "info"}


def test_moving_pictures(tmp_path: Path) -> None:
    frames = [Image.fromarray(pixels(n)) for n in (900, 901)]
    moving = encoded(frames[0], ".gif", save_all=True, append_images=frames[1:])
    assert found(tmp_path, class_folders(each=40) | {"cat/moving.gif": moving}) == {"several_frames": "info"}


@pytest.mark.parametrize("kind", ["size of the file", "number of pixels", "brightness", "kind of file", "camera", "nothing"])
def test_what_tells_classes_apart_without_looking(tmp_path: Path, kind: str) -> None:
    files: Files = {}
    for n in range(80):
        own = n % 2 and kind != "nothing"
        exif = Image.Exif()
        exif[0x0110] = "Model B" if own and kind == "camera" else "Model A"
        size = (48, 36) if own and kind == "number of pixels" else (32, 24)
        values = pixels(n, *size, bright=0.9 if own and kind == "brightness" else 0.5)
        ending = ".bmp" if own and kind == "kind of file" else ".png"
        options = {"exif": exif, "compress_level": 0 if own and kind == "size of the file" else 6} if ending == ".png" else {}
        raw = encoded(values, ending, **options)
        files[f"{('cat', 'dog')[n % 2]}/{n}{ending}"] = raw
    pictures = load_pictures(packed(tmp_path / "a.zip", files), tmp_path / "home")
    told = [problem.what for problem in examine(pictures) if problem.code == "shortcut"]
    if kind == "nothing":
        assert not told
    else:
        assert any(kind in what and "AUC" in what for what in told)


def test_auc_is_the_chance_of_the_right_order() -> None:
    scores, positive = np.array([0.1, 0.4, 0.35, 0.8]), np.array([False, False, True, True])
    assert auc(scores, positive) == 0.75
    assert auc(np.ones(4), positive) == 0.5
    random = np.random.default_rng(0)
    scores, positive = random.integers(0, 6, 40).astype(float), random.random(40) < 0.4
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[positive] for b in scores[~positive]]
    assert auc(scores, positive) == pytest.approx(np.mean(pairs))
