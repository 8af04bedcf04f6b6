"""Answers that are all empty, all cut off or all alike, and what is no language: said in the verdict, whatever the loss says."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from loralab.core.verdict import Verdict
from loralab.datasets import signs
from loralab.evaluations.shared.alarms import FEWEST
from loralab.evaluations.shared.conclusion import Ground, conclude
from tests.evaluations.test_conclusion import HELD, Rows, bundled, german, ground, records

RUNNING = "Die Bücherei öffnet montags bis freitags um neun Uhr. " * 9


def told(rows: Rows, said: str, *, ended: bool = True, main: str = "", only: int = HELD) -> Verdict:
    """The verdict where the first `only` answers are `said`, and the others as they should be."""
    made = ground(rows, lambda _, __, reference, ___: reference, main=main)
    answers = [replace(a, after=replace(a.after, text=said, ended=ended)) if at < only else a for at, a in enumerate(made.answers)]
    return conclude(replace(made, answers=answers))


@pytest.mark.parametrize(
    ("alarm", "said", "ended", "words"),
    [("empty", " ", True, "is empty"), ("alike", "Die Lie.", True, "the same"), ("cut_off", RUNNING, False, "none ends")],
)
@pytest.mark.parametrize("main", ["", "label_accuracy"])
def test_what_all_answers_are_is_an_alarm(alarm: str, said: str, ended: bool, words: str, main: str) -> None:
    rows = bundled("customer_messages.csv") if main else german()
    made = ground(rows, lambda _, __, reference, ___: reference, main=main)
    long = [f"{a.reference} {said} {at}" if alarm == "cut_off" else said for at, a in enumerate(made.answers)]
    found = conclude(
        replace(made, answers=[replace(a, after=replace(a.after, text=t, ended=ended)) for a, t in zip(made.answers, long, strict=True)])
    )
    assert (found.alarm, found.usable) == (alarm, "no")
    assert words in found.usable_words
    assert found.learned != "yes" or alarm == "cut_off"


@pytest.mark.parametrize(("said", "ended"), [(" ", True), ("Die Lie.", True), (RUNNING, False)])
def test_one_good_answer_is_enough_for_no_alarm(said: str, ended: bool) -> None:
    assert told(german(), said, ended=ended, only=HELD - 1).alarm == ""


def test_healthy_answers_raise_none() -> None:
    assert told(german(), "", only=0).alarm == ""
    assert told(bundled("customer_messages.csv"), "", only=0, main="label_accuracy").alarm == ""


def test_examples_that_are_alike_themselves_raise_none() -> None:
    rows = [(f"Frage {i}?", "Bitte rufen Sie uns an.") for i in range(60)]
    assert told(rows, "Bitte rufen Sie uns an.").alarm == ""


def test_so_few_answers_are_no_alarm() -> None:
    made = ground(german(), lambda *_: "", held=FEWEST - 1)
    assert conclude(made).alarm == ""


# ---- structure is not language ---------------------------------------------------------------------------------------------
LANGUAGE = (
    'He said "hello" and left (at 10:30 on 2024-05-01), for 1,200.50 euros: nobody knew why.',
    "def add(a, b):\n    return a + b",
    "42",
    "你好，世界。这是一个句子。",
    "Model A1 is 100km away",
)
STRUCTURE = (
    '{"name": "Anna", "city": "Berlin", "age": 31}',
    "550e8400-e29b-41d4-a716-446655440000",
    "a3f9c1d2e4 b77e9f0011 00c4417aa2",
    '<div class="x"><b>Hi</b></div>',
    "usr_1042;ord_88231",
)


@pytest.mark.parametrize("text", LANGUAGE)
def test_language_is_language(text: str) -> None:
    assert signs.share([text]) < 0.4


@pytest.mark.parametrize("text", STRUCTURE)
def test_brackets_names_of_fields_and_ids_are_not(text: str) -> None:
    assert signs.share([text]) > 0.5


LONG = "somebody wanted it so much that nobody else could have had it before the end of the year in any of the houses we know"


def dumps() -> Rows:
    return [(f"Number {i}?", f'[{i * 7919 % 10007}] {{id:x{i * 31 % 997:03d}f{i}}} <k{i}="v{i}0a"> #{i}/{i}b') for i in range(120)]


def copied(rows: Rows) -> Ground:
    return ground(rows, lambda _, __, reference, ___: reference)


def test_what_is_no_language_is_said_and_never_called_usable() -> None:
    found = conclude(copied(dumps()))
    assert found.usable == "you_decide"
    assert "no language" in found.usable_words
    assert "no language" not in conclude(copied(german())).usable_words


def test_json_that_is_wanted_is_judged_by_whether_it_is_right() -> None:
    found = conclude(ground(records(), lambda _, __, reference, ___: reference, main="json_match"))
    assert (found.usable, found.alarm) == ("yes", "")


def test_json_in_answers_of_their_own_must_be_well_formed() -> None:
    rows = [(f"Order {i}?", json.dumps({"item": f"lamp no {i}", "why": LONG[i % 7 :]})) for i in range(120)]
    broken = conclude(ground(rows, lambda _, __, reference, ___: reference[:-1]))
    assert broken.usable == "no"
    assert "well formed" in broken.usable_words
    assert "valid" not in conclude(copied(rows)).floors
