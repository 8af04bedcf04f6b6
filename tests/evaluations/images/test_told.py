"""Shares and differences as people say them."""

from __future__ import annotations

import pytest

from loralab.evaluations.images import told


@pytest.mark.parametrize(
    ("share", "words"), [(0.0, "0 %"), (0.001, "under 1 %"), (0.5, "50 %"), (0.999, "over 99 %"), (1.0, "100 %"), (float("nan"), "–")]
)
def test_shares_in_words(share: float, words: str):
    assert told.percent(share) == words


@pytest.mark.parametrize(
    ("difference", "words"), [(0.0001, "less than 0.1 points"), (-0.004, "0.4 points"), (0.0099, "1 point"), (-0.02, "2 points")]
)
def test_differences_in_words(difference: float, words: str):
    assert told.points(difference) == words
