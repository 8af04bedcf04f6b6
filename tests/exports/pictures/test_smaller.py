"""Eight bits: each number the nearest, and a bound that sees the next one."""

from __future__ import annotations

import numpy as np
import pytest

from loralab.exports.pictures import checks
from loralab.exports.pictures.smaller import LEVELS, rounded


def weights() -> np.ndarray:
    found = np.random.default_rng(5).normal(0, 0.1, (6, 40, 1, 1)).astype(np.float32)
    found[2] = 0
    return found


def test_each_number_is_the_nearest_and_the_largest_is_the_last_level() -> None:
    values = weights()
    whole, scale = rounded(values)
    back = whole.astype(np.float32) * scale[:, None, None, None]
    assert np.abs(back - values).max() <= scale.max() / 2 * 1.0001
    assert np.abs(whole.reshape(6, -1)).max(1).tolist() == [LEVELS, LEVELS, 0, LEVELS, LEVELS, LEVELS]
    assert not checks._whole((whole, scale), values).count


@pytest.mark.parametrize("step", [-1, 1])
def test_one_number_one_step_off_is_seen(step: int) -> None:
    values = weights()
    whole, scale = rounded(values)
    whole[1, 7] += step
    assert checks._whole((whole, scale), values).count == 1


@pytest.mark.parametrize("factor", [0.9, 1.001])
def test_another_scale_is_seen(factor: float) -> None:
    values = weights()
    whole, scale = rounded(values)
    assert checks._whole((whole, scale * np.float32(factor)), values).count
    assert checks._whole((whole.astype(np.int16), scale), values).count == values.size
