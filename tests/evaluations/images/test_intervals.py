"""Intervals over pictures: whole units, the same resamples for both sides, and never a point."""

from __future__ import annotations

import time

import numpy as np
import pytest

from loralab.evaluations.images import intervals
from loralab.evaluations.images.intervals import compare, draws, mean, plain, share


def test_the_same_seed_gives_the_same_resamples_and_another_one_others():
    first, again, other = draws([""] * 30), draws([""] * 30), draws([""] * 30, seed=1)
    assert (first.counts == again.counts).all()
    assert (first.counts != other.counts).any()
    assert (first.counts.sum(1) == 30).all()


def test_pictures_of_a_patient_are_drawn_together_and_unknown_ones_alone():
    drawn = draws(["ann", "bob", "ann", "", ""])
    assert drawn.units == 4
    assert (drawn.counts[:, 0] == drawn.counts[:, 2]).all()
    assert (drawn.counts[:, 3] != drawn.counts[:, 4]).any()


def test_an_interval_holds_the_true_mean_about_as_often_as_it_says():
    random, held, drawn = np.random.default_rng(0), 0, draws([""] * 25)
    for _ in range(200):
        values = random.beta(8, 2, 25)  # its mean is 0.8
        low, high = intervals.interval(mean(values), drawn)
        held += low <= 0.8 <= high
    assert 0.90 <= held / 200 <= 0.99


def test_few_patients_make_the_interval_wider_than_as_many_pictures():
    random = np.random.default_rng(1)
    of_patients = np.repeat(random.beta(4, 2, 10), 10)
    alone = intervals.interval(mean(of_patients), draws([""] * 100))
    together = intervals.interval(mean(of_patients), draws([f"p{i // 10}" for i in range(100)]))
    assert together[1] - together[0] > 2 * (alone[1] - alone[0])
    right = of_patients > 0.66
    by_picture, by_patient = share(right, 1.0, draws([""] * 100)), share(right, 1.0, draws([f"p{i // 10}" for i in range(100)]))
    assert by_patient[1] - by_patient[0] > 2 * (by_picture[1] - by_picture[0])


def test_where_nothing_varies_the_interval_is_that_of_a_share_of_as_many():
    low, high = intervals.interval(mean(np.ones(16)), draws([""] * 16))
    assert (low, high) == (pytest.approx(0.806, abs=1e-3), 1.0)
    assert share(np.ones(16), 1.0, draws(["a"] * 8 + ["b"] * 8))[0] < 0.4  # two patients tell little
    assert share(np.zeros(0), 1.0, draws([])) == (0.0, 1.0)


def test_what_is_always_the_same_for_both_sides_is_no_difference():
    values = np.random.default_rng(2).random(20)
    found = compare(mean(values), mean(values), draws([""] * 20), np.zeros(20)).found
    assert (found.difference, found.low, found.high, found.p) == (0.0, 0.0, 0.0, 1.0)
    assert intervals.verdict(found) == "no difference seen"


def test_pairing_sees_what_two_separate_intervals_could_not():
    random = np.random.default_rng(3)
    before = random.random(40) * 0.9
    after = before + 0.02 + random.normal(0, 0.01, 40)
    compared = compare(mean(before), mean(after), draws([""] * 40), after - before)
    assert compared.found.low > 0
    assert compared.between[0] < plain(mean(before), 40)
    assert intervals.verdict(compared.found) == "better"


def test_chance_is_rarely_called_a_difference():
    random, called, drawn = np.random.default_rng(4), 0, draws([""] * 20)
    for _ in range(150):
        before, after = random.random((2, 20)) < 0.7
        found = compare(mean(before), mean(after), drawn, after * 1.0 - before).found
        called += intervals.verdict(found) in ("better", "worse")
    assert called / 150 < 0.08


@pytest.mark.parametrize("n", [0, 1, 7])
def test_too_few_tell_nothing(n: int):
    found = compare(mean(np.zeros(n)), mean(np.ones(n)), draws([""] * n), np.ones(n)).found
    assert intervals.verdict(found) == "cannot tell yet"


def test_a_thousand_resamples_of_five_hundred_pictures_take_less_than_a_second():
    values = np.random.default_rng(5).random(500)
    begun = time.perf_counter()
    drawn = draws([""] * 500)
    compare(mean(values), mean(values**2), drawn, values**2 - values)
    assert drawn.counts.shape == (1000, 500)
    assert time.perf_counter() - begun < 1
