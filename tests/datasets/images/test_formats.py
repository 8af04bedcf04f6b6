"""Every way of writing labels down is read as it is meant, and nothing is lost without a word."""

from __future__ import annotations

import io
import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from loralab.core.errors import UserError
from loralab.core.records import Region
from loralab.datasets.images.door import Pictures, load_pictures, mask_of, parts, profile_pictures
from tests.datasets.images.made import adds_up, class_folders, coco, codes, encoded, packed, png, voc, write

BOXES = [("cell", 2, 3, 12, 13), ("spot", 20, 5, 26, 11)]


def regions_of(pictures: Pictures, place: int = 0) -> tuple[Region, ...]:
    target = pictures.examples[place].target
    assert target is not None
    return target.regions


def box_of(pictures: Pictures) -> tuple[float, ...] | None:
    return regions_of(pictures)[0].box


# ---- class folders ---------------------------------------------------------------------------------------------------------


def test_folders_are_classes_in_a_zip_and_where_they_lie(tmp_path: Path) -> None:
    files = class_folders(("Hund", "Кошка"), 8)
    for path in (packed(tmp_path / "a.zip", files), write(tmp_path / "b", files)):
        found = load_pictures(path, tmp_path / "home")
        adds_up(found)
        assert found.task == "classify"
        assert found.labels == ("Hund", "Кошка")
        assert found.loaded.certain
        assert (found.root / found.examples[0].media[0]).is_file()
        assert Counter(example.label for example in found.examples) == {"Hund": 8, "Кошка": 8}


def test_train_val_and_test_folders_are_followed(tmp_path: Path) -> None:
    files = class_folders(each=20, before="set/train/")
    files |= class_folders(each=5, before="set/val/", start=300) | class_folders(each=6, before="set/test/", start=600)
    found = load_pictures(packed(tmp_path / "a.zip", files), tmp_path)
    split = parts(found, 0.1, 0)
    assert {example.source.split("/")[1] for example in split.learn} == {"train"}
    assert {example.source.split("/")[1] for example in split.watch} == {"val"}
    assert {example.source.split("/")[1] for example in split.heldout} == {"test"}
    assert (len(split.learn), len(split.watch), len(split.heldout)) == (40, 10, 12)
    assert all(example.held_out == ("test/" in example.source) for example in found.examples)
    assert all(example.watched == ("val/" in example.source) for example in found.examples)


@pytest.mark.parametrize(
    ("ways", "labels", "certain"),
    [
        ([f"site{s}/{c}" for s in (1, 2) for c in ("ill", "well")], ("ill", "well"), True),
        ([f"{c}/patient{p}" for c in ("ill", "well") for p in range(2 * (c == "well"), 4 + 2 * (c == "well"))], ("ill", "well"), True),
        ([f"{c}/{b}" for c, b in (("cat", "tabby"), ("cat", "siam"), ("dog", "pug"), ("dog", "collie"))], None, False),
    ],
)
def test_which_of_two_folders_is_the_class(tmp_path: Path, ways: list[str], labels, certain: bool) -> None:
    each = 12 if not certain or "site" in ways[0] else 3
    files = {f"{way}/{n}.png": png(100 * at + n) for at, way in enumerate(ways) for n in range(each)}
    found = load_pictures(write(tmp_path / "set", files), tmp_path)
    adds_up(found)
    assert found.loaded.certain is certain
    if labels:
        assert found.labels == labels
    else:
        assert found.labels == ("cat/siam", "cat/tabby", "dog/collie", "dog/pug")
        chosen = load_pictures(tmp_path / "set", tmp_path, found.loaded.choices[1].roles)
        assert chosen.labels == ("cat", "dog")
        assert chosen.loaded.certain


def test_patients_in_class_folders_are_never_parted(tmp_path: Path) -> None:
    files = {f"{c}/p{p}/{n}.png": png(1000 * (c == "ill") + 10 * p + n) for c in ("ill", "well") for p in range(10) for n in range(3)}
    found = load_pictures(write(tmp_path / "set", files), tmp_path)
    assert len({example.group for example in found.examples}) == 10
    split = parts(found, 0.2, 1)
    groups = [{example.group for example in part} for part in (split.learn, split.watch, split.heldout)]
    assert sum(map(len, groups)) == 10
    assert len(split.heldout) >= 8


