"""The split parts no patient, no source and no near copy, keeps classes in proportion, and follows what the files say."""

from __future__ import annotations

import io
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from loralab.core.records import Example
from loralab.datasets.images.door import load_pictures, parts
from loralab.datasets.images.facts import Fact, look
from loralab.datasets.images.likeness import groups_by_name, near_copies, together
from loralab.datasets.images.parts import Parts, divide
from tests.datasets.images.made import class_folders, encoded, pixels, write


def some(n: int, labels: str = "ab") -> list[Example]:
    return [Example(row=row + 1, label=labels[row % len(labels)]) for row in range(n)]


def rows(part: tuple[Example, ...]) -> set[int]:
    return {example.row for example in part}


def whole(split: Parts, n: int) -> None:
    every = [rows(part) for part in (split.learn, split.watch, split.heldout, split.aside)]
    assert sum(map(len, every)) == n
    assert set().union(*every) == set(range(1, n + 1))


@pytest.mark.parametrize("n", [10, 11, 16, 24, 50, 200, 1000])
@pytest.mark.parametrize("share", [0.1, 0.2])
def test_everybody_gets_a_share(n: int, share: float) -> None:
    split = divide(some(n), [""] * n, np.arange(n), share, 0)
    whole(split, n)
    assert len(split.heldout) == min(n // 2, max(8, round(share * n)))
    assert split.learn
    assert len(split.learn) >= len(split.watch)
    assert split == divide(some(n), [""] * n, np.arange(n), share, 0)
    assert n < 50 or split != divide(some(n), [""] * n, np.arange(n), share, 1)


def test_rare_classes_are_on_every_side() -> None:
    examples = some(400, "aaaaaaaaab")
    split = divide(examples, [""] * 400, np.arange(400), 0.1, 3)
    for part in (split.watch, split.heldout):
        assert Counter(example.label for example in part)["b"] in (3, 4, 5)


@pytest.mark.parametrize("seed", range(5))
def test_groups_are_never_parted(seed: int) -> None:
    random = np.random.default_rng(seed)
    groups = np.sort(random.integers(0, 40, 300))
    split = divide(some(300), [""] * 300, groups, 0.15, seed)
    whole(split, 300)
    sides = [{int(groups[row - 1]) for row in rows(part)} for part in (split.learn, split.watch, split.heldout)]
    assert sum(map(len, sides)) == len(set(groups.tolist()))
    assert 30 <= len(split.heldout) <= 60


def test_a_few_large_groups_still_leave_something_to_test_with() -> None:
    split = divide(some(90), [""] * 90, np.repeat([0, 1, 2], 30), 0.1, 0)
    whole(split, 90)
    assert len(split.heldout) == 30
    split = divide(some(90), [""] * 90, np.zeros(90, int), 0.1, 0)
    assert len(split.learn) == 90


def test_what_the_files_say_is_followed_and_what_belongs_to_the_test_put_aside() -> None:
    sides = ["learn"] * 60 + ["watch"] * 10 + ["heldout"] * 20
    groups = np.arange(90)
    groups[5] = groups[75]  # one to learn from is a copy of one to test with
    groups[6] = groups[65]
    split = divide(some(90), sides, groups, 0.1, 0)
    whole(split, 90)
    assert rows(split.heldout) == set(range(71, 91))
    assert rows(split.watch) == set(range(61, 71))
    assert rows(split.aside) == {6, 7}


def test_marks_that_leave_too_little_are_not_followed() -> None:
    sides = ["learn"] * 5 + ["heldout"] * 40
    split = divide(some(45), sides, np.arange(45), 0.1, 0)
    whole(split, 45)
    assert len(split.learn) > len(split.heldout) == 8
    all_one = divide(some(60), ["learn"] * 30 + ["heldout"] * 30, np.arange(60) % 30, 0.1, 0)  # every patient is on both sides
    whole(all_one, 60)
    assert len(all_one.learn) > 30


# ---- near copies -----------------------------------------------------------------------------------------------------------


def photo(seed: int) -> Image.Image:
    return Image.fromarray(pixels(seed, 160, 120))


def fact(folder: Path, image: Image.Image, name: str, **options: object) -> Fact:
    path = folder / name
    path.write_bytes(encoded(image, path.suffix, **options))
    return look(path)


def test_near_copies_are_found_and_others_are_not(tmp_path: Path) -> None:
    one = photo(1)
    facts = [
        fact(tmp_path, one, "a.png"),
        *(fact(tmp_path, photo(seed), f"{seed}.png") for seed in range(2, 40)),
        fact(tmp_path, one, "b.jpg", quality=40),
        fact(tmp_path, one.resize((80, 60)), "c.png"),
        fact(tmp_path, ImageEnhance.Brightness(one).enhance(1.1), "d.png"),
        fact(tmp_path, one.transpose(Image.Transpose.FLIP_LEFT_RIGHT), "e.png"),
    ]
    found = near_copies(facts)
    assert found.pairs == ((0, 39), (0, 40), (0, 41))
    assert len(set(found.same.tolist())) == len(facts) - 3


def test_pictures_of_one_tone_are_only_copies_of_themselves(tmp_path: Path) -> None:
    dark = Image.new("RGB", (60, 40), (5, 5, 5))
    facts = [fact(tmp_path, dark, "a.png"), fact(tmp_path, Image.new("RGB", (60, 40), (9, 9, 9)), "b.png"), fact(tmp_path, dark, "c.png")]
    assert near_copies(facts).pairs == ((0, 2),)
    assert near_copies(()).pairs == ()


def test_a_film_of_thousands_of_frames_costs_no_memory(tmp_path: Path) -> None:
    frame = fact(tmp_path, photo(1), "a.png")
    found = near_copies([frame] * 3000)
    assert len(found.pairs) == 2999
    assert set(found.same.tolist()) == {0}


def test_what_many_neighbours_have_in_common_is_found_by_hash_beyond_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("loralab.datasets.images.likeness.MOST_BRUTE", 3)
    one = photo(1)
    facts = [fact(tmp_path, photo(seed), f"{seed}.png") for seed in range(1, 20)] + [fact(tmp_path, one, "b.jpg", quality=60)]
    assert near_copies(facts).pairs == ((0, 19),)


def test_copies_are_on_one_side_and_do_not_count_as_a_class_of_their_own(tmp_path: Path) -> None:
    files = class_folders(each=20)
    for n in range(10):
        image = Image.open(io.BytesIO(bytes(files[f"cat/{n:03d}.png"])))  # type: ignore[arg-type]
        files[f"cat/copy{n}.jpg"] = encoded(image.resize((64, 48)), ".jpg")
    found = load_pictures(write(tmp_path / "set", files), tmp_path / "home")
    assert len(found.copies.pairs) == 10
    for seed in range(5):
        split = parts(found, 0.2, seed)
        sides = {example.source: name for name in ("learn", "watch", "heldout") for example in getattr(split, name)}
        assert all(sides[f"cat/{n:03d}.png"] == sides[f"cat/copy{n}.jpg"] for n in range(10))


# ---- groups by name --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("x/person{p}_bacteria_{n}.jpeg", "person{p}"),
        ("patient-{p:03d}-view{n}.png", "patient-{p:03d}"),
        ("IM-{p:04d}-{n:04d}.png", "im-{p:04d}"),
        ("slide{p} tile {n}.png", "slide{p}"),
        ("img{p}_jpg.rf.{n:032x}.jpg", "img{p}_jpg"),
    ],
)
def test_names_that_say_whom_a_picture_is_of(name: str, group: str) -> None:
    names = [name.format(p=p, n=n) for p in range(30) for n in range(3)]
    assert groups_by_name(names) == [group.format(p=p) for p in range(30) for _ in range(3)]


@pytest.mark.parametrize(
    "name", ["IMG_{i:04d}.jpg", "{i:016x}.png", "cat_{i}.jpg", "BloodImage_{i:05d}.jpg", "2007_{i:06d}.jpg", "{i}.png"]
)
def test_names_that_say_nothing(name: str) -> None:
    assert not any(groups_by_name([name.format(i=i * 7919) for i in range(90)]))


def test_copies_and_groups_are_joined() -> None:
    found = together(np.array([0, 1, 1, 3, 4]), ["a", "b", "", "a", ""])
    assert found[0] == found[3]
    assert found[1] == found[2]
    assert len(set(found.tolist())) == 3
