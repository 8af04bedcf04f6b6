"""Outlines become masks: polygons and rows of pixels of COCO, and what LabelMe draws; and whoever has both is asked."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image
from pycocotools import mask as reference

from loralab.core.errors import UserError
from loralab.datasets.images import outlines
from loralab.datasets.images.door import Pictures, load_pictures, mask_of, profile_pictures
from tests.datasets.images.made import adds_up, coco, codes, packed, png

pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation")  # the reference decodes with an old form of numpy

WIDTH, HEIGHT = 32, 24  # of the pictures that `png` makes
LEAF = [4.0, 3.0, 20.0, 5.0, 26.0, 15.0, 12.0, 20.0, 6.0, 12.0]
SEGMENT = {"task": "segment"}


def disc() -> Any:
    """A mask [HEIGHT, WIDTH]."""
    down, across = np.indices((HEIGHT, WIDTH))
    return (((down - 12) ** 2 + (across - 16) ** 2) < 60).astype(np.uint8)


def runs(mask: Any, *, packed_text: bool) -> dict[str, Any]:
    """As COCO's own library writes it, or as plain numbers."""
    made = reference.encode(np.asfortranarray(mask))
    if packed_text:
        return {"size": list(made["size"]), "counts": made["counts"].decode()}  # pyright: ignore[reportAttributeAccessIssue]
    flat = mask.T.ravel()
    edges = [0, *(np.flatnonzero(np.diff(flat.astype(int))) + 1).tolist(), flat.size]
    return {"size": list(made["size"]), "counts": np.diff(edges).tolist()}


def listed(path: Path, segmentation: Any, pictures: int = 12, **more: Any) -> Path:
    images = [(n, f"{n}.png") for n in range(pictures)]
    listing = json.loads(coco(images, [(n, 7, (4, 3, 22, 17)) for n in range(pictures)], {7: "leaf", 9: "never"}))
    for one in listing["annotations"]:
        one["segmentation"] = segmentation
        one.update(more)
    for one in listing["images"]:
        one |= {"width": WIDTH, "height": HEIGHT}
    return packed(path, {f"{n}.png": png(n) for n in range(pictures)} | {"a.json": json.dumps(listing)})


def first_mask(pictures: Pictures) -> Any:
    return mask_of(pictures, pictures.examples[0])


def test_polygons_are_marked_as_cocos_own_library_marks_them(tmp_path: Path, home: Path) -> None:
    found = load_pictures(listed(tmp_path / "a.zip", [LEAF]), home, SEGMENT)
    adds_up(found)
    assert (found.task, found.labels) == ("segment", ("leaf",)), "a class that nothing is of is none"
    wanted = reference.decode(reference.merge(reference.frPyObjects([LEAF], HEIGHT, WIDTH)))  # pyright: ignore[reportCallIssue, reportArgumentType]
    assert np.array_equal(first_mask(found), wanted)
    assert found.marked[0]["leaf"] == pytest.approx(wanted.mean())


@pytest.mark.parametrize("packed_text", [True, False])
def test_rows_of_pixels_are_read_packed_or_not(tmp_path: Path, home: Path, packed_text: bool) -> None:
    found = load_pictures(listed(tmp_path / "a.zip", runs(disc(), packed_text=packed_text), iscrowd=1), home, SEGMENT)
    assert np.array_equal(first_mask(found), disc())


@pytest.mark.parametrize(
    "said",
    [
        {"size": [HEIGHT, WIDTH], "counts": "not a text of COCO \u20ac"},
        {"size": [HEIGHT, WIDTH], "counts": [5, 10**9]},
        {"size": [HEIGHT, WIDTH], "counts": [-5, HEIGHT * WIDTH + 5]},
        {"size": [10**9, 10**9], "counts": [10**18]},
        {"size": [HEIGHT + 1, WIDTH], "counts": [(HEIGHT + 1) * WIDTH]},
        {"counts": [1]},
    ],
)
def test_rows_that_do_not_add_up_mark_nothing_and_are_told(tmp_path: Path, home: Path, said: Any) -> None:
    found = load_pictures(listed(tmp_path / "a.zip", said), home, SEGMENT)
    assert not first_mask(found).any()
    assert "no_outline" in codes(found)


