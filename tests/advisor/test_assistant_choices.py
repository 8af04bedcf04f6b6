"""A closed choice is always one of the options, whatever a model weighs; the rules' own stands unless another is clearly preferred."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import pytest

from advisor.assistant import choosing
from loralab.core.errors import Unavailable
from tests.advisor.test_assistant_checked import PACK


class Weights:
    """A model that weighs as it is told to, whatever that is."""

    def __init__(self, weigh: Any) -> None:
        self._weigh = weigh

    def weigh(self, messages: Sequence[dict[str, str]], labels: Sequence[str]) -> list[float]:
        return self._weigh(messages, labels)


def _prefers(word: str) -> Any:
    def weigh(messages: Sequence[dict[str, str]], labels: Sequence[str]) -> list[float]:
        lines = messages[1]["content"].splitlines()
        return [0.0 if any(line.startswith(f"{label}: ") and word in line for line in lines) else -5.0 for label in labels]

    return Weights(weigh)


OPTIONS = ("smaller rate", "fewer rounds", "more rows")


def test_a_clear_preference_in_both_orders_is_heard() -> None:
    assert choosing.best(OPTIONS, str, PACK, _prefers("rows")) == "more rows"


def test_a_liking_for_a_letter_or_a_small_preference_is_not() -> None:
    assert choosing.best(OPTIONS, str, PACK, Weights(lambda m, labels: [-5.0, -5.0, 0.0])) == "smaller rate"
    assert choosing.best(OPTIONS, str, PACK, Weights(lambda m, labels: [-1.1, -1.0, -1.2])) == "smaller rate"
    assert choosing.best(OPTIONS, str, PACK, None) == "smaller rate"


def test_ten_thousand_strange_weighings_never_choose_what_was_not_offered() -> None:
    chance = random.Random(7)
    strange = (math.nan, math.inf, -math.inf, 0.0, -1e308, 1e308, -3.0)

    def weigh(messages: Sequence[dict[str, str]], labels: Sequence[str]) -> list[float]:
        if chance.random() < 0.02:
            raise Unavailable("gone")
        return [chance.choice(strange) for _ in range(chance.choice((len(labels), len(labels), 0, 1, 9)))]

    for _ in range(10_000):
        options = OPTIONS[: chance.randint(1, 3)]
        assert choosing.best(options, str, PACK, Weights(weigh)) in options


def test_the_trie_gives_only_its_labels_and_their_chances_add_up() -> None:
    chance = random.Random(3)
    for _ in range(500):
        labels = [[n, *[chance.randint(0, 3) for _ in range(chance.randint(0, 3))]] for n in range(chance.randint(1, 4))]
        asked: list[list[int]] = []

        def among(path: list[int], allowed: list[int], asked: list[list[int]] = asked) -> list[float]:
            asked.append(allowed)
            return [chance.gauss(0, 3) for _ in allowed]

        found = choosing.weights(choosing.trie(labels), len(labels), among)
        assert math.isclose(sum(math.exp(x) for x in found), 1.0, rel_tol=1e-9)
        assert all(set(one) <= {token for label in labels for token in label} for one in asked)
    for wrong in ([[1], [1, 2]], [[1, 2], [1]], [[]], [[1], [1]]):
        with pytest.raises(ValueError, match="label"):
            choosing.trie(wrong)