def test_what_lies_outside_of_the_folders_is_counted(tmp_path: Path) -> None:
    files = class_folders() | {"cover.png": png(9999), "__MACOSX/cat/._000.png": b"x", "cat/._001.png": b"x", "cat/broken.png": b"\x89PNG"}
    found = load_pictures(packed(tmp_path / "a.zip", files), tmp_path)
    adds_up(found)
    assert Counter(one.source for one in found.loaded.left_out) == {"cover.png": 1, "cat/broken.png": 1}


# ---- masks -----------------------------------------------------------------------------------------------------------------


def mask(value: int = 255, width: int = 32, height: int = 24, top: int = 4) -> np.ndarray:
    values = np.zeros((height, width), np.uint8)
    values[top : top + 8, 6:16] = value
    return values


def test_masks_beside_pictures_of_several_sizes(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {}
    for n in range(12):
        width = 32 if n % 2 else 40
        files[f"images/{n}.png"] = png(n, width)
        files[f"masks/{n}.png"] = encoded(mask(width=width))
    found = load_pictures(packed(tmp_path / "a.zip", files), tmp_path)
    adds_up(found)
    assert found.task == "segment"
    assert len(found.labels) == 1
    for example in found.examples:
        drawn = mask_of(found, example)
        assert drawn.dtype == np.uint8
        assert set(np.unique(drawn)) == {0, 1}
        assert drawn.sum() == 80
    assert found.marked[0][found.labels[0]] == pytest.approx(80 / (32 * 24), abs=0.03)


@pytest.mark.parametrize(
    "name", ["{n}_mask.png", "{n}-seg.png", "masks/{n}_mask.png", "annotations/{n}.png", "nuclei_masks/{n}.png", "labels/{n}_L.png"]
)
def test_masks_are_found_by_many_names(tmp_path: Path, name: str) -> None:
    holder = "images/" if "/" in name else ""
    files = {f"{holder}{n}.png": png(n) for n in range(10)} | {name.format(n=n): encoded(mask()) for n in range(10)}
    found = load_pictures(write(tmp_path / "set", files), tmp_path)
    adds_up(found)
    assert found.task == "segment"
    assert len(found.examples) == 10
    assert found.labels == (("nuclei",) if "nuclei" in name else ("marked",))


def test_several_masks_of_one_picture_lie_over_each_other(tmp_path: Path) -> None:
    files: dict[str, bytes | str] = {}
    for n in range(10):
        files[f"{n}/images/{n}.png"] = png(n)
        files |= {f"{n}/masks/a.png": encoded(mask(top=2)), f"{n}/masks/b.png": encoded(mask(top=14))}
    found = load_pictures(write(tmp_path / "set", files), tmp_path)
    adds_up(found)
    assert all(mask_of(found, example).sum() == 160 for example in found.examples)


def test_folders_of_masks_name_classes(tmp_path: Path) -> None:
    files = {f"images/{n}.png": png(n) for n in range(10)}
    files |= {f"masks/{kind}/{n}.png": encoded(mask(top=top)) for n in range(10) for kind, top in (("liver", 2), ("kidney", 14))}
    found = load_pictures(write(tmp_path / "set", files), tmp_path)
    assert found.labels == ("kidney", "liver")
    drawn = mask_of(found, found.examples[0])
    assert drawn[16, 8] == 1
    assert drawn[4, 8] == 2


def test_indices_with_names_and_without(tmp_path: Path) -> None:
    values = mask(1)
    values[18:20] = 3
    values[0] = 255  # a rim as VOC draws it
    palette = Image.new("P", (32, 24))
    palette.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0, 90, 90, 90] + [0] * 756)
    palette.frombytes(values.tobytes())
    files = {f"images/{n}.png": png(n) for n in range(10)} | {f"masks/{n}.png": encoded(palette) for n in range(10)}
    found = load_pictures(write(tmp_path / "set", files), tmp_path)
    assert found.labels == ("class 1", "class 3")
    assert {"unnamed_classes", "mask_rims"} <= codes(found)
    drawn = mask_of(found, found.examples[0])
    assert (drawn == 1).sum() == 80
    assert (drawn == 2).sum() == 64
    assert not drawn[0].any()
    write(tmp_path / "set", {"classes.txt": "nothing\nroad\ncar\nsky\n"})
    assert load_pictures(tmp_path / "set", tmp_path).labels == ("road", "sky")


