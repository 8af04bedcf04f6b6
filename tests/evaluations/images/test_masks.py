"""Measures of marked areas against counting pixels, and edges against looking at every pair of pixels."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from loralab.evaluations.images import masks
from loralab.evaluations.images.masks import boundary_f, edge, fitted, habits, marked, tolerance, usual


def square(top: int, left: int, size: int, kind: int = 1, shape: tuple[int, int] = (40, 50)) -> Any:
    mask = np.zeros(shape, np.uint8)
    mask[top : top + size, left : left + size] = kind
    return mask


def test_dice_and_iou_by_counting():
    found = marked([square(10, 10, 10)], [square(10, 15, 10)], 1)  # half of each is the other's
    assert found.dice[0, 0] == pytest.approx(0.5)
    assert found.iou[0, 0] == pytest.approx(1 / 3)


def test_nothing_on_both_sides_agrees_wholly_and_on_one_side_not_at_all():
    empty, some = np.zeros((40, 50), np.uint8), square(5, 5, 6)
    found = marked([empty, empty, some], [empty, some, empty], 1)
    assert found.dice[:, 0].tolist() == found.iou[:, 0].tolist() == found.boundary[:, 0].tolist() == [1.0, 0.0, 0.0]
    assert found.present[:, 0].tolist() == [False, True, True]


def test_a_picture_is_the_mean_of_the_kinds_that_are_in_it():
    truth = square(5, 5, 10) + square(20, 30, 10, 2)
    found = marked([truth], [square(5, 5, 10)], 3)  # the second kind is missed, the third is nowhere
    assert found.dice.tolist() == [[1.0, 0.0, 1.0]]
    assert found.of_pictures(found.dice).tolist() == [0.5]
    nothing = marked([square(0, 0, 0)], [square(0, 0, 0)], 2)
    assert nothing.of_pictures(nothing.dice).tolist() == [1.0]


def test_pixels_that_are_no_kind_count_nowhere():
    truth = square(10, 10, 10)
    truth[:10] = 255
    found = square(10, 10, 10)
    found[:10] = 1  # marked where nobody knows
    assert marked([truth], [found], 1).dice[0, 0] == 1.0


def test_another_size_is_refused():
    with pytest.raises(ValueError, match="was found for a picture of"):
        marked([square(1, 1, 3)], [square(1, 1, 3, shape=(50, 40))], 1)


def by_pairs(truth: Any, found: Any) -> float:
    ours, theirs = np.argwhere(edge(found)), np.argwhere(edge(truth))
    apart = np.sqrt(((ours[:, None] - theirs[None]) ** 2).sum(-1)) <= tolerance(*truth.shape)
    precision, recall = apart.any(1).mean(), apart.any(0).mean()
    return float(2 * precision * recall / (precision + recall)) if precision + recall else 0.0


@pytest.mark.parametrize("seed", range(4))
def test_edges_are_compared_within_a_circle(seed: int):
    random = np.random.default_rng(seed)
    rows, columns = np.ogrid[:60, :80]
    truth, found = (
        np.any([(rows - random.integers(60)) ** 2 + (columns - random.integers(80)) ** 2 <= 80 for _ in range(4)], axis=0) for _ in range(2)
    )
    found = found | (truth & (random.random(truth.shape) < 0.9))
    assert boundary_f(truth, found) == pytest.approx(by_pairs(truth, found))


def test_an_edge_may_be_off_by_a_little_and_not_by_more():
    truth = square(10, 10, 16) > 0
    assert tolerance(*truth.shape) == 2
    assert boundary_f(truth, square(11, 10, 16) > 0) == 1.0
    assert boundary_f(truth, square(16, 16, 4) > 0) == 0.0
    assert tolerance(1000, 1000) == round(0.0075 * math.hypot(1000, 1000))


def test_where_the_picture_ends_is_no_edge():
    whole = np.ones((20, 20), bool)
    assert not edge(whole).any()
    assert boundary_f(whole, whole) == 1.0
    assert boundary_f(whole, ~whole) == 0.0
    assert boundary_f(whole, square(0, 0, 10, shape=(20, 20)) > 0) == 0.0


def test_what_is_usual_is_what_most_have_there_in_any_size():
    watched = [square(8, 10, 16), square(8, 10, 16), fitted(square(8, 10, 16), 80, 100), square(30, 40, 5)]
    found = fitted(usual(watched, 1), 40, 50)
    assert masks.marked([square(8, 10, 16)], [found], 1).dice[0, 0] > 0.8  # laid over each other in a coarser grid
    names = habits([square(8, 10, 16)], watched, 2)
    assert list(names) == ["nothing", "everything 1", "everything 2", "the usual places"]
    assert (names["everything 2"][0] == 2).all()
    assert list(habits([square(8, 10, 16)], [], 1)) == ["nothing", "everything 1"]


def test_a_large_mask_is_looked_at_coarsely_where_that_is_enough():
    large = np.kron(square(10, 10, 10), np.ones((20, 20), np.uint8))
    assert masks.coarse(large).shape == (256, 256)
    assert masks.coarse(large).mean() == pytest.approx(large.mean(), rel=0.05)
    assert masks.coarse(square(1, 1, 3)).shape == (40, 50)
