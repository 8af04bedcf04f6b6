"""A closed choice is always among the options; nothing is chosen unless it is clearly preferred to “none of these” in both orders."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import pytest

from advisor.assistant import choosing
from advisor.assistant.prompts import NONE, Messages
from loralab.core.errors import LabError, Unavailable
from loralab.runtimes.speech import labels as labels_of

OPTIONS = ("smaller rate", "fewer rounds", "more rows")


class Weights:
    """A model that weighs as it is told to, whatever that is."""

    def __init__(self, weigh: Any) -> None:
        self._weigh = weigh

    def weigh(self, messages: Messages, labels: Sequence[str]) -> list[float]:
        return self._weigh(messages, labels)


def _likes(**weights: float) -> Any:
    """Weighs by a word of the title, whatever its place."""

    def weigh(messages: Messages, labels: Sequence[str]) -> list[float]:
        lines = messages[1]["content"].splitlines()
        return [max((w for word, w in weights.items() if word in lines[at]), default=-9.0) for at in range(len(labels))]

    return Weights(weigh)


def test_a_clear_preference_in_both_orders_is_heard() -> None:
    assert choosing.choose("q", OPTIONS, _likes(rows=0.0, None_=-5.0)) == [OPTIONS[2]]


def test_several_come_in_the_models_order_and_not_more_than_two() -> None:
    assert choosing.choose("q", OPTIONS, _likes(rows=-1.0, rate=-1.5, rounds=-1.2)) == [OPTIONS[2], OPTIONS[1]]
    assert choosing.choose("q", OPTIONS, _likes(rows=-0.1, rate=-3.0)) == [OPTIONS[2]], "one that is far behind is left out"


def test_a_liking_for_a_letter_or_a_small_preference_is_not() -> None:
    assert choosing.choose("q", OPTIONS, Weights(lambda m, labels: [0.0, -5.0, -5.0, -5.0])) == []
    assert choosing.choose("q", OPTIONS, _likes(rows=-1.0, these=-1.2)) == []
    assert choosing.choose("q", OPTIONS, _likes(these=0.0)) == []
    assert choosing.choose("q", (), _likes(these=0.0)) == []


def test_more_options_than_letters_lose_the_last_ones_and_never_none() -> None:
    seen: list[str] = []

    def weigh(messages: Messages, labels: Sequence[str]) -> list[float]:
        seen.append(messages[1]["content"])
        return [0.0] * len(labels)

    assert choosing.choose("q", [f"title {n}" for n in range(99)], Weights(weigh)) == []
    assert all(NONE in asked and "title 24" in asked and "title 25" not in asked for asked in seen)


def test_ten_thousand_strange_weighings_never_choose_what_was_not_offered() -> None:
    chance = random.Random(7)
    strange = (math.nan, math.inf, -math.inf, 0.0, -1e308, 1e308, -3.0)

    def weigh(messages: Messages, labels: Sequence[str]) -> list[float]:
        if chance.random() < 0.02:
            raise Unavailable("gone")
        return [chance.choice(strange) for _ in range(chance.choice((len(labels), len(labels), 0, 1, 9)))]

    for _ in range(10_000):
        options = OPTIONS[: chance.randint(1, 3)]
        try:
            assert set(choosing.choose("q", options, Weights(weigh))) <= set(options)
        except LabError as error:
            assert str(error).startswith("gone")  # noqa: PT017  (whatever else it raises fails)


def test_the_trie_gives_only_its_labels_and_their_chances_add_up() -> None:
    chance = random.Random(3)
    for _ in range(500):
        labels = [[n, *[chance.randint(0, 3) for _ in range(chance.randint(0, 3))]] for n in range(chance.randint(1, 4))]
        asked: list[list[int]] = []

        def among(path: list[int], allowed: list[int], asked: list[list[int]] = asked) -> list[float]:
            asked.append(allowed)
            return [chance.gauss(0, 3) for _ in allowed]

        found = labels_of.weights(labels_of.trie(labels), len(labels), among)
        assert math.isclose(sum(math.exp(x) for x in found), 1.0, rel_tol=1e-9)
        assert all(set(one) <= {token for label in labels for token in label} for one in asked)
    for wrong in ([[1], [1, 2]], [[1, 2], [1]], [[]], [[1], [1]]):
        with pytest.raises(ValueError, match="label"):
            labels_of.trie(wrong)
