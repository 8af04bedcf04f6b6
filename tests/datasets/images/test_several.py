"""Several labels of a picture: one is learned at a time, which one is asked, and two of them are never made a class."""

from __future__ import annotations

from pathlib import Path

import pytest

from loralab.datasets.images.door import load_pictures, profile_pictures
from tests.datasets.images.made import adds_up, codes, packed, png


def zipped(path: Path, header: str, row) -> Path:
    lines = [header, *(row(n) for n in range(40))]
    return packed(path, {f"{n}.png": png(n) for n in range(40)} | {"labels.csv": "\n".join(lines)})


def columns(path: Path) -> Path:
    return zipped(path, "file,Edema,Mass,Rare", lambda n: f"{n}.png,{int(n % 2 == 0)},{int(n % 3 == 0)},{int(n == 7)}")


def cells(path: Path, between: str) -> Path:
    def row(n: int) -> str:
        found = [label for label, there in (("Edema", n % 2 == 0), ("Mass", n % 3 == 0)) if there] or ["No Finding"]
        return f'{n}.png,"{between.join(found)}"'

    return zipped(path, "image,findings", row)


@pytest.mark.parametrize("make", [columns, lambda path: cells(path, ";"), lambda path: cells(path, "|"), lambda path: cells(path, ", ")])
def test_one_of_several_labels_is_learned_and_which_one_is_asked(tmp_path: Path, home: Path, make) -> None:
    place = make(tmp_path / "a.zip")
    found = load_pictures(place, home)
    adds_up(found)
    assert set(found.labels) == {"Edema", "not Edema"}
    assert found.counts() == {"Edema": 20, "not Edema": 20}
    assert "several_labels" in codes(found)
    profile = profile_pictures(place, home)
    assert not profile.certain
    assert [choice.roles["one"] for choice in profile.choices] == ["Edema", "Mass"], "one picture with it is too few to learn"
    other = load_pictures(place, home, profile.choices[1].roles)
    assert other.counts() == {"Mass": 14, "not Mass": 26}
    assert other.loaded.certain


def test_one_label_each_is_no_question(tmp_path: Path, home: Path) -> None:
    one = zipped(tmp_path / "a.zip", "file,cat,dog", lambda n: f"{n}.png,{n % 2},{(n + 1) % 2}")
    assert set(load_pictures(one, home).labels) == {"cat", "dog"}
    named = zipped(tmp_path / "b.zip", "file,label", lambda n: f'{n}.png,"{("cat, grey", "dog, brown")[n % 2]}"')
    assert set(load_pictures(named, home).labels) == {"cat, grey", "dog, brown"}, "a comma in a name"
