"""Measures of sorting pictures against what they are by definition, and what is chosen on watched pictures."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from loralab.evaluations.images import classes
from loralab.evaluations.images.classes_sides import positive
from loralab.evaluations.images.intervals import plain


def drawn(n: int, kinds: int, seed: int = 0, hint: float = 2.0) -> tuple[Any, Any]:
    """Right kinds, and probabilities that know something of them."""
    random = np.random.default_rng(seed)
    truth = random.integers(0, kinds, n)
    scores = random.normal(0, 1, (n, kinds)) + hint * np.eye(kinds)[truth]
    return truth, np.exp(scores) / np.exp(scores).sum(1, keepdims=True)


def test_right_complete_and_balanced_by_counting():
    truth, said = np.array([0, 0, 0, 1, 1, 2]), np.array([0, 0, 1, 1, 2, 2])
    chances = np.eye(4)[said]  # a fourth kind that nothing is
    assert plain(classes.accuracy(truth, chances), 6) == pytest.approx(4 / 6)
    assert plain(classes.balanced_accuracy(truth, chances), 6) == pytest.approx((2 / 3 + 1 / 2 + 1) / 3)
    assert plain(classes.macro_f1(truth, chances), 6) == pytest.approx((4 / 5 + 2 / 4 + 2 / 3) / 3)
    assert classes.confusion(truth, said, "abcd") == {"a": {"a": 2, "b": 1}, "b": {"b": 1, "c": 1}, "c": {"c": 1}}


def by_pairs(wanted: Any, score: Any) -> float:
    ours, others = score[wanted], score[~wanted]
    return float(((ours[:, None] > others) + 0.5 * (ours[:, None] == others)).mean())


@pytest.mark.parametrize("seed", range(4))
def test_the_auc_is_the_share_of_pairs_in_the_right_order_ties_counting_half(seed: int):
    random = np.random.default_rng(seed)
    wanted, score = random.random(60) < 0.3, random.integers(0, 8, 60) / 8
    assert plain(classes.auc(wanted, score), 60) == pytest.approx(by_pairs(wanted, score))
    truth, chances = drawn(60, 3, seed)
    each = [by_pairs(truth == kind, chances[:, kind]) for kind in range(3)]
    assert plain(classes.macro_auc(truth, chances), 60) == pytest.approx(np.mean(each))
    truth, chances = drawn(60, 2, seed)
    assert plain(classes.macro_auc(truth, chances), 60) == pytest.approx(by_pairs(truth == 1, chances[:, 1]))


def test_a_picture_that_counts_twice_is_a_picture_that_is_there_twice():
    truth, chances = drawn(30, 3)
    counts = np.random.default_rng(1).integers(0, 3, 30)
    places = np.repeat(np.arange(30), counts)
    for measure in (classes.accuracy, classes.balanced_accuracy, classes.macro_f1, classes.macro_auc, classes.ece, classes.brier):
        counted = measure(truth, chances)(counts[None, :].astype(float))[0]
        assert counted == pytest.approx(plain(measure(truth[places], chances[places]), len(places))), measure.__name__


def test_where_only_one_kind_is_there_nothing_is_told_apart():
    assert np.isnan(plain(classes.auc(np.ones(5, bool), np.arange(5.0)), 5))


def test_calibration_and_brier_by_hand():
    truth = np.array([0, 0, 0, 1])
    chances = np.array([[0.9, 0.1]] * 4)  # 90 % sure, right in 75 %
    assert plain(classes.ece(truth, chances), 4) == pytest.approx(0.15)
    assert plain(classes.brier(truth, chances), 4) == pytest.approx((3 * 0.02 + 1.62) / 4)


def test_the_temperature_finds_back_the_one_that_was_used():
    random = np.random.default_rng(0)
    honest = random.dirichlet(np.full(3, 0.7), 4000)
    truth = np.array([random.choice(3, p=row) for row in honest])
    for heat in (0.4, 1.0, 3.0):  # sharpened, as it is, flattened
        assert classes.temperature(truth, classes.tempered(honest, heat)) == pytest.approx(1 / heat, rel=0.12)


def test_a_few_pictures_that_are_all_right_do_not_make_it_infinitely_sure():
    truth = np.arange(12) % 2
    chances = np.where(np.eye(2)[truth] > 0, 0.8, 0.2)
    heat = classes.temperature(truth, chances)
    assert classes.COLDEST < heat < 1
    assert classes.tempered(chances, heat).max() < 0.99
    assert classes.temperature(truth[:4], chances[:4]) == 1.0  # too few to fit on


def test_the_temperature_changes_no_order_and_adds_up():
    truth, chances = drawn(50, 4)
    for heat in (0.3, 5.0):
        calm = classes.tempered(chances, heat)
        assert (calm.argmax(1) == chances.argmax(1)).all()
        assert calm.sum(1) == pytest.approx(1)
    assert classes.right(truth, chances).mean() > 0.5


def test_doubt_leaves_as_many_as_reach_the_target():
    sure = np.linspace(0.99, 0.5, 50)
    good = np.arange(50) < 40  # wrong where it is least sure
    threshold = classes.doubt(sure, good, target=0.95)
    kept = sure >= threshold
    assert good[kept].mean() >= 0.95
    assert kept.sum() == 42  # 40 of 42 are right, 40 of 43 are not enough
    assert classes.doubt(sure, np.ones(50, bool)) == 0.0  # nothing to doubt
    assert classes.doubt(sure[:5], good[:5]) == 0.0  # too few to choose on


def test_doubt_never_leaves_less_than_half():
    sure, good = np.linspace(0.99, 0.5, 40), np.arange(40) % 3 > 0  # two in three are right wherever it is sure
    kept = sure >= classes.doubt(sure, good, target=0.99)
    assert kept.mean() >= 0.5


def test_equally_sure_pictures_are_doubted_together():
    sure, good = np.repeat([0.9, 0.6], 20), np.r_[np.ones(20, bool), np.arange(20) % 2 == 0]
    assert (sure >= classes.doubt(sure, good)).sum() == 20


def test_the_point_tells_both_apart_best():
    wanted, score = np.repeat([True, False], 20), np.r_[np.linspace(0.35, 0.9, 20), np.linspace(0.05, 0.3, 20)]
    assert 0.3 < classes.point(wanted, score) <= 0.35
    assert classes.point(wanted[:22], score[:22]) == 0.5  # two of the others are too few


@pytest.mark.parametrize(
    ("labels", "said", "found"),
    [
        (("NORMAL", "PNEUMONIA"), None, 1),
        (("infected", "healthy"), None, 0),
        (("cat", "dog"), None, 1),
        (("no_tumour", "tumour"), None, 1),
        (("NORMAL", "PNEUMONIA"), 0, 0),
    ],
)
def test_the_kind_that_is_looked_for_is_the_one_that_is_not_normal(labels: Any, said: int | None, found: int):
    assert positive(labels, said) == found
