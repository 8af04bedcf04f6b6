"""Owns the tests of what wishes are read with: the shipped weights are what the script makes, which never learns from the blind half."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

from advisor.proposals import wording
from advisor.proposals.wishes import SIGNS
from benchmarks.wishes import fit as fitting
from benchmarks.wishes.__main__ import FRESH, prompts


def test_the_shipped_weights_are_those_that_the_script_makes():
    made = fitting.fit([*fitting.lessons(), fitting.filled()])
    shipped = wording.weights(len(SIGNS))
    assert shipped.step == pytest.approx(made.step, rel=0.02)
    assert np.abs(made.step * made.words.astype(float) - shipped.step * shipped.words.astype(float)).max() < 3 * shipped.step
    asked = fitting.lessons()[1]
    ours, theirs = fitting.read(made, asked), fitting.read(shipped, asked)
    assert np.abs(ours - theirs).max() < 0.02  # another processor rounds otherwise


def test_no_wish_of_the_blind_half_is_learned_from():
    dev, blind = prompts(FRESH)
    learned = {wish for lesson in (*fitting.lessons(), fitting.filled()) for wish in lesson.wishes}
    assert not learned & {one.wish for one in blind}
    assert learned >= {one.wish for one in dev}


def test_sure_is_the_least_share_at_which_every_author_is_read_right_nine_times_in_ten():
    kinds = np.zeros(100, np.int64)
    shares = np.full((100, 7), 0.0, np.float32)
    shares[:, 0] = np.linspace(0.2, 0.99, 100)  # right throughout
    assert fitting.threshold([("right", shares, kinds)]) == 0.30
    kinds[shares[:, 0] < 0.7] = 1  # wrong wherever it is below 0.7
    strict = fitting.threshold([("right", shares, np.zeros(100, np.int64)), ("half wrong", shares, kinds)])
    assert 0.6 < strict < 0.7
