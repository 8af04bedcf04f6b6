"""Any picture opens as upright RGB; masks give the numbers that stand in them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from loralab.datasets.images.boxes import Frame, regions
from loralab.datasets.images.facts import look
from loralab.datasets.images.found import BoxCount
from loralab.datasets.images.opened import ORIENTATION, Unreadable, mask_values, picture, turned
from tests.datasets.images.made import encoded, pixels


def saved(folder: Path, image: Image.Image, name: str, **options: object) -> Path:
    path = folder / name
    path.write_bytes(encoded(image, path.suffix, **options))
    return path


@pytest.mark.parametrize("ending", [".png", ".bmp", ".tif", ".webp"])
def test_colours_come_through_unchanged(tmp_path: Path, ending: str) -> None:
    values = pixels(1)
    options = {"lossless": True} if ending == ".webp" else {}
    found = picture(saved(tmp_path, Image.fromarray(values), f"a{ending}", **options))
    assert found.mode == "RGB"
    assert np.array_equal(np.asarray(found), values)


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "RGBA", "LA", "I;16"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    values = pixels(2)
    if mode == "I;16":
        image = Image.fromarray(np.asarray(Image.fromarray(values).convert("L")).astype(np.uint16) * 200)
    else:
        image = Image.fromarray(values).convert(mode)
    found = picture(saved(tmp_path, image, "a.tif"))
    assert found.mode == "RGB"
    assert found.size == (32, 24)


def test_sixteen_bits_are_stretched_and_eight_in_sixteen_are_not(tmp_path: Path) -> None:
    deep = np.linspace(1000, 41000, 24 * 32).reshape(24, 32).astype(np.uint16)
    found = np.asarray(picture(saved(tmp_path, Image.fromarray(deep), "deep.png")))
    assert found.min() == 0
    assert found.max() == 255
    assert np.all(np.diff(found[..., 0].ravel().astype(int)) >= 0)
    shallow = np.full((24, 32), 7, np.uint16)
    assert np.all(np.asarray(picture(saved(tmp_path, Image.fromarray(shallow), "shallow.png"))) == 7)


def test_what_is_seen_through_is_white(tmp_path: Path) -> None:
    values = np.zeros((24, 32, 4), np.uint8)
    values[:12] = (200, 10, 10, 255)
    found = np.asarray(picture(saved(tmp_path, Image.fromarray(values), "a.png")))
    assert tuple(found[0, 0]) == (200, 10, 10)
    assert tuple(found[20, 0]) == (255, 255, 255)


def test_the_first_of_several_pictures_is_taken(tmp_path: Path) -> None:
    first, second = (Image.fromarray(np.full((8, 8, 3), grey, np.uint8)) for grey in (40, 220))
    path = saved(tmp_path, first, "a.gif", save_all=True, append_images=[second])
    assert np.asarray(picture(path))[0, 0, 0] == 40
    assert look(path).frames == 2


@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_as_the_camera_was_held_and_boxes_of_the_file_with_them(tmp_path: Path, orientation: int) -> None:
    values = np.zeros((24, 32, 3), np.uint8)
    values[3:9, 5:15] = 255  # what the box is around, in the file
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    path = saved(tmp_path, Image.fromarray(values), "a.png", exif=exif)
    upright = np.asarray(picture(path))[..., 0]
    fact = look(path)
    assert (fact.height, fact.width) == upright.shape
    assert fact.stored == (32, 24)
    assert np.array_equal(turned(values[..., 0], orientation), upright)
    count = BoxCount()
    said = (("spot", (5.0, 3.0, 15.0, 9.0)),)
    box = regions(said, Frame(32, 24) if orientation >= 5 else Frame(0, 0), fact, count)[0].box
    assert box is not None
    if orientation >= 5:  # only there the size that is said tells which of the two was meant
        rows, columns = np.nonzero(upright)
        assert box == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1)


def test_what_does_not_open_says_why(tmp_path: Path) -> None:
    whole = encoded(pixels(3, 200, 200))
    for name, raw, reason in (
        ("cut.png", whole[: len(whole) // 2], "cut short"),
        ("empty.png", b"", "empty"),
        ("words.png", b"not a picture at all", "no picture"),
        ("phone.heic", b"\0\0\0\x18ftypheic", "HEIC"),
    ):
        path = tmp_path / name
        path.write_bytes(raw)
        with pytest.raises(Unreadable, match=reason):
            picture(path)
        assert reason in look(path).reason
    assert look(tmp_path / "gone.png").reason


def test_a_picture_that_would_fill_the_memory_is_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "huge.png"
    path.write_bytes(encoded(Image.new("1", (10_000, 9_000))))
    with pytest.raises(Unreadable, match="million pixels"):
        picture(path)
    assert "million pixels" in look(path).reason


def test_a_palette_gives_its_places_never_its_greys(tmp_path: Path) -> None:
    values = np.zeros((24, 32), np.uint8)
    values[4:9] = 2
    image = Image.new("P", (32, 24))
    image.putpalette([0, 0, 0, 255, 0, 0, 150, 150, 150] + [0] * 759)
    image.frombytes(values.tobytes())
    found = mask_values(saved(tmp_path, image, "mask.png"))
    assert set(np.unique(found)) == {0, 2}


def test_colours_and_greys_of_masks(tmp_path: Path) -> None:
    values = np.zeros((24, 32, 3), np.uint8)
    values[:5] = (255, 0, 16)
    assert set(np.unique(mask_values(saved(tmp_path, Image.fromarray(values), "a.png")))) == {0, 0xFF0010}
    values[:] = 9
    assert set(np.unique(mask_values(saved(tmp_path, Image.fromarray(values), "b.png")))) == {9}
    deep = np.zeros((24, 32), np.uint16)
    deep[0] = 700
    assert set(np.unique(mask_values(saved(tmp_path, Image.fromarray(deep), "c.png")))) == {0, 700}
