"""The facts of pictures: classes, how large things are for the model, which side they are on; the same before a run and in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from loralab.core.facts import TINY_PIXELS, Facts
from loralab.datasets.images.door import load_pictures, parts
from loralab.datasets.images.run_facts import of_pictures, of_plan
from loralab.sessions.pictures.facts import Learner, facts_of, told
from loralab.tasks.pictures import PicturePlan
from tests.support import small_pictures

PLAN = PicturePlan(image_size=64, heldout_share=0.2)


@pytest.fixture(scope="module")
def zips(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("zips")
    made = {"classify": small_pictures.shapes, "segment": small_pictures.discs, "detect": small_pictures.things}
    return {task: make(folder / f"{task}.zip", 20) for task, make in made.items()}


def read(path: Path, home: Path, image_size: int = 64) -> Facts:
    return of_plan(load_pictures(path, home), PLAN.model_copy(update={"image_size": image_size}))


def test_the_three_sides_and_the_classes_add_up(zips: dict[str, Path], home: Path) -> None:
    found = read(zips["classify"], home)
    assert found.n_train + found.n_watched + found.n_heldout + found.apart == 60
    assert found.of_class.keys() == {"disc", "square", "nothing"}
    assert sum(found.of_class.values()) == found.n_train
    assert found.sides == {"p10": 64, "p50": 64, "p90": 64}
    assert found.things == 0
    assert found.tokens["p50"] == 64 * 64
    assert found.near_shared == found.group_shared == found.two_classes == 0


def test_what_tells_classes_apart_without_a_look_is_noted(zips: dict[str, Path], home: Path) -> None:
    found = read(zips["classify"], home)
    assert any("brightness" in line for line in found.shortcuts)  # discs are bright, squares dark
    assert read(zips["detect"], home).shortcuts == ()


def test_boxes_are_measured_as_the_model_looks_at_them(zips: dict[str, Path], home: Path) -> None:
    large, small = read(zips["detect"], home, 64), read(zips["detect"], home, 32)
    assert large.things == 2 * large.n_train
    assert large.of_class == {"disc": large.n_train, "square": large.n_train}
    assert large.tiny == 0  # 14 to 22 pixels of 64
    assert small.tiny > 0.1 * small.things  # 7 to 11
    assert len(small.rows["tiny"]) <= small.n_train
    assert large.small_side == small.small_side
    assert 14 / 64 <= large.small_side <= 22 / 64
    needed = TINY_PIXELS / small.small_side
    assert read(zips["detect"], home, 32 * int(np.ceil(needed / 32))).tiny <= 0.1 * small.things


def test_marked_areas_are_measured_by_a_square_as_large(zips: dict[str, Path], home: Path) -> None:
    found = read(zips["segment"], home)
    assert found.things == found.n_train
    assert 0.05 < found.marked_share < 0.25
    assert found.blank == found.filled == found.tiny == 0


def test_masks_that_mark_nothing_or_everything_are_counted_with_their_rows(tmp_path: Path, home: Path) -> None:
    random = np.random.default_rng(0)
    for kind in ("images", "masks"):
        (tmp_path / kind).mkdir()
    for number in range(30):
        Image.fromarray(random.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(tmp_path / "images" / f"{number:02}.png")
        mask = np.zeros((32, 32), np.uint8)
        if number % 3 == 1:
            mask[:] = 255
        elif number % 3 == 2:
            mask[8:24, 8:24] = 255
        Image.fromarray(mask).save(tmp_path / "masks" / f"{number:02}.png")
    found = read(tmp_path, home)
    assert found.blank + found.filled + found.of_class["marked"] - found.filled == found.n_train
    assert found.blank
    assert found.filled
    assert all(row % 3 == 1 for row in found.rows["blank"])
    assert all(row % 3 == 2 for row in found.rows["filled"])


def test_a_picture_with_two_classes_is_noted_with_its_rows(tmp_path: Path, home: Path) -> None:
    random = np.random.default_rng(0)
    pictures = [random.integers(0, 255, (32, 32, 3), dtype=np.uint8) for _ in range(24)]
    for kind, chosen in (("a", pictures[:13]), ("b", pictures[12:])):
        (tmp_path / kind).mkdir()
        for number, picture in enumerate(chosen):
            Image.fromarray(picture).save(tmp_path / kind / f"{number:02}.png")
    found = read(tmp_path, home)
    assert found.two_classes == 2
    assert found.rows["two_classes"] == (13, 14)


def test_a_run_notes_the_same_as_was_foreseen(zips: dict[str, Path], home: Path) -> None:
    pictures = load_pictures(zips["detect"], home)
    divided = parts(pictures, PLAN.heldout_share, PLAN.seed)
    learner = Learner(architecture="EfficientNetLite0", parameters=3_000_000, trainable=500_000, device="cpu", place="here", room=10**9)
    noted = facts_of(pictures, (divided.learn, divided.watch, divided.heldout), PLAN.image_size, learner, guessed=False)
    foreseen = of_plan(pictures, PLAN)
    of_the_model = {"architecture": "", "parameters": 0, "trainable": 0, "device": "", "place": "", "room": 0}
    assert noted.model_copy(update=of_the_model) == foreseen
    assert noted.parameters == 2_500_000
    said = f"choosing by {noted.n_watched:,}, {noted.n_heldout:,} held out; 0.50 million weights learn."
    assert told(noted) == f"Learning from {noted.n_train:,} pictures, {said}"


def test_copies_on_the_other_side_are_counted_where_the_sides_are_given_so(tmp_path: Path, home: Path) -> None:
    random = np.random.default_rng(0)
    for kind in ("a", "b"):
        (tmp_path / kind).mkdir()
        for number in range(12):
            Image.fromarray(random.integers(0, 255, (32, 32, 3), dtype=np.uint8)).save(tmp_path / kind / f"{number:02}.png")
    Image.open(tmp_path / "a" / "00.png").save(tmp_path / "a" / "99.png")
    pictures = load_pictures(tmp_path, home)
    divided = parts(pictures, 0.2, 0)
    assert of_pictures(pictures, divided, 64)["near_shared"] == 0
    one, other = (example for example in pictures.examples if example.source in ("a/00.png", "a/99.png"))
    leaked = type(divided)((one,), (), (other,))
    assert of_pictures(pictures, leaked, 64)["near_shared"] == 1
    assert of_pictures(pictures, leaked, 64)["rows"]["near_shared"] == (other.row,)
