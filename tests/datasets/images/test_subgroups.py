"""Pictures are told apart by where they came from and how large they are, never by what is to be learned."""

from __future__ import annotations

from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from loralab.datasets.images.door import load_pictures
from loralab.datasets.images.subgroups import subgroups
from loralab.evaluations.images.groups import groups
from loralab.evaluations.images.intervals import draws
from loralab.evaluations.images.seen import Seen


def zipped(path, sizes):
    random = np.random.default_rng(0)
    with ZipFile(path, "w") as packed:
        for at, size in enumerate(sizes):
            name = f"set/{'north' if at % 2 else 'south'}/train/{'cat' if at % 3 else 'dog'}/{at:03}.png"
            with packed.open(name, "w") as file:
                Image.fromarray(random.integers(0, 255, (*size, 3), dtype=np.uint8)).save(file, "PNG")
    return path


def test_folders_and_few_sizes_are_told_one_by_one(tmp_path, home):
    pictures = load_pictures(zipped(tmp_path / "a.zip", [(32, 40), (48, 40)] * 12), home)
    found = subgroups(pictures, pictures.examples)
    assert set(found) == {"folder", "size"}
    assert {value.split("/")[-1] for value in found["folder"]} == {"north", "south"}
    assert set(found["size"]) == {"40 × 32", "40 × 48"}
    assert [example.source.count("north") for example in pictures.examples] == [value.count("north") for value in found["folder"]]


def test_many_sizes_are_told_in_thirds_and_one_size_not_at_all(tmp_path, home):
    many = load_pictures(zipped(tmp_path / "many.zip", [(20 + at, 30) for at in range(24)]), home)
    sizes = subgroups(many, many.examples)["size"]
    assert {sizes.count(word) for word in set(sizes)} == {8}
    one = load_pictures(zipped(tmp_path / "one.zip", [(30, 30)] * 24), home)
    assert "size" not in subgroups(one, one.examples)


def test_each_group_has_its_mean_its_number_and_its_interval():
    n = 60
    fact = ["a"] * 30 + ["b"] * 28 + ["c"] * 2
    seen = Seen(labels=["x"], rows=range(n), media=[""] * n, groups=[""] * n, facts={"camera": fact, "only": ["z"] * n})
    quality = [1.0] * 30 + [0.5] * 28 + [0.0] * 2
    found = groups(seen, quality, draws(seen.groups), whole=False)
    assert set(found) == {"camera"}, "one value alone is no group"
    assert [(one["value"], one["n"], one["score"]) for one in found["camera"]] == [("a", 30, 1.0), ("b", 28, 0.5)], "two are too few"
    assert found["camera"][0]["between"][0] > found["camera"][1]["between"][1]
    whole = groups(seen, [1.0] * 45 + [0.0] * 15, draws(seen.groups), whole=True)["camera"]
    assert [one["right"] for one in whole] == [30, 15]
    assert whole[1]["between"] == pytest.approx((0.36, 0.70), abs=0.02), "Wilson's interval of 15 of 28"