def test_whoever_has_boxes_and_outlines_is_asked_and_boxes_are_the_guess(tmp_path: Path, home: Path) -> None:
    profile = profile_pictures(listed(tmp_path / "a.zip", [LEAF]), home)
    assert not profile.certain
    assert [choice.roles["task"] for choice in profile.choices] == ["detect", "segment"]
    square = listed(tmp_path / "b.zip", [[4, 3, 26, 3, 26, 20, 4, 20]])
    assert profile_pictures(square, home).certain, "a rectangle is no more than a box"
    with pytest.raises(UserError, match="no masks"):
        load_pictures(square, home, SEGMENT)


def test_outlines_of_another_size_are_fitted_and_of_another_shape_left_out(tmp_path: Path, home: Path) -> None:
    place = listed(tmp_path / "a.zip", [[2 * value for value in LEAF]])
    listing = json.loads(next(iter(_read(place, "a.json"))))
    for at, one in enumerate(listing["images"]):
        one |= {"width": 2 * WIDTH, "height": 2 * HEIGHT if at else WIDTH}
    files = {f"{n}.png": png(n) for n in range(12)} | {"a.json": json.dumps(listing)}
    found = load_pictures(packed(tmp_path / "b.zip", files), home, SEGMENT)
    adds_up(found)
    assert [one.source for one in found.loaded.left_out] == ["0.png"]
    wanted = reference.decode(reference.merge(reference.frPyObjects([LEAF], HEIGHT, WIDTH)))  # pyright: ignore[reportCallIssue, reportArgumentType]
    same = (first_mask(found) & wanted).sum() / (first_mask(found) | wanted).sum()
    assert same > 0.9


def _read(place: Path, name: str) -> list[bytes]:
    with ZipFile(place) as archive:
        return [archive.read(name)]


def test_what_labelme_draws_becomes_a_mask(tmp_path: Path, home: Path) -> None:
    written = io.BytesIO()
    Image.new("1", (6, 4), 1).save(written, "PNG")
    shapes = [
        {"label": "leaf", "shape_type": "polygon", "points": [[2, 2], [12, 2], [12, 10], [2, 10]]},
        {"label": "猫", "shape_type": "circle", "points": [[22, 12], [22, 18]]},
        {"label": "leaf", "shape_type": "rectangle", "points": [[1, 20], [5, 23]]},
        {"label": "stamp", "shape_type": "mask", "points": [[14, 1], [20, 5]], "mask": base64.b64encode(written.getvalue()).decode()},
        {"label": "stamp", "shape_type": "mask", "points": [[14, 1], [20, 5]], "mask": "not base64 at all"},
        {"label": "dot", "shape_type": "point", "points": [[10, 10]]},
    ]
    one = json.dumps({"shapes": shapes, "imagePath": "x.png", "imageWidth": WIDTH, "imageHeight": HEIGHT}, ensure_ascii=False)
    files = {f"{n}.png": png(n) for n in range(12)} | {f"{n}.json": one for n in range(12)}
    found = load_pictures(packed(tmp_path / "a.zip", files), home, SEGMENT)
    adds_up(found)
    assert found.labels == ("leaf", "stamp", "猫")
    mask = first_mask(found)
    assert mask[2:10, 2:12].all()
    assert (mask == 1).sum() == 8 * 10 + 3 * 4
    assert (mask[1:5, 14:20] == 2).all()
    assert (mask == 3).sum() == pytest.approx(np.pi * 36, rel=0.1)
    assert "no_outline" in codes(found)


def test_an_outline_comes_back_as_it_was_packed() -> None:
    assert outlines.drawn(outlines.of_runs(runs(disc(), packed_text=True))).tolist() == disc().tolist()
    assert outlines.of_polygons([[1, 2, 3]], 10, 10) == outlines.of_polygons([[1, 2, float("nan"), 4, 5, 6]], 10, 10) == ""
    assert outlines.share(outlines.of_polygons([[0, 0, 10, 0, 10, 10, 0, 10]], 10, 20)) == 0.5