def test_colours_are_called_by_their_words_until_they_have_names(tmp_path: Path) -> None:
    values = np.zeros((24, 32, 3), np.uint8)
    values[:6], values[6:12] = (220, 20, 20), (20, 20, 220)
    files = {f"images/{n}.png": png(n) for n in range(10)} | {f"masks/{n}.png": encoded(values) for n in range(10)}
    path = write(tmp_path / "set", files)
    found = load_pictures(path, tmp_path)
    assert set(found.labels) == {"red", "blue"}
    assert "colours_unnamed" in codes(found)
    assert (mask_of(found, found.examples[0]) == found.labels.index("red") + 1).sum() == 6 * 32
    named = load_pictures(path, tmp_path, {"#dc1414": "vessel", "#1414dc": "nerve"})
    assert set(named.labels) == {"vessel", "nerve"}
    assert "colours_unnamed" not in codes(named)
    write(path, {"class_dict.csv": "name,r,g,b\nbackground,0,0,0\nartery,220,20,20\nvein,20,20,220\n"})
    assert set(load_pictures(path, tmp_path).labels) == {"artery", "vein"}


def test_numbered_things_and_blurred_rims(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    files: dict[str, bytes | str] = {}
    for n in range(10):
        things = np.zeros((24, 32), np.uint16)
        for thing in range(int(random.integers(25, 40))):
            things[thing // 8 * 4 : thing // 8 * 4 + 3, thing % 8 * 4 : thing % 8 * 4 + 3] = thing + 1
        files |= {f"images/{n}.png": png(n), f"masks/{n}.png": encoded(things)}
    found = load_pictures(write(tmp_path / "numbered", files), tmp_path)
    assert "numbered_things" in codes(found)
    assert set(np.unique(mask_of(found, found.examples[0]))) == {0, 1}
    soft = mask(255, 200, 200)
    soft[3, 6:12] = (20, 60, 90, 140, 180, 230)
    files |= {f"images/{n}.png": png(n, 200, 200) for n in range(10)} | {f"masks/{n}.png": encoded(soft) for n in range(10)}
    found = load_pictures(write(tmp_path / "soft", files), tmp_path)
    assert "soft_masks" in codes(found)
    assert mask_of(found, found.examples[0]).sum() == 83


def test_masks_that_do_not_fit_are_counted_and_jpegs_refused(tmp_path: Path) -> None:
    files = {f"images/{n}.png": png(n) for n in range(14)} | {f"masks/{n}.png": encoded(mask()) for n in range(13)}
    files |= {"masks/0.png": encoded(mask(width=64, height=48)), "masks/1.png": encoded(mask(width=90)), "masks/2.png": b"broken"}
    files |= {"masks/alone.png": encoded(mask())}
    found = load_pictures(write(tmp_path / "set", files), tmp_path)
    adds_up(found)
    reasons = {one.source: one.reason for one in found.loaded.left_out}
    assert set(reasons) == {"images/1.png", "images/2.png", "images/13.png", "masks/alone.png"}
    assert "masks_scaled" in codes(found)
    assert mask_of(found, found.examples[0]).shape == (24, 32)
    files = {f"images/{n}.png": png(n) for n in range(10)} | {f"masks/{n}.jpg": encoded(mask(), ".jpg") for n in range(10)}
    with pytest.raises(UserError, match="JPG") as refused:
        load_pictures(write(tmp_path / "lossy", files), tmp_path)
    assert refused.value.problem.code == "lossy_masks"


# ---- tables ----------------------------------------------------------------------------------------------------------------


def rows(n: int, head: str, line: str, between: str = "\n") -> str:
    return between.join([head, *(line.format(n=n, kind=("ill", "well")[n % 2], side=("train", "test")[n % 3 == 0]) for n in range(n))])


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("metadata.csv", rows(24, "file_name,label", "{n}.png,{kind}")),
        ("anything.tsv", rows(24, "Bild\tDiagnose", "{n}.png\t{kind}")),
        ("labels.csv", rows(24, "id;class;age", "{n};{kind};{n}")),
        ("data.jsonl", rows(24, "", '{{"image": "{n}.png", "category": "{kind}"}}').strip()),
        ("data.json", "[" + rows(24, "", '{{"image": "pics/{n}.png", "category": "{kind}"}}', ",").lstrip(",") + "]"),
    ],
)
def test_a_table_of_any_name_says_what_pictures_show(tmp_path: Path, name: str, text: str) -> None:
    files = {f"pics/{n}.png": png(n) for n in range(24)} | {name: text}
    found = load_pictures(packed(tmp_path / "a.zip", files), tmp_path)
    adds_up(found)
    assert found.task == "classify"
    assert found.labels == ("ill", "well")
    assert found.loaded.certain
    assert all(example.label == ("ill", "well")[int(Path(example.source).stem) % 2] for example in found.examples)


