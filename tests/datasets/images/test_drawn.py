"""What is drawn on a picture is where it was marked, in the colour of its class, and can be read on a light page and a dark one."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageColor

from loralab.core.records import Example, Region, Target
from loralab.datasets.images.drawn import GAP, INK, PALETTE, PAPER, RIGHT, WRONG, Mark, Marks, colours, compared, drawn, grid, marks

TABLE = colours(["cat", "dog"])


def plain(width: int = 200, height: int = 100, grey: int = 90) -> Image.Image:
    return Image.new("RGB", (width, height), (grey, grey, grey))


def is_colour(image: Image.Image, colour: str) -> npt.NDArray[np.bool_]:
    return (np.asarray(image.convert("RGB")) == ImageColor.getrgb(colour)[:3]).all(-1)


def test_a_box_is_drawn_where_it_was_marked_in_the_colour_of_its_class() -> None:
    image = drawn(plain(), Marks(boxes=(Mark("dog", (50, 20, 150, 80)),)), TABLE, side=400)
    assert image.size == (400, 200)
    lines = is_colour(image, TABLE["dog"])
    assert lines[40, 100:300].mean() > 0.95
    assert lines[160, 100:300].mean() > 0.95
    assert lines[45:155, 100].all()
    assert lines[45:155, 300].all()
    assert not lines[70:150, 110:290].any()
    assert not is_colour(image, TABLE["cat"]).any()


def test_a_mask_is_washed_over_and_what_is_unknown_is_not() -> None:
    mask = np.zeros((100, 200), np.uint8)
    mask[20:80, 20:80], mask[20:80, 120:180] = 1, 255
    image = drawn(plain(), Marks(mask=mask), TABLE, side=200)
    pixels = np.asarray(image.convert("RGB")).astype(int)
    assert is_colour(image, TABLE["cat"])[20, 20:80].all()  # outline
    toward = np.array(ImageColor.getrgb(TABLE["cat"])[:3]) - 90
    assert np.abs(pixels[50, 50] - 90 - 0.3 * toward).max() <= 1
    assert (pixels[:100, 110:] == 90).all()


def test_few_boxes_are_named_and_many_are_counted_in_a_legend() -> None:
    few = [Mark("cat", (10 + 60 * k, 40, 40 + 60 * k, 80)) for k in range(3)]
    many = [Mark("cat", (5 + 20 * k, 40, 20 + 20 * k, 80)) for k in range(9)]
    named, counted = (drawn(plain(), Marks(boxes=tuple(boxes)), TABLE, side=480) for boxes in (few, many))
    assert named.height == 240
    assert is_colour(named, TABLE["cat"])[75:90].sum() > 3 * 300  # grounds of three names over the boxes
    assert counted.height > 240 + GAP
    assert is_colour(counted, TABLE["cat"])[75:90].sum() == 0
    assert is_colour(counted, TABLE["cat"])[240 + GAP :].sum() > 300


def test_names_never_cover_each_other() -> None:
    same = [Mark(label, (60, 30, 140, 70)) for label in ("cat", "dog", "cat", "dog")]
    image = drawn(plain(), Marks(boxes=tuple(same)), TABLE, side=480)
    grounds = [is_colour(image, TABLE[label]).sum() for label in ("cat", "dog")]
    assert min(grounds) > 600  # of four names at one place, each colour has whole grounds of its own


def test_a_class_is_told_to_be_right_or_wrong_by_colour_and_shape() -> None:
    image = compared(plain(100, 100), Marks("cat"), Marks("dog", 0.6), Marks("cat", 0.9), TABLE, side=240)
    assert image.size == (3 * 240 + 2 * GAP, 240)
    right, wrong = is_colour(image, RIGHT), is_colour(image, WRONG)
    assert not right[:, :490].any()
    assert right[:, 500:].any()
    assert wrong[:, 248:488].any()
    assert not wrong[:, 500:].any()

    def tick(where: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        down, across = np.flatnonzero(where.any(1)), np.flatnonzero(where.any(0))
        return is_colour(image, PAPER)[down[0] : down[0] + 16, across[0] : across[0] + 16]

    assert tick(right).any()
    assert tick(wrong).any()
    assert not np.array_equal(tick(right), tick(wrong))


def test_what_is_said_is_dashed_beside_what_is_marked() -> None:
    truth, said = Marks(boxes=(Mark("cat", (20, 20, 80, 80)),)), Marks(boxes=(Mark("cat", (30, 30, 90, 90), 0.8),))
    image = compared(plain(100, 100), truth, None, said, TABLE, side=200)
    assert image.width == 2 * 200 + GAP
    line = is_colour(image, TABLE["cat"])
    assert line[60:160, 40].all()  # marked: left panel, solid
    dashed = line[70:170, 208 + 60]
    assert 0.4 < dashed.mean() < 0.9
    assert is_colour(image, PAPER)[60:160, 208 + 40].all()  # the truth again, white, in the panel of the model
    mask = np.zeros((100, 100), np.uint8)
    mask[20:80, 20:80] = 1
    masks = compared(plain(100, 100), Marks(mask=mask), None, Marks(mask=np.roll(mask, 10, 0)), TABLE, side=200)
    assert is_colour(masks, TABLE["cat"])[60:140, 40].all()
    assert 0.3 < is_colour(masks, TABLE["cat"])[178, 208 + 45 : 208 + 155].mean() < 0.7
    assert is_colour(masks, PAPER)[40, 208 + 45 : 208 + 155].all()


def test_a_sheet_has_rows_and_columns_and_nothing_between() -> None:
    sheet = grid([plain(100, 50, grey=10 * k) for k in range(5)], 3, 316)
    assert sheet.mode == "RGBA"
    assert sheet.size == (316, 50 * 2 + GAP)
    alpha = np.asarray(sheet)[..., 3]
    assert (alpha[:50, :100] == 255).all()
    assert not alpha[50 : 50 + GAP].any()
    assert not alpha[:, 100 : 100 + GAP].any()
    assert not alpha[50 + GAP :, 216:].any()  # the sixth place is empty
    assert [np.asarray(sheet)[y, x, 0] for y, x in ((25, 50), (25, 158), (25, 266), (83, 50), (83, 158))] == [0, 10, 20, 30, 40]
    with pytest.raises(ValueError, match="no pictures"):
        grid([], 3, 300)


def seen_by(colour: str, vision: list[list[float]]) -> npt.NDArray[np.float64]:
    """A colour in CIELAB (1976, D65) as somebody with that vision sees it."""
    light = np.clip(np.array(vision) @ (np.array(ImageColor.getrgb(colour)[:3]) / 255) ** 2.2, 0, 1)
    xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]) @ light / [0.9505, 1, 1.089]
    x, y, z = np.cbrt(xyz)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def nearest(palette: tuple[str, ...]) -> float:
    """How far the two most alike lie apart, for full vision, without red and without green (Vienot, Brettel and Mollon 1999)."""
    full = [[1.0, 0, 0], [0, 1, 0], [0, 0, 1]]
    no_red = [[0.11238, 0.88762, 0], [0.11238, 0.88762, 0], [0.00401, -0.00401, 1]]
    no_green = [[0.29275, 0.70725, 0], [0.29275, 0.70725, 0], [-0.02234, 0.02234, 1]]
    pairs = list(itertools.combinations(palette, 2))
    return min(float(np.linalg.norm(seen_by(a, v) - seen_by(b, v))) for a, b in pairs for v in (full, no_red, no_green))


def test_colours_are_told_apart_also_without_colour_vision() -> None:
    assert nearest(PALETTE) > 15
    assert nearest(("#CC79A7", "#44AA99")) < 5  # a pink and a teal that are one colour to who lacks green
    assert colours([str(k) for k in range(14)])["10"] == PALETTE[0]


@pytest.mark.parametrize("colour", PALETTE)
def test_words_can_be_read_on_their_ground(colour: str) -> None:
    image = drawn(plain(), Marks(label="MMMM"), {"MMMM": colour}, side=480)

    def light(shade: str) -> float:
        return float(np.dot([(v / 255) ** 2.2 for v in ImageColor.getrgb(shade)[:3]], [0.2126, 0.7152, 0.0722])) + 0.05

    ink = INK if is_colour(image, INK).any() else PAPER
    assert is_colour(image, ink).any()
    assert max(light(ink), light(colour)) / min(light(ink), light(colour)) >= 4.5  # WCAG 2.2, AA


def test_names_that_are_too_long_or_in_no_font_stay_in_the_picture() -> None:
    endless = "a name of a class that has no end " * 5
    image = drawn(plain(), Marks(label=endless), colours([endless]), side=300)
    ground = np.flatnonzero(is_colour(image, PALETTE[0]).any(0))
    assert ground[-1] <= 300 - GAP
    unknown = "\U0010fff0\U0010fff1"  # no font has a shape for these
    odd = drawn(plain(), Marks(label=unknown), {"x": PALETTE[1], unknown: PALETTE[0]}, side=300)
    named = drawn(plain(), Marks(label="class 2"), {"x": PALETTE[1], "class 2": PALETTE[0]}, side=300)
    assert np.array_equal(np.asarray(odd), np.asarray(named))


def test_marks_of_an_example_are_its_class_and_its_boxes() -> None:
    target = Target(regions=(Region(label="cat", box=(1, 2, 3, 4)), Region(label="dog", mask="m.png")))
    found = marks(Example(row=1, media=("a.png",), label="cat", target=target))
    assert found == Marks(label="cat", boxes=(Mark("cat", (1, 2, 3, 4)),))
    assert marks(Example(row=1, media=("a.png",))) == Marks()


def test_grey_palette_and_odd_pictures_are_drawn_on_too() -> None:
    for mode in ("L", "P", "RGBA"):
        image = drawn(plain().convert(mode), Marks(boxes=(Mark("cat", (50, 20, 150, 80)),)), TABLE, side=200)
        assert is_colour(image, TABLE["cat"])[30:70, 50].all()
    assert drawn(plain(1, 1), Marks("cat"), TABLE, side=100).size == (100, 100)
