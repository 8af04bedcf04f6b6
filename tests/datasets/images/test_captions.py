"""Captions: read from text files and tables, and never lost; where a set could teach two things, a person is asked."""

from __future__ import annotations

from pathlib import Path

import pytest

from loralab.core.errors import Offered
from loralab.datasets.images.door import load_pictures, profile_pictures
from tests.datasets.images.dicoms import dicom
from tests.datasets.images.made import adds_up, class_folders, codes, packed, pixels, png

FILES = {f"{n}.png": png(n) for n in range(12)}


@pytest.mark.parametrize(
    "more",
    [
        {f"{n}.txt": f"  my dog\n number {n} " for n in range(12)},
        {"metadata.csv": "file_name,text\n" + "".join(f"{n}.png,my dog number {n}\n" for n in range(12))},
        {"metadata.jsonl": "".join(f'{{"file_name": "{n}.png", "caption": "my dog number {n}"}}\n' for n in range(12))},
    ],
    ids=["text files", "csv", "jsonl"],
)
def test_pictures_with_captions_teach_to_draw(tmp_path: Path, more: dict[str, str]) -> None:
    found = load_pictures(packed(tmp_path / "a.zip", FILES | more), tmp_path / "home")
    adds_up(found)
    assert (found.task, found.loaded.certain) == ("draw", True)
    assert {example.media[0]: example.text for example in found.examples} == {f"{n}.png": f"my dog number {n}" for n in range(12)}


def test_a_picture_without_a_caption_is_told_by_its_folder(tmp_path: Path) -> None:
    files = {f"my_garden/{name}": raw for name, raw in FILES.items()} | {f"my_garden/{n}.txt": "a rose" for n in range(9)}
    found = load_pictures(packed(tmp_path / "a.zip", files), tmp_path / "home")
    assert [example.text for example in found.examples].count("a rose") == 9
    assert [example.text for example in found.examples].count("my garden") == 3
    assert "no_captions" in codes(found)


def test_pictures_that_nobody_described_can_be_drawn_like_where_that_is_asked_for(tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", FILES)
    with pytest.raises(Offered) as refused:
        load_pictures(path, tmp_path / "home")
    assert refused.value.problem.code == "unlabelled_pictures"
    assert load_pictures(path, tmp_path / "home", refused.value.roles).task == "draw"


def test_pictures_that_all_show_the_same_are_offered_to_draw_like(tmp_path: Path) -> None:
    path = packed(
        tmp_path / "a.zip", class_folders(("cat",)) | {"dog/readme.md": "nothing"} | {f"cats/{n}.png": b"broken" for n in range(3)}
    )
    with pytest.raises(Offered) as refused:
        load_pictures(path, tmp_path / "home")
    found = load_pictures(path, tmp_path / "home", refused.value.roles)
    assert (found.task, {example.text for example in found.examples}) == ("draw", {"cat"})


def test_folders_with_captions_could_teach_two_things_and_a_person_is_asked(tmp_path: Path) -> None:
    files = class_folders() | {name.replace(".png", ".txt"): "it looks at me" for name in class_folders()}
    path = packed(tmp_path / "a.zip", files)
    found = load_pictures(path, tmp_path / "home")
    assert (found.task, found.loaded.certain) == ("draw", False)
    assert {choice.roles["task"] for choice in found.loaded.choices} == {"draw", "classify"}
    assert load_pictures(path, tmp_path / "home", {"task": "classify"}).task == "classify"


def test_class_folders_alone_are_still_classes(tmp_path: Path) -> None:
    found = load_pictures(packed(tmp_path / "a.zip", class_folders()), tmp_path / "home")
    assert (found.task, found.loaded.certain) == ("classify", True)


def test_other_captions_are_other_examples(tmp_path: Path) -> None:
    profiles = [
        profile_pictures(packed(tmp_path / f"{word}.zip", FILES | {f"{n}.txt": f"a {word}" for n in range(12)}), tmp_path / "home")
        for word in ("cat", "dog")
    ]
    assert profiles[0].id != profiles[1].id
    assert (profiles[0].task, profiles[0].views) == ("draw", "none")


def test_of_pictures_of_patients_no_word_is_kept(tmp_path: Path) -> None:
    files = {f"{n}.dcm": dicom(pixels(n)[..., 0]) for n in range(12)} | {f"{n}.txt": "Anna Schmidt, left knee" for n in range(12)}
    found = load_pictures(packed(tmp_path / "a.zip", files), tmp_path / "home")
    assert (found.task, found.medical) == ("draw", True)
    assert {example.text for example in found.examples} == {""}
    assert not [file for file in (tmp_path / "home").rglob("*.json") if b"Schmidt" in file.read_bytes()]