def test_a_table_with_gaps_sides_and_patients(tmp_path: Path) -> None:
    lines = [f"{n}.png,{('ill', 'well')[n % 2]},{'test' if n >= 30 else 'train'},p{n // 2}" for n in range(40)]
    lines += ["gone.png,ill,train,p1", "0.png,ill,train,p0", "1.png,ill,train,p0", "40.png,,train,p9"]
    files = {f"{n}.png": png(n) for n in range(42)} | {"a.csv": "\n".join(["image,diagnosis,split,patient_id", *lines])}
    found = load_pictures(packed(tmp_path / "a.zip", files), tmp_path)
    adds_up(found)
    left = Counter(one.source for one in found.loaded.left_out)
    assert left == {"a.csv: gone.png": 1, "0.png": 1, "1.png": 2, "40.png": 1, "41.png": 1}
    assert {example.group for example in found.examples if example.source in ("4.png", "5.png")} == {"p2"}
    assert len(parts(found, 0.1, 0).heldout) == 10


def test_a_table_of_flags_and_one_that_is_not_clear(tmp_path: Path) -> None:
    files = {f"{n}.jpg": encoded(Image.open(io.BytesIO(png(n))), ".jpg") for n in range(24)}
    flags = "\n".join(["image,MEL,NV", *(f"{n},{n % 2:.1f},{1 - n % 2:.1f}" for n in range(24))])
    found = load_pictures(packed(tmp_path / "flags.zip", files | {"truth.csv": flags}), tmp_path)
    assert found.labels == ("MEL", "NV")
    unclear = "\n".join(["image,colour,form", *(f"{n},{('red', 'blue')[n % 2]},{('round', 'flat')[n // 12]}" for n in range(24))])
    found = load_pictures(packed(tmp_path / "unclear.zip", files | {"t.csv": unclear}), tmp_path)
    assert not found.loaded.certain
    assert [choice.roles.get("label") for choice in found.loaded.choices] == ["colour", "form"]
    assert load_pictures(tmp_path / "unclear.zip", tmp_path, {"label": "form"}).labels == ("flat", "round")


@pytest.mark.parametrize(
    ("head", "line"),
    [
        ("filename,width,height,class,xmin,ymin,xmax,ymax", "{n}.png,32,24,cell,2,3,12,13"),
        ("image_id,width,height,bbox", '{n},32,24,"[2.0, 3.0, 10.0, 10.0]"'),
        ("ImageID,LabelName,XMin,XMax,YMin,YMax", "{n},cell,0.0625,0.375,0.125,0.541667"),
    ],
)
def test_a_table_of_boxes(tmp_path: Path, head: str, line: str) -> None:
    files = {f"{n}.png": png(n) for n in range(12)} | {"boxes.csv": rows(12, head, line) + "\n" + line.format(n=77)}
    found = load_pictures(packed(tmp_path / "a.zip", files), tmp_path)
    adds_up(found)
    assert found.task == "detect"
    assert box_of(found) == pytest.approx((2, 3, 12, 13), abs=0.01)
    assert found.boxes is not None
    assert found.boxes.dropped == {"a picture that is not there": 1}
    assert len(found.loaded.left_out) == 1


# ---- which of them it is ---------------------------------------------------------------------------------------------------


def test_where_two_tasks_are_possible_a_person_is_asked(tmp_path: Path) -> None:
    files = class_folders(("benign", "malignant"), 10)
    files |= {name.replace(".png", "_mask.png"): encoded(mask()) for name in files}
    path = packed(tmp_path / "a.zip", files)
    found = load_pictures(path, tmp_path)
    assert found.task == "segment"
    assert not found.loaded.certain
    assert [choice.roles["task"] for choice in found.loaded.choices] == ["segment", "classify"]
    chosen = load_pictures(path, tmp_path, {"task": "classify"})
    adds_up(chosen)
    assert chosen.task == "classify"
    assert chosen.loaded.certain
    assert chosen.labels == ("benign", "malignant")
    assert len(chosen.examples) == 20


