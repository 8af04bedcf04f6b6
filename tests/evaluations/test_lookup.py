"""A look-up beside the model: where the nearest learned question has the right answer as often, the verdict says so."""

from __future__ import annotations

import random

import pytest

from advisor.rules import rules
from loralab.core.events import Evaluated
from loralab.evaluations.shared.conclusion import conclude
from loralab.evaluations.shared.lookup import looked_up
from tests.evaluations.test_conclusion import HELD, Rows, Write, bundled, code, example, german, ground, hashes, sums
from tests.support.built_cases import case, falling


def right(_chance: random.Random, _question: str, reference: str, _all: list[str]) -> str:
    return reference


def half(chance: random.Random, _question: str, reference: str, every: list[str]) -> str:
    return reference if chance.random() < 0.5 else chance.choice([one for one in every if one != reference])


def turns(n: int = 200) -> Rows:
    """Few patterns of messages with their label: whoever looks one up is right."""
    kinds = ("where is my parcel", "the invoice is wrong", "I want to cancel my order", "my password does not work")
    return [(f"Hello, {kinds[i % 4]}, number {i * 7}", ("delivery", "billing", "orders", "account")[i % 4]) for i in range(n)]


def parity(n: int = 200) -> Rows:
    """The same words in all questions: only counting helps."""
    chance = random.Random(0)
    made = ["".join(chance.choice("ab") for _ in range(12)) for _ in range(n)]
    return [(f"Letters {' '.join(one)}", "even" if one.count("a") % 2 == 0 else "odd") for one in made]


SAID = [
    pytest.param(turns(), right, "label_accuracy", "as_well", id="labels of few patterns"),
    pytest.param(turns(), half, "label_accuracy", "better", id="the same, half learned"),
    pytest.param(turns(), right, "exact_match", "as_well", id="short answers"),
    pytest.param(german(), right, "", "as_well", id="long answers of few patterns"),
    pytest.param(parity(), right, "label_accuracy", "", id="what must be counted"),
    pytest.param(sums(), right, "number_match", "", id="sums"),
    pytest.param(hashes(), right, "exact_match", "", id="hashes"),
    pytest.param(code(), right, "", "", id="code"),
    pytest.param([(q, "yes") for q, _ in turns()], right, "label_accuracy", "", id="one answer for all"),
]


@pytest.mark.parametrize(("rows", "write", "main", "search"), SAID)
def test_the_verdict_says_where_a_search_does_as_well(rows: Rows, write: Write, main: str, search: str):
    if main == "exact_match" and len(rows) < HELD:
        pytest.skip("too few")
    found = conclude(ground(rows, write, main=main))
    assert found.search == search
    assert bool(found.search_words) == bool(search)
    assert found.search_words in found.learned_words


def test_the_advisor_says_it_too_and_is_quiet_otherwise():
    asked = rules()["search_does_as_well"]
    for rows, write, severity in ((turns(), right, "info"), (turns(), half, "warning"), (parity(), right, None)):
        verdict = conclude(ground(rows, write, main="label_accuracy"))
        of = case([*falling()[:-1], Evaluated(step=200, split="final", loss=1.0, n=HELD, conclusion=verdict)])
        found = asked.find("search_does_as_well", of)
        assert (found.severity if found else None) == severity


def test_the_nearest_question_is_found_in_any_script_and_nothing_is_invented():
    train = [
        example(0, "Wann öffnet die Bücherei?", "um neun"),
        example(1, "どこで本を返しますか", "一階"),
        example(2, "Where are you?", "here"),
    ]
    assert looked_up(["wann ÖFFNET die bücherei morgen", "どこで本を返しますか？", "where were you"], train) == ["um neun", "一階", "here"]
    assert looked_up(["xyzzy 42"], train) == [""]
    assert looked_up(["anything"], []) == [""]


def test_bundled_examples_are_more_than_a_search():
    """What comes with the app is worth training: looked up, it is right less often than a model that has learned it."""
    rows = bundled("customer_messages.csv")
    assert conclude(ground(rows, right, main="label_accuracy")).search == ""
