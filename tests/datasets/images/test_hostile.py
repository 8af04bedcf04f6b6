"""Sets of pictures as people really have them: read as what they are, nothing lost without a count, shown, and divided."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from loralab.core.errors import UserError
from loralab.datasets.images.door import is_pictures, load_pictures, mask_of, parts, profile_pictures
from loralab.datasets.images.names import is_slip, side_of, slip_of
from loralab.datasets.images.opened import picture
from loralab.datasets.images.pictures import Pictures
from loralab.datasets.images.shown import Gallery
from tests.datasets.images.made import adds_up
from tests.support import hostile_marks, hostile_pictures
from tests.support.hostile_pictures import Hostile, packed

SETS = hostile_pictures.SETS | hostile_marks.SETS
CLINIC = ("clinic", "clinic_in_a_zip")


def made(name: str, folder: Path) -> tuple[Hostile, Path]:
    if name in CLINIC:
        pytest.importorskip("pydicom")
    hostile = SETS[name]()
    return hostile, packed(folder / f"{name}.zip", hostile.files)


@pytest.mark.parametrize("name", sorted(SETS))
def test_what_people_have_is_read_as_what_it_is(tmp_path: Path, name: str) -> None:
    hostile, path = made(name, tmp_path)
    home = tmp_path / "home"
    assert is_pictures(path)
    if hostile.refused:
        with pytest.raises(UserError) as error:
            load_pictures(path, home, hostile.roles)
        assert error.value.problem.code == hostile.refused
        assert error.value.problem.todo
        return
    found = load_pictures(path, home, hostile.roles)
    adds_up(found)
    assert (found.task, found.labels, found.loaded.certain) == (hostile.task, hostile.labels, hostile.certain or bool(hostile.roles))
    assert (len(found.examples), found.loaded.n_read - len(found.examples)) == (hostile.kept, hostile.lost)
    if hostile.boxes:
        assert found.boxes
        assert (found.boxes.read, found.boxes.kept) == hostile.boxes
    assert {side: n for side, n in Counter(found.sides).items() if side in hostile.sides} == hostile.sides
    profile = profile_pictures(path, home, hostile.roles)
    assert hostile.codes <= {problem.code for problem in profile.findings}
    assert all(problem.what and problem.todo for problem in profile.findings)
    _shown(found)
    split = parts(found, 0.2, 0)
    assert sum(map(len, (split.learn, split.watch, split.heldout, split.aside))) == hostile.kept
    assert min(map(len, (split.learn, split.watch, split.heldout))) >= 2


def _shown(found: Pictures) -> None:
    """Pictures can be shown, as they are and as the model sees them; what is marked lies on what was drawn."""
    gallery = Gallery(found)
    for example in found.examples[::8]:
        assert gallery.drawn(example.media[0], 64)
    assert len(gallery.as_seen(found.examples[0].media[0], 96, "photo", 2)) == 3
    for example in found.examples if found.task in ("detect", "segment") else ():
        pixels = np.asarray(picture(found.root / example.media[0]), dtype=np.int64)
        bright = np.abs(pixels - 120).max(-1) > 60  # discs and squares, never the noise around them
        if found.task == "segment":
            where = mask_of(found, example) > 0
        else:
            where = np.zeros(bright.shape, bool)
            for region in example.target.regions if example.target else ():
                left, top, right, bottom = (round(value) for value in region.box or (0, 0, 0, 0))
                where[top:bottom, left:right] = True
        assert not where.any() or bright[where].mean() > 0.6, example.source


@pytest.mark.parametrize("name", CLINIC)
def test_of_a_clinics_zip_nothing_names_anybody(tmp_path: Path, name: str) -> None:
    _, path = made(name, tmp_path)
    home = tmp_path / "home"
    profile = profile_pictures(path, home)
    written = "\n".join(str(file.relative_to(home)) for file in home.rglob("*")).encode()
    written += b"\n".join(file.read_bytes() for file in home.rglob("*") if file.is_file()) + profile.model_dump_json().encode()
    for trace in (b"roebuck", b"janette", b"hx-4711", b"meredith", b"19560312"):
        assert trace not in written.lower(), trace
    assert profile.medical


@pytest.mark.parametrize(
    ("word", "side"),
    [
        *(("trian", "learn"), ("tset", "heldout"), ("Tets", "heldout"), ("vaild", "watch"), ("validaton", "watch"), ("tranining", "learn")),
        *(("rain", ""), ("brain", ""), ("vest", ""), ("text", ""), ("veal", ""), ("grain", ""), ("tests of iron", ""), ("trial", "")),
    ],
)
def test_a_slip_in_the_name_of_a_part_is_seen_and_no_other_word_is_taken_for_one(word: str, side: str) -> None:
    assert side_of(word) == side


def test_slips_are_told_from_names_that_are_meant() -> None:
    assert is_slip("square", "sqaure")
    assert is_slip("healthy", "healhty")
    assert is_slip("malignant", "malignnt")
    for one, other in (("grade1", "grade2"), ("typical", "atypical"), ("normal", "normal"), ("class 12", "class 122"), ("left", "right")):
        assert not is_slip(one, other)
    assert slip_of("lables", frozenset(("labels", "images"))) == "labels"
    assert slip_of("tables", frozenset(("labels", "images"))) == ""