@pytest.mark.parametrize(
    ("files", "code"),
    [
        ({f"{n}.png": png(n) for n in range(12)}, "unlabelled_pictures"),
        ({"a/1.png": png(1), "b/2.png": png(2)}, "too_few_pictures"),
        ({f"{n}.png": png(n) for n in range(3)}, "too_few_pictures"),
        ({f"train/cat/{n}.png": png(n) for n in range(12)}, "unlabelled_pictures"),
        ({f"{n}.png": png(n) for n in range(12)} | {f"{n}.xml": voc(f"{n}.png", [("a", 5, 5, 5, 5)]) for n in range(12)}, "no_boxes"),
        ({"a.txt": "hello"}, "no_pictures"),
    ],
)
def test_what_cannot_be_learned_from_is_said(tmp_path: Path, files: dict[str, bytes | str], code: str) -> None:
    with pytest.raises(UserError) as refused:
        load_pictures(packed(tmp_path / "a.zip", files), tmp_path)
    assert refused.value.problem.code == code
    assert refused.value.problem.todo


def test_a_profile_says_it_all(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", class_folders(each=30))
    found = profile_pictures(path, tmp_path)
    assert (found.task, found.unit, found.n_kept) == ("classify", "pixels", 60)
    assert found.labels == {"cat": 30, "dog": 30}
    assert found.tokens["max"] == 32 * 24
    assert found.tokens["total"] == 60 * 32 * 24
    assert found.n_train + found.n_heldout == 60
    assert found.previews
    assert (Path(found.root) / found.previews[0].media[0]).is_file()
    assert found.id == profile_pictures(path.rename(tmp_path / "b.zip"), tmp_path / "elsewhere").id


def test_lists_of_pictures_say_what_is_tested_with_whatever_the_labels_are(tmp_path: Path) -> None:
    lists: dict[str, bytes | str] = {
        "ImageSets/Main/train.txt": "\n".join(f"{n}" for n in range(20)),
        "ImageSets/Main/test.txt": "\n".join(f"{n}" for n in range(20, 30)),
        "ImageSets/Main/cell_train.txt": "\n".join(f"{n} -1" for n in range(30)),
    }
    pictures: dict[str, bytes | str] = {f"images/{n}.png": png(n) for n in range(30)}
    listing = coco([(n, f"{n}.png") for n in range(30)], [(n, 1, (2, 3, 10, 10)) for n in range(30)], {1: "cell"})
    labels = "\n".join(["file,label", *(f"{n}.png,{'ab'[n % 2]}" for n in range(30))])
    for more in ({"a.json": listing}, {"a.csv": labels}, {f"masks/{n}.png": encoded(mask()) for n in range(30)}):
        found = load_pictures(write(tmp_path / next(iter(more)).replace("/", ""), pictures | lists | more), tmp_path)
        adds_up(found)
        assert Counter(found.sides) == {"learn": 20, "heldout": 10}
        assert {int(Path(example.source).stem) for example in parts(found, 0.1, 0).heldout} == set(range(20, 30))


def test_files_with_labels_that_are_damaged_are_named_so(tmp_path: Path) -> None:
    pictures: dict[str, bytes | str] = {f"{n}.png": png(n) for n in range(12)}
    shape = {"label": "cell", "points": [[2, 3], [12, 13]], "shape_type": "rectangle"}
    listing = coco([(n, f"{n}.png") for n in range(12)], [(n, 1, (2, 3, 10, 10)) for n in range(12)], {1: "cell"})
    for name, one in (("xml", voc("x.png", BOXES)), ("json", json.dumps({"shapes": [shape]}))):
        files = pictures | {f"{n}.{name}": one for n in range(12)} | {f"3.{name}": one[:-40]}
        found = load_pictures(write(tmp_path / name, files), tmp_path)
        adds_up(found)
        assert [(lost.source, "damaged" in lost.reason) for lost in found.loaded.left_out] == [("3.png", True)]
    found = load_pictures(write(tmp_path / "lists", pictures | {"a.json": listing, "b.json": listing[:-40]}), tmp_path)
    assert [lost.source for lost in found.loaded.left_out] == ["b.json"]


def test_numbers_of_masks_get_the_names_that_are_given(tmp_path: Path) -> None:
    values = mask(1)
    values[18:20] = 2
    files: dict[str, bytes | str] = {f"images/{n}.png": png(n) for n in range(10)}
    found = load_pictures(
        write(tmp_path / "set", files | {f"masks/{n}.png": encoded(values) for n in range(10)}), tmp_path, {"2": "vessel"}
    )
    assert found.labels == ("class 1", "vessel")
    assert "unnamed_classes" not in codes(found)
