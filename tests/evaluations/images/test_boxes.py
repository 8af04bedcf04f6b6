"""Average precision against pycocotools itself, counted once and with pictures drawn several times; recall and precision by counting."""

from __future__ import annotations

import contextlib
import io
from typing import Any

import numpy as np
import pytest
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from loralab.evaluations.images import boxes
from loralab.evaluations.images.boxes import Found, average_precision, best_confidence, found_each, kind_precision, matched
from loralab.evaluations.images.intervals import draws, interval, plain


def drawn(pictures: int, kinds: int, seed: int, extra: int = 6, shaken: float = 4.0) -> tuple[list[Found], list[Found]]:
    """Things in pictures, some of which are empty, and boxes that find most of them, shaken, mistaken and with others beside."""
    random = np.random.default_rng(seed)
    truths, founds = list[Found](), list[Found]()
    for _ in range(pictures):
        n, more = random.integers(0, 9), random.integers(0, extra + 1)
        corner = random.uniform(0, 200, (n, 2))
        places, names = np.c_[corner, corner + random.uniform(10, 60, (n, 2))], random.integers(0, kinds, n)
        truths.append(Found(places, names))
        seen = random.random(n) < 0.85
        beside = random.uniform(0, 200, (more, 2))
        where = np.r_[(places + random.normal(0, shaken, places.shape))[seen], np.c_[beside, beside + random.uniform(10, 60, (more, 2))]]
        what = np.r_[np.where(random.random(n) < 0.9, names, random.integers(0, kinds, n))[seen], random.integers(0, kinds, more)]
        founds.append(Found(where, what, np.r_[random.uniform(0.2, 1, int(seen.sum())), random.uniform(0, 0.7, more)]))
    return truths, founds


def by_coco(truths: list[Found], founds: list[Found], kinds: int) -> Any:
    """Precision [overlaps, recalls, kinds] as pycocotools accumulates it."""

    def side(all_: list[Found]) -> Any:
        made: Any = COCO()
        made.dataset = {"images": [{"id": i} for i in range(len(all_))], "categories": [{"id": k} for k in range(kinds)], "annotations": []}
        for picture, one in enumerate(all_):
            for i, (left, top, right, bottom) in enumerate(one.places.tolist()):
                box, sure = [left, top, right - left, bottom - top], 1.0 if one.sure is None else float(one.sure[i])
                number = len(made.dataset["annotations"]) + 1
                about = {"id": number, "image_id": picture, "category_id": int(one.kinds[i]), "iscrowd": 0, "score": sure}
                made.dataset["annotations"].append(about | {"bbox": box, "area": box[2] * box[3]})
        made.createIndex()
        return made

    with contextlib.redirect_stdout(io.StringIO()):
        evaluator = COCOeval(side(truths), side(founds), "bbox")
        evaluator.evaluate()
        evaluator.accumulate()
    return evaluator.eval["precision"][:, :, :, 0, -1]


def averaged(precision: Any) -> float:
    return float(precision[precision > -1].mean())


@pytest.mark.parametrize(("seed", "kinds"), [(0, 1), (1, 3), (2, 3), (3, 6), (4, 12)])
def test_average_precision_is_that_of_pycocotools(seed: int, kinds: int):
    truths, founds = drawn(25, kinds, seed)
    told, found = by_coco(truths, founds, kinds), matched(truths, founds, kinds)
    assert plain(average_precision(found), 25) == pytest.approx(averaged(told), abs=1e-6)
    assert plain(average_precision(found, [0]), 25) == pytest.approx(averaged(told[:1]), abs=1e-6)
    for kind in range(kinds):
        here = plain(kind_precision(found, kind, [0]), 25)
        assert np.isnan(here) if (told[0, :, kind] < 0).all() else here == pytest.approx(told[0, :, kind].mean(), abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_a_resample_is_what_pycocotools_finds_on_the_drawn_pictures(seed: int):
    truths, founds = drawn(12, 3, seed)
    found, random = matched(truths, founds, 3), np.random.default_rng(seed)
    for _ in range(3):
        places = random.integers(0, 12, 12)
        counts = np.bincount(places, minlength=12)[None, :].astype(float)
        told = by_coco([truths[i] for i in sorted(places)], [founds[i] for i in sorted(places)], 3)
        assert average_precision(found)(counts)[0] == pytest.approx(averaged(told), abs=1e-6)


def test_nothing_is_printed(capsys: Any):
    matched(*drawn(4, 2, 0), 2)
    assert capsys.readouterr().out == ""


def test_the_interval_holds_the_measure_and_narrows_with_more_pictures():
    widths = []
    for pictures in (12, 80):
        found = matched(*drawn(pictures, 2, 5), 2)
        low, high = interval(average_precision(found, [0]), draws([""] * pictures))
        assert low < plain(average_precision(found, [0]), pictures) < high
        widths.append(high - low)
    assert widths[1] < widths[0] / 1.7


def boxed(*places: tuple[float, float, float, float], kinds: Any = None, sure: Any = None) -> Found:
    of = np.array(places, float).reshape(-1, 4)
    return Found(of, np.zeros(len(of), int) if kinds is None else np.array(kinds), None if sure is None else np.array(sure, float))


def test_found_and_wrongly_marked_at_a_confidence_by_counting():
    truths = [boxed((0, 0, 10, 10), (20, 20, 40, 40), kinds=[0, 1]), boxed()]
    founds = [
        boxed((0, 0, 10, 10), (1, 0, 10, 10), (20, 20, 40, 40), kinds=[0, 0, 0], sure=[0.9, 0.8, 0.7]),  # right, twice, another kind
        boxed((5, 5, 9, 9), sure=[0.6]),  # where nothing is
    ]
    found = matched(truths, founds, 2, boxes.OVERLAPS[:1])
    hits, said = found_each(found, 0.5)
    assert hits.tolist() == [[1, 0], [0, 0]]
    assert said.tolist() == [[3, 0], [1, 0]]
    assert plain(boxes.recall(found, 0.5), 2) == 0.5
    assert plain(boxes.recall(found, 0.5, 1), 2) == 0.0
    assert plain(boxes.precision(found, 0.5), 2) == 0.25
    assert plain(boxes.precision(found, 0.85), 2) == 1.0
    assert np.isnan(plain(boxes.precision(found, 0.95), 2))  # nothing is said


def test_the_confidence_is_the_one_at_which_most_is_right():
    truths = [boxed((0, 0, 10, 10)) for _ in range(10)]
    founds = [boxed((0, 0, 10, 10), (50, 50, 60, 60), sure=[0.6 + i / 100, 0.4 + i / 100]) for i in range(10)]
    assert 0.49 < best_confidence(matched(truths, founds, 1)) <= 0.6
    assert best_confidence(matched(truths, [boxed() for _ in truths], 1)) == boxes.UNSURE


def test_no_picture_and_nothing_found_are_no_error():
    empty = matched([], [], 2)
    assert empty.wanted.shape == (0, 2)
    found = matched([boxed((0, 0, 10, 10))], [boxed(sure=[])], 1)
    assert plain(average_precision(found), 1) == 0.0
    turned = matched([boxed((0, 0, 10, 10))], [boxed((10, 10, 0, 0), sure=[0.9])], 1)  # a box inside out
    assert plain(average_precision(turned), 1) == 0.0
