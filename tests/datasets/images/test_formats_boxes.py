"""Boxes as people write them: Pascal VOC, COCO, YOLO, LabelMe; damaged, dangling, beside their pictures."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path

import pytest
from PIL import Image

from loralab.core.records import Region
from loralab.datasets.images.door import Pictures, load_pictures, parts
from tests.datasets.images.made import adds_up, coco, codes, encoded, packed, png, voc, write

BOXES = [("cell", 2, 3, 12, 13), ("spot", 20, 5, 26, 11)]


def regions_of(pictures: Pictures, place: int = 0) -> tuple[Region, ...]:
    target = pictures.examples[place].target
    assert target is not None
    return target.regions


def box_of(pictures: Pictures) -> tuple[float, ...] | None:
    return regions_of(pictures)[0].box


# ---- Pascal VOC ------------------------------------------------------------------------------------------------------------


def test_voc_with_lists_and_every_kind_of_damage(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {f"JPEGImages/{n:02d}.jpg": encoded(Image.open(_file(png(n))), ".jpg") for n in range(30)}
    files |= {f"Annotations/{n:02d}.xml": voc(f"{n:02d}.jpg", BOXES) for n in range(30)}
    files["Annotations/00.xml"] = voc(
        "00.jpg", [("cell", 5, 5, 5, 9), ("cell", 20, 10, 99, 20), ("cell", 12, 9, 4, 3), ("cell", 60, 60, 70, 70), *BOXES, BOXES[0]]
    )
    files["Annotations/01.xml"] = voc("01.jpg", [])
    files["Annotations/99.xml"] = voc("99.jpg", BOXES)
    files["JPEGImages/98.jpg"] = encoded(Image.open(_file(png(98))), ".jpg")
    files["JPEGImages/02.jpg"] = files["JPEGImages/02.jpg"][:200]
    files["Annotations/03.xml"] = str(files["Annotations/03.xml"]).replace("<xmin>2</xmin>", "<xmin>?</xmin>")
    files["ImageSets/Main/train.txt"] = "\n".join(f"{n:02d}" for n in range(14))
    files["ImageSets/Main/val.txt"] = "\n".join(f"{n:02d}" for n in range(14, 20))
    files["ImageSets/Main/test.txt"] = "\n".join([f"{n:02d}" for n in range(20, 30)] + ["77"])
    files["ImageSets/Main/trainval.txt"] = files["ImageSets/Main/train.txt"]
    found = load_pictures(packed(tmp_path / "a.zip", files), tmp_path)
    adds_up(found)
    assert found.labels == ("cell", "spot")
    assert found.boxes is not None
    assert found.boxes.read == 7 + 0 + 2 + 2 + 26 * 2 + 2
    assert found.boxes.dropped == {
        "no area": 1,
        "outside of its picture": 1,
        "there twice": 1,
        "a picture that is not there": 4,
        "corners that are no numbers": 1,
    }
    assert (found.boxes.clipped, found.boxes.turned) == (1, 1)
    assert {one.source for one in found.loaded.left_out} == {"Annotations/99.xml", "JPEGImages/98.jpg", "JPEGImages/02.jpg"}
    assert {"listed_missing", "no_box_pictures"} <= codes(found)
    split = parts(found, 0.1, 0)
    assert [len(part) for part in (split.learn, split.watch, split.heldout)] == [13, 6, 10]


def _file(raw: bytes) -> io.BytesIO:
    return io.BytesIO(raw)


def test_an_annotation_that_would_unfold_is_left_alone(tmp_path: Path) -> None:
    bomb = '<!DOCTYPE annotation [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>' + voc("00.png", BOXES).replace("cell", "&b;")
    files = {f"{n:02d}.png": png(n) for n in range(12)} | {f"{n:02d}.xml": voc(f"{n:02d}.png", BOXES) for n in range(1, 12)}
    found = load_pictures(write(tmp_path / "set", files | {"00.xml": bomb}), tmp_path)
    assert found.labels == ("cell", "spot")
    assert [one.source for one in found.loaded.left_out] == ["00.png"]


# ---- COCO ------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("ids", [(0, 1), (1, 2), (7, 90)])
def test_coco_with_ids_from_anywhere(tmp_path: Path, ids: tuple[int, int]) -> None:
    first, second = ids
    images = [(n + first, f"{n}.png") for n in range(12)]
    boxes = [(n + first, first, (2, 3, 10, 10)) for n in range(12)] + [(n + first, second, (20, 5, 6, 6)) for n in range(6)]
    files = {f"images/{n}.png": png(n) for n in range(12)} | {"labels.json": coco(images, boxes, {first: "cell", second: "spot"})}
    found = load_pictures(packed(tmp_path / "a.zip", files), tmp_path)
    adds_up(found)
    assert found.labels == ("cell", "spot")
    assert [region.label for region in regions_of(found)] == ["cell", "spot"]
    assert box_of(found) == (2, 3, 12, 13)


def test_coco_with_dangling_ids_and_files(tmp_path: Path) -> None:
    images = [(n, f"sub/{n}.png") for n in range(12)] + [(50, "gone.png")]
    boxes = [(n, 1, (2, 3, 10, 10)) for n in range(12)] + [(50, 1, (1, 1, 5, 5)), (51, 1, (1, 1, 5, 5)), (0, 9, (1, 1, 5, 5))]
    boxes.append((1, 1, (4, 4, 0, 5)))
    listing = json.loads(coco(images, boxes, {1: "cell", 2: "never"}))
    listing["annotations"] += [{"image_id": 2, "category_id": 1, "bbox": [1, 1, 9, 9], "iscrowd": 1}, {"image_id": 2, "category_id": 1}]
    files = {f"{n}.png": png(n) for n in range(13)} | {"a.json": json.dumps(listing)}
    found = load_pictures(write(tmp_path / "set", files), tmp_path)
    adds_up(found)
    assert found.labels == ("cell",)
    assert found.boxes is not None
    assert found.boxes.dropped == {
        "a picture that is not there": 2,
        "a class that is in no list": 1,
        "no area": 1,
        "a crowd, not one thing": 1,
        "corners that are no numbers": 1,
    }
    assert {one.source for one in found.loaded.left_out} == {"gone.png", "12.png"}


def test_coco_in_parts_and_outlines(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {}
    for side, start in (("train", 0), ("valid", 20), ("test", 30)):
        images = [(n, f"{start + n}.png") for n in range(10)]
        listing = json.loads(coco(images, [(n, 0, (2, 3, 10, 10)) for n in range(10)], {0: "cell"}))
        for one in listing["annotations"]:
            del one["bbox"]
            one["segmentation"] = [[2, 3, 12, 3, 7, 13]]
        files |= {f"{side}/{start + n}.png": png(start + n) for n in range(10)} | {f"{side}/_annotations.coco.json": json.dumps(listing)}
    found = load_pictures(packed(tmp_path / "a.zip", files), tmp_path)
    adds_up(found)
    assert Counter(found.sides) == {"learn": 10, "watch": 10, "heldout": 10}
    assert box_of(found) == (2, 3, 12, 13)
    assert "outlines_as_boxes" in codes(found)


# ---- YOLO ------------------------------------------------------------------------------------------------------------------

LINE = "0 0.25 0.5 0.25 0.5\n"


@pytest.mark.parametrize(
    "names",
    [
        {"data.yaml": "train: images\nnames: ['cell', \"big spot\"]\nnc: 2\n"},
        {"data.yaml": "names:\n  - cell\n  - big spot\nnc: 2\n"},
        {"data.yaml": "nc: 2\nnames:\n  0: cell\n  1: 'big spot'\n"},
        {"labels/classes.txt": "cell\nbig spot\n"},
        {"obj.names": "cell\nbig spot\n"},
        {"notes.json": '{"categories": [{"id": 0, "name": "cell"}, {"id": 1, "name": "big spot"}]}'},
    ],
)
def test_yolo_with_names_from_anywhere(tmp_path: Path, names: dict[str, bytes | str]) -> None:
    files = {f"images/{n}.png": png(n) for n in range(12)} | {f"labels/{n}.txt": LINE + "1 0.8 0.8 0.1 0.1\n" for n in range(12)}
    found = load_pictures(packed(tmp_path / "a.zip", files | names), tmp_path)
    adds_up(found)
    assert found.labels == ("cell", "big spot")
    assert box_of(found) == (4, 6, 12, 18)


def test_yolo_in_parts_with_damage(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {}
    for side, start in (("train", 0), ("val", 20)):
        for n in range(start, start + 12):
            files |= {f"images/{side}/{n}.png": png(n), f"labels/{side}/{n}.txt": LINE}
    files["labels/train/0.txt"] = LINE + "5 0.5 0.5 0.1 0.1\n0 0.5 x 0.1 0.1\n0 0.5 0.5\n0 0.9 0.5 0.6 0.2\n0 0.5 0.5 0 0.2\n"
    files["labels/train/1.txt"] = ""
    files["labels/train/lost.txt"] = LINE
    files["labels/train/2.txt"] = "0 0.1 0.1 0.5 0.1 0.5 0.5 0.1 0.5\n"
    del files["labels/train/3.txt"]
    found = load_pictures(packed(tmp_path / "a.zip", files | {"data.yaml": "names: [cell]"}), tmp_path)
    adds_up(found)
    assert found.boxes is not None
    assert found.boxes.dropped == {
        "a class that is in no list": 1,
        "corners that are no numbers": 2,
        "no area": 1,
        "a picture that is not there": 1,
    }
    assert found.boxes.clipped == 1
    assert {"no_label_file", "no_box_pictures", "outlines_as_boxes"} <= codes(found)
    assert len(found.examples) == 24
    split = parts(found, 0.1, 0)
    assert {example.source.split("/")[1] for example in split.heldout} == {"val"}  # without a test part, it is tested with


def test_of_several_yaml_that_is_taken_which_names_what_is_there(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {f"images/{n}.png": png(n) for n in range(12)}
    files |= {f"labels/{n}.txt": LINE if n % 2 else LINE.replace("0 ", "7 ", 1) for n in range(12)}
    files |= {"data.yaml": "nc: 2\nnames: [old, older]\n", "set/dataset.yaml": "names:\n  0: cell\n  2: never\n  7: 斑\n"}
    found = load_pictures(packed(tmp_path / "a.zip", files), tmp_path)
    adds_up(found)
    assert found.labels == ("cell", "斑")


# ---- LabelMe ---------------------------------------------------------------------------------------------------------------


def test_labelme(tmp_path: Path) -> None:
    shapes = [
        {"label": "cell", "shape_type": "rectangle", "points": [[12, 13], [2, 3]]},
        {"label": "spot", "shape_type": "polygon", "points": [[20, 5], [26, 5], [23, 11]]},
        {"label": "spot", "shape_type": "circle", "points": [[10, 10], [10, 14]]},
        {"label": "spot", "shape_type": "point", "points": [[10, 10]]},
        {"label": "", "shape_type": "rectangle", "points": [[1, 1], [3, 3]]},
    ]
    one = json.dumps({"shapes": shapes, "imagePath": "x.png", "imageWidth": 32, "imageHeight": 24})
    files = {f"{n}.png": png(n) for n in range(12)} | {f"{n}.json": one for n in range(1, 12)} | {"gone.json": one}
    found = load_pictures(write(tmp_path / "set", files), tmp_path)
    adds_up(found)
    assert [region.box for region in regions_of(found)] == [(2, 3, 12, 13), (20, 5, 26, 11), (6, 6, 14, 14)]
    assert found.boxes is not None
    assert found.boxes.dropped == {"a point or a line": 12, "a class that is in no list": 12, "a picture that is not there": 3}
    assert {one.source for one in found.loaded.left_out} == {"0.png", "gone.json"}
