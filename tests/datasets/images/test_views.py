"""What a view does to a picture it does to boxes and mask, and a model's answer is laid back where it belongs."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from loralab.datasets.images.geometry import Placement
from loralab.datasets.images.views import GREY, OUTSIDE, PRESETS, View, draw, input_size, placed, seen

BOX = (30.0, 20.0, 70.0, 45.0)
TURNS = [View(mirror=mirror, quarters=quarters) for mirror, quarters in itertools.product((False, True), range(4))]
PLACES = [(1.0, (0.0, 0.0)), (0.8, (0.07, -0.05)), (1.15, (-0.06, 0.04))]
UPRIGHT = [View(v.mirror, v.quarters, 0.0, scale, shift) for v in TURNS for scale, shift in PLACES]
SLANTED = [View(v.mirror, v.quarters, degrees, scale, shift) for v in TURNS[::3] for degrees in (-7.0, 4.0) for scale, shift in PLACES]


def noisy(width: int, height: int, seed: int = 0) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8))


def marked(width: int, height: int, box: tuple[float, float, float, float] = BOX) -> tuple[Image.Image, npt.NDArray[np.uint8]]:
    """A black picture with one white rectangle, and the mask of it."""
    mask = np.zeros((height, width), np.uint8)
    left, top, right, bottom = map(int, box)
    mask[top:bottom, left:right] = 1
    return Image.fromarray(np.repeat(255 * mask[:, :, None], 3, axis=2)), mask


def around(where: npt.NDArray[np.bool_]) -> tuple[float, float, float, float]:
    """The box around all pixels that are true."""
    down, across = np.flatnonzero(where.any(1)), np.flatnonzero(where.any(0))
    return float(across[0]), float(down[0]), float(across[-1] + 1), float(down[-1] + 1)


def test_a_picture_that_fits_is_seen_as_it_is() -> None:
    picture, mask = noisy(96, 64), np.random.default_rng(1).integers(0, 4, (64, 96)).astype(np.uint8)
    shown = seen(picture, (96, 64), None, mask, [BOX])
    assert np.array_equal(shown.pixels, np.asarray(picture))
    assert shown.mask is not None
    assert np.array_equal(shown.mask, mask)
    assert np.array_equal(shown.boxes, [BOX])
    assert shown.place.matrix == (1, 0, 0, 0, 1, 0)


def test_a_wide_picture_is_fitted_whole_and_the_rest_is_grey_and_of_no_class() -> None:
    picture, mask = marked(200, 100, (0, 0, 200, 100))
    shown = seen(picture, (96, 96), None, mask, [(0, 0, 200, 100)])
    assert (shown.pixels[24:72] == 255).all()
    assert (np.delete(shown.pixels, range(24, 72), 0) == GREY).all()
    assert shown.mask is not None
    assert (shown.mask[24:72] == 1).all()
    assert (np.delete(shown.mask, range(24, 72), 0) == OUTSIDE).all()
    assert np.allclose(shown.boxes, [(0, 24, 96, 72)])


@pytest.mark.parametrize("view", UPRIGHT)
@pytest.mark.parametrize(("picture", "size"), [((100, 80), (96, 96)), ((100, 80), (160, 128)), ((100, 100), (128, 128))])
def test_box_mask_and_pixels_stay_one_thing(picture: tuple[int, int], size: tuple[int, int], view: View) -> None:
    drawn, mask = marked(*picture)
    shown = seen(drawn, size, view, mask, [BOX])
    assert shown.mask is not None
    assert shown.kept.tolist() == [0]
    assert np.allclose(around(shown.mask == 1), shown.boxes[0], atol=1.0)
    assert np.allclose(around((shown.pixels[..., 0] > GREY + 20) & (shown.mask != OUTSIDE)), shown.boxes[0], atol=1.0)


@pytest.mark.parametrize("view", SLANTED)
def test_a_slanted_box_is_the_upright_one_around_its_corners(view: View) -> None:
    drawn, mask = marked(100, 80)
    shown = seen(drawn, (128, 128), view, mask, [BOX])
    assert shown.mask is not None
    assert np.allclose(around(shown.mask == 1), shown.boxes[0], atol=1.5)  # the tip of a corner is less than a pixel
    inside = shown.mask != OUTSIDE
    differs = inside & ((shown.pixels[..., 0] > 127) != (shown.mask == 1))
    assert differs.sum() < 0.03 * inside.sum()  # half of the pixels that an edge runs through


def test_a_turn_is_counterclockwise_and_mirrored_is_left_for_right() -> None:
    corner = (0.0, 0.0, 10.0, 10.0)
    at = {
        (turn.mirror, turn.quarters): seen(marked(40, 40, corner)[0], (40, 40), turn, None, [corner]).boxes[0, :2].tolist()
        for turn in TURNS
    }
    assert at[False, 1] == [0, 30]
    assert at[True, 0] == [30, 0]
    assert at[True, 1] == [0, 0]
    assert at[False, 2] == [30, 30]
    slanted = seen(marked(40, 40, (30, 15, 40, 25))[0], (40, 40), View(degrees=7.0), None, [(30, 15, 40, 25)]).boxes[0]
    assert slanted[1] + slanted[3] < 40  # what lies on the right goes up


def test_the_same_seed_gives_the_same_pixels_and_another_one_others() -> None:
    for preset in ("photo", "microscope", "xray"):
        once, again, other = (draw(preset, np.random.default_rng(seed), (64, 64)) for seed in (3, 3, 4))
        assert once == again != other
        pixels = [seen(noisy(50, 50), (64, 64), view).pixels for view in (once, again, other)]
        assert np.array_equal(pixels[0], pixels[1])
        assert not np.array_equal(pixels[0], pixels[2])
    grains = [seen(noisy(32, 32), (32, 32), View(noise=4.0, grain=grain)).pixels for grain in (1, 1, 2)]
    assert np.array_equal(grains[0], grains[1])
    assert not np.array_equal(grains[0], grains[2])


@pytest.mark.parametrize("preset", list(PRESETS))
def test_a_preset_does_what_its_kind_of_picture_bears(preset: str) -> None:
    random = np.random.default_rng(0)
    views = [draw(preset, random, (128, 128)) for _ in range(400)]
    share = np.mean([view.mirror for view in views])
    assert (share == 0) if preset in ("none", "xray") else (0.4 < share < 0.6)
    assert {view.quarters for view in views} == ({0, 1, 2, 3} if preset == "microscope" else {0})
    assert max(abs(view.degrees) for view in views) <= 7
    assert any(view.degrees for view in views) == (preset == "xray")
    assert any(view.hue or view.saturation != 1 for view in views) == (preset in ("photo", "microscope"))
    assert all(1 / 1.3 < view.scale < 1.3 and max(map(abs, view.shift)) < 0.2 for view in views)
    assert (set(views) == {View()}) == (preset == "none")


def test_a_long_input_is_turned_by_halves_only() -> None:
    random = np.random.default_rng(0)
    assert {draw("microscope", random, (256, 128)).quarters for _ in range(50)} == {0, 2}
    assert {draw("microscope", random, (416, 320)).quarters for _ in range(50)} == {0, 2}
    with pytest.raises(KeyError):
        draw("telescope", random, (256, 128))


def test_boxes_hardly_seen_are_dropped_and_the_others_are_cut_off_at_the_edge() -> None:
    boxes = [(0, 10, 20, 30), (20, 10, 40, 30), (12, 10, 32, 30), (90, 10, 130, 30), (40, 40, 40, 60)]
    shown = seen(noisy(100, 100), (100, 100), View(shift=(-0.25, 0.0)), None, boxes)
    # 25 pixels further left: of the first nothing is left, of the second 15 of 20 pixels, of the third 7 (35 %), and of the fourth
    # only what lies on the picture counts; the fifth has no width.
    assert shown.kept.tolist() == [1, 2, 3]
    assert shown.boxes.tolist() == [[0, 10, 15, 30], [0, 10, 7, 30], [65, 10, 75, 30]]
    assert seen(noisy(100, 100), (100, 100), View(shift=(-0.27, 0.0)), None, boxes).kept.tolist() == [1, 3]
    assert seen(noisy(20, 20), (32, 32)).boxes.shape == (0, 4)


def test_a_mask_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="does not lie on"):
        seen(noisy(20, 10), (32, 32), None, np.zeros((20, 10), np.uint8))
    assert seen(noisy(20, 10), (32, 32), None, np.zeros((10, 20), np.uint8)).mask is not None


@pytest.mark.parametrize("view", [*UPRIGHT[::5], *SLANTED[::4]])
def test_boxes_find_back_to_the_picture(view: View) -> None:
    place = placed((90, 70), (128, 96), view)
    there = place.to_picture(place.to_input([BOX]))[0]
    if view.degrees:  # the upright box around a slanted one is larger, and lies around the first
        assert (there[:2] <= np.array(BOX[:2])).all()
        assert (there[2:] >= np.array(BOX[2:])).all()
        assert np.allclose((there[:2] + there[2:]) / 2, (np.array(BOX[:2]) + BOX[2:]) / 2, atol=4)
    else:
        assert np.allclose(there, BOX)
    assert (place.to_picture([(-50, -50, 300, 300)]) == [0, 0, 90, 70]).all()


@pytest.mark.parametrize("turn", TURNS)
def test_classes_find_back_to_the_picture(turn: View) -> None:
    mask = np.random.default_rng(0).integers(0, 3, (40, 40)).astype(np.uint8)
    mask[:30, :20] = 2
    shown = seen(noisy(40, 40), (128, 128), turn, mask)
    assert shown.mask is not None
    assert np.array_equal(shown.place.map_to_picture(shown.mask), mask)


@pytest.mark.parametrize("view", [*TURNS, View(degrees=5.0), View(scale=0.8, shift=(0.05, 0.02))])
@pytest.mark.parametrize("stride", [1, 4])
def test_what_a_model_says_coarsely_lies_where_the_picture_shows_it(view: View, stride: int) -> None:
    """A map that says in each of its pixels how far it is from the left of the picture is the same again in the picture's own pixels."""
    place = placed((120, 90), (160, 128), view)
    a, b, c, *_ = place.back
    y, x = np.mgrid[0 : 128 // stride, 0 : 160 // stride]
    ramp = (a * (x + 0.5) * stride + b * (y + 0.5) * stride + c).astype(np.float32)
    laid = place.map_to_picture(np.stack([ramp, -ramp]), fill=float("nan"))
    assert laid.shape == (2, 90, 120)
    assert laid.dtype == np.float32
    edges = place.to_input([(x, y, x + 1, y + 1) for y in range(90) for x in range(120)]).reshape(90, 120, 4)
    well_inside = (edges[..., :2] > stride).all(-1) & (edges[..., 2:] < np.array([160, 128]) - stride).all(-1)
    error = np.abs(laid[0] - (np.arange(120) + 0.5))[well_inside]
    assert well_inside.mean() > 0.6
    assert error.max() < 0.3
    assert np.array_equal(laid[1], -laid[0], equal_nan=True)


def test_where_the_picture_lay_outside_nothing_is_made_up() -> None:
    place = placed((100, 100), (100, 100), View(shift=(-0.3, 0.0)))
    laid = place.map_to_picture(np.ones((25, 25), np.float32), fill=-9.0)
    assert (laid[:, :30] == -9).all()
    assert (laid[:, 30:] == 1).all()
    classes = place.map_to_picture(np.ones((100, 100), np.uint8), fill=OUTSIDE)
    assert (classes[:, :30] == OUTSIDE).all()
    assert (classes[:, 30:] == 1).all()
    away = Placement((10, 10), (32, 32), (1, 0, 100, 0, 1, 100)).map_to_picture(np.ones((32, 32), np.float32))
    assert not away.any()


def test_fine_patterns_are_averaged_where_a_picture_shrinks() -> None:
    checks = np.indices((512, 512)).sum(0) % 2 * 255
    picture = Image.fromarray(np.repeat(checks[:, :, None], 3, axis=2).astype(np.uint8))
    for view in (View(), View(mirror=True, scale=0.93), View(degrees=3.0)):
        middle = seen(picture, (128, 128), view).pixels[32:96, 32:96].astype(int)
        assert np.abs(middle - 127).max() < 8


def test_colour_is_changed_as_the_view_says_and_the_grey_around_is_not() -> None:
    picture = Image.fromarray(np.random.default_rng(0).integers(60, 160, (40, 80, 3), np.uint8))
    plain = seen(picture, (80, 80)).pixels[20:60].astype(float)

    def changed(view: View) -> npt.NDArray[np.float64]:
        pixels = seen(picture, (80, 80), view).pixels
        assert (np.delete(pixels, range(20, 60), 0) == GREY).all()
        return pixels[20:60].astype(float)

    assert changed(View(brightness=1.2)).mean() == pytest.approx(1.2 * plain.mean(), abs=0.5)
    contrast = changed(View(contrast=0.5))
    assert contrast.std() == pytest.approx(plain.std() / 2, rel=0.03)
    assert contrast.mean() == pytest.approx(plain.mean(), abs=1)
    grey = changed(View(saturation=0.0))
    assert np.ptp(grey, axis=2).max() <= 1
    hue = changed(View(hue=120.0))
    assert np.abs(hue - plain[..., [2, 0, 1]]).max() <= 1  # a third of the way around, each channel is another one
    stain = changed(View(stain=(1.2, 1.0, 0.8)))
    assert stain[..., 0].mean() < plain[..., 0].mean()
    assert np.array_equal(stain[..., 1], plain[..., 1])
    assert stain[..., 2].mean() > plain[..., 2].mean()
    assert (changed(View(noise=5.0)) - plain).std() == pytest.approx(5.0, rel=0.1)
    assert changed(View(blur=0.8)).std() < 0.7 * plain.std()


def test_a_picture_without_colour_stays_without_and_one_with_colour_is_tinted() -> None:
    random = np.random.default_rng(0)
    grey = Image.fromarray(random.integers(30, 220, (48, 48), np.uint8)).convert("RGB")
    tinted = Image.fromarray((np.asarray(grey) * [1.0, 0.6, 0.8]).astype(np.uint8))
    for _ in range(20):
        view = draw("microscope", random, (48, 48))
        assert np.ptp(seen(grey, (48, 48), view).pixels, axis=2).max() <= 1
        assert np.ptp(seen(tinted, (48, 48), view).pixels, axis=2).max() > 20
    stained = View(stain=(0.8, 1.3, 1.0))
    assert np.ptp(seen(tinted, (48, 48), stained).pixels.astype(float).mean((0, 1))) > np.ptp(np.asarray(tinted).mean((0, 1)))


@pytest.mark.parametrize(
    ("sizes", "side", "wanted"),
    [
        ([(640, 480)] * 9, 416, (416, 320)),
        ([(480, 640)] * 9, 416, (320, 416)),
        ([(28, 28)] * 3, 128, (128, 128)),
        ([(256, 256)] * 120 + [(360, 360)] * 24 + [(320, 256)] * 2, 256, (256, 256)),
        ([(640, 480)] * 50 + [(480, 640)] * 50, 416, (416, 416)),
        ([(640, 480)] * 90 + [(480, 640)] * 10, 416, (416, 320)),
        ([(640, 480)] * 60 + [(480, 640)] * 40, 416, (416, 416)),
        ([(4000, 100)], 416, (416, 32)),
        ([(101, 100)], 128, (128, 128)),
        ([(100, 60)], 250, (256, 160)),
    ],
)
def test_the_input_has_the_shape_of_the_pictures(sizes: list[tuple[int, int]], side: int, wanted: tuple[int, int]) -> None:
    assert input_size(sizes, side) == wanted


def test_no_pictures_have_no_shape() -> None:
    with pytest.raises(ValueError, match="none"):
        input_size([], 128)
