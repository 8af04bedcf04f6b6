"""In which ways pictures may be varied: told from what they show, and never guessed where it is not plain."""

from __future__ import annotations

import base64

import numpy as np
import pytest

from loralab.datasets.images.direction import views_of, views_of_things
from loralab.datasets.images.facts import THUMB, Fact


def fact(values: np.ndarray) -> Fact:
    return Fact(width=64, height=64, thumb=base64.b64encode(values.astype(np.uint8).tobytes()).decode())


def spotted(random: np.random.Generator) -> np.ndarray:
    """Spots anywhere: no direction."""
    return random.integers(60, 200, (THUMB, THUMB)).astype(float)


@pytest.mark.parametrize(("n", "expected"), [(40, "microscope"), (10, "photo")])
def test_spots_anywhere_have_no_direction_and_few_tell_nothing(n: int, expected: str) -> None:
    random = np.random.default_rng(0)
    assert views_of([fact(spotted(random)) for _ in range(n)], [None] * n) == expected


def test_a_bright_sky_is_up() -> None:
    random = np.random.default_rng(1)
    sky = np.linspace(55, -60, THUMB)[:, None]
    assert views_of([fact(spotted(random) + sky) for _ in range(40)], [None] * 40) == "photo"


def test_a_heart_on_one_side_is_never_mirrored() -> None:
    random = np.random.default_rng(2)
    heart = np.zeros((THUMB, THUMB))
    heart[6:11, 9:14] = 55
    assert views_of([fact(spotted(random) * 0.7 + heart) for _ in range(40)], [None] * 40) == "xray"


def test_arrows_are_symmetric_only_together() -> None:
    random = np.random.default_rng(3)
    left = np.zeros((THUMB, THUMB))
    left[:, :5] = 70
    facts = [fact(spotted(random) * 0.6 + (left if i % 2 else left[:, ::-1])) for i in range(80)]
    assert views_of(facts, [None] * 80) != "xray"
    assert views_of(facts, ["left" if i % 2 else "right" for i in range(80)]) == "xray"


def test_light_from_one_side_is_no_direction_where_things_are_asked_for() -> None:
    random = np.random.default_rng(4)
    light = np.linspace(-50, 50, THUMB)[None, :]
    facts = [fact(spotted(random) + light) for _ in range(40)]
    assert views_of(facts, [None] * 40) == "xray"
    assert views_of(facts, [None] * 40, lit=True) == "microscope"


def test_where_things_lie_and_how_they_stand_tells_of_boxes() -> None:
    random = np.random.default_rng(5)
    corner = random.uniform(0, 0.9, (200, 2))
    assert views_of_things(np.hstack([corner, corner + 0.1])) == "microscope"
    assert views_of_things(np.hstack([corner, corner + np.array((0.05, 0.1))])) == "photo", "what stands is not laid on its side"
    low = np.column_stack([corner[:, 0], 0.5 + corner[:, 1] / 2])
    assert views_of_things(np.hstack([low, low + 0.1])) == "photo"
    right = np.column_stack([0.5 + corner[:, 0] / 2, corner[:, 1]])
    assert views_of_things(np.hstack([right, right + 0.1])) == "xray"
    assert views_of_things([]) == "photo"
