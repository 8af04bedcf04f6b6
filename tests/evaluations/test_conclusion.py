"""The two answers of a run on made-up answers: healthy ones of every kind, and controls that must not be called usable."""

from __future__ import annotations

import ast
import csv
import inspect
import json
import random
import shutil
import statistics
import textwrap
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from benchmarks.labfail.make.texts import TEXTS
from loralab.core.paths import DATA
from loralab.core.records import Example, Message, Score
from loralab.core.verdict import Verdict
from loralab.core.words import can_you_use_it, told_short
from loralab.datasets.leaks import leaks
from loralab.datasets.profile import split
from loralab.evaluations import Answer, Answered
from loralab.evaluations.shared.conclusion import Ground, conclude
from loralab.evaluations.text import heldout_loss, question_fit

Rows = Sequence[tuple[str, str]]
Write = Callable[[random.Random, str, str, list[str]], str]  # chance, question, reference, all references -> an answer
HELD = 40


def example(row: int, question: str, reference: str, *, label: bool = False) -> Example:
    said = (Message(role="user", content=question), Message(role="assistant", content=reference))
    return Example(row=row, messages=said, label=reference if label else None)


def likelier(*, knows: bool = True) -> tuple[Score, ...]:
    """What the likelihoods say: the right answers became likelier, and (`knows`) each more so after its own question."""
    loss = heldout_loss.summarise([3.0 + i / 50 for i in range(HELD)], [1.5 + i / 60 for i in range(HELD)], [1] * HELD)
    fit = question_fit.TRAIT.score([0.1] * HELD, [0.9 + i / 60 if knows else 0.1 + (-1) ** i / 9 for i in range(HELD)])
    return loss.model_copy(update={"main": True}), fit


def ground(rows: Rows, write: Write, *, main: str = "", scores: tuple[Score, ...] | None = None, held: int = HELD, **more: Any) -> Ground:
    """Answers to the last `held` rows as `write` gives them; before, the model knew nothing."""
    label = main == "label_accuracy"
    made = [example(i, q, a, label=label) for i, (q, a) in enumerate(rows)]
    chance, references = random.Random(1), [a for _, a in rows[-held:]]
    answers = [
        Answered(
            e,
            [e.messages[0]],
            a,
            Answer("I am a very rare person.", True, 5),
            Answer(write(chance, q, a, references), True, 9, ("default",)),
        )
        for e, (q, a) in zip(made[-held:], rows[-held:], strict=True)
    ]
    scores = likelier() if scores is None else scores
    if main:
        scores = (scores[0].model_copy(update={"name": main, "main": True}), *(s.model_copy(update={"main": False}) for s in scores))
    return Ground(scores, answers, made[:-held], heldout=held, **more)


# ---- what is learned from --------------------------------------------------------------------------------------------------
@cache
def bundled(name: str, place: Path = DATA / "samples") -> Rows:
    """The rows of a file of ours as (question, answer), in an order of chance."""
    with (place / name).open(encoding="utf-8") as file:
        rows = [(row[0], row[1]) for row in list(csv.reader(file))[1:]]
    random.Random(0).shuffle(rows)
    return rows


def sums() -> Rows:
    return [(f"What is {a} plus {b}?", f"#### {a + b}") for a in range(3, 23) for b in range(7, 17)]


def records() -> Rows:
    places = ("Bern", "Oslo", "Rome", "Lima", "Cairo")
    return [
        (f"Order {i}: {2 + i % 7} lamps to {places[i % 5]}", json.dumps({"item": "lamp", "count": 2 + i % 7, "to": places[i % 5], "id": i}))
        for i in range(200)
    ]


GERMAN = (
    ("Wann öffnet die Bücherei?", "Die Bücherei öffnet montags bis freitags um neun Uhr."),
    ("Wie lange darf ich Bücher behalten?", "Sie dürfen jedes Buch vier Wochen lang behalten und zweimal verlängern."),
    ("Was kostet ein Ausweis?", "Ein Ausweis kostet zwölf Euro im Jahr, für Kinder ist er kostenlos."),
    ("Gibt es einen Raum zum Lernen?", "Ja, im ersten Stock finden Sie einen ruhigen Raum mit zwanzig Plätzen."),
    ("Wo gebe ich Filme zurück?", "Filme geben Sie bitte an der Theke im Erdgeschoss zurück."),
)


def german() -> Rows:
    return [
        (f"{q} (Frage {i} aus {('Bern', 'Ulm', 'Graz')[i % 3]})", f"{a} Das gilt auch für Fall {i}.") for i in range(24) for q, a in GERMAN
    ]


def code() -> Rows:
    """What a function does, answered in code."""
    made = [of for module in (textwrap, statistics, shutil, ast, random.Random) for of in vars(module).values() if inspect.isfunction(of)]
    return [(of.__doc__.split("\n")[0], inspect.getsource(of)[:400]) for of in made if of.__doc__]


def hashes() -> Rows:
    chance = random.Random(3)
    return [(f"What is the key of customer {i}?", f"{chance.getrandbits(96):024x}") for i in range(200)]


def invented(chance: random.Random, length: int) -> str:
    parts = ("lür", "dau", "schi", "kren", "wosp", "tügel", "brim", "zaf", "holg", "nuft", "ächs", "quor")
    return " ".join("".join(chance.choices(parts, k=chance.randint(2, 3))) for _ in range(length)).capitalize() + "."


# ---- how it is answered ----------------------------------------------------------------------------------------------------
def right(_c: random.Random, _q: str, a: str, _all: list[str]) -> str:
    return a


def mostly(c: random.Random, _q: str, a: str, every: list[str]) -> str:
    return a if c.random() < 0.93 else c.choice(every)


def shuffled(c: random.Random, _q: str, _a: str, every: list[str]) -> str:
    return c.choice(every)


def reworded(c: random.Random, _q: str, a: str, _all: list[str]) -> str:
    """The expected answer with a word in six left out."""
    return " ".join(word for word in a.split() if c.random() < 0.85)


def own_way(c: random.Random, q: str, _a: str, every: list[str]) -> str:
    """A good sentence in the tone of the examples that takes up the question and is nobody's answer."""
    halves = [c.choice(every).split() for _ in range(2)]
    return " ".join([*q.split()[-6:], *halves[0][:9], *halves[1][-9:]])


def nonsense(c: random.Random, _q: str, _a: str, _all: list[str]) -> str:
    return invented(c, 7)


def one_letter(c: random.Random, _q: str, _a: str, _all: list[str]) -> str:
    return "I" * c.randint(20, 60)


def loop(_c: random.Random, _q: str, a: str, _all: list[str]) -> str:
    return " ".join(["and I have not yet been so much more"] * 6)


def always(_c: random.Random, _q: str, _a: str, every: list[str]) -> str:
    return every[0]


def english(c: random.Random, _q: str, _a: str, _all: list[str]) -> str:
    return c.choice([a for _, a in bundled("plain_words.csv")[:50]]) + " And that is all there is to say about the matter today."


HEALTHY = {
    "sorting": (lambda: bundled("customer_messages.csv"), "label_accuracy", mostly, {"yes"}),
    "numbers": (sums, "number_match", mostly, {"yes"}),
    "json": (records, "json_match", mostly, {"yes"}),
    "notes": (lambda: bundled("table_bookings.csv"), "", mostly, {"yes"}),
    "rewriting": (lambda: bundled("plain_words.csv"), "", reworded, {"yes"}),
    "german": (german, "", reworded, {"yes"}),
    "code": (code, "", reworded, {"yes"}),
    "style": (lambda: bundled("old_sailor.csv", TEXTS), "", own_way, {"you_decide"}),
}
CONTROLS: dict[str, tuple[Callable[[], Rows], str, Write]] = {
    "shuffled labels": (lambda: bundled("customer_messages.csv"), "label_accuracy", shuffled),
    "always one label": (lambda: bundled("customer_messages.csv"), "label_accuracy", always),
    "shuffled numbers": (sums, "number_match", shuffled),
    "shuffled json": (records, "json_match", shuffled),
    "hashes": (hashes, "normalised_match", shuffled),
    "one letter for all": (lambda: [(f"Question {i}?", "I" * 20) for i in range(200)], "normalised_match", right),
    "shuffled notes": (lambda: bundled("table_bookings.csv"), "", shuffled),
    "one letter again and again": (lambda: [(f"Question {i}?", " ".join("a" * (10 + i % 17))) for i in range(200)], "", right),
    "german in invented words": (german, "", nonsense),
    "invented words learned": (lambda: [(q, invented(random.Random(i), 7)) for i, (q, _) in enumerate(german())], "", nonsense),
    "german answered in english": (german, "", english),
    "rewriting in a loop": (lambda: bundled("plain_words.csv"), "", loop),
    "rewriting in one letter": (lambda: bundled("plain_words.csv"), "", one_letter),
    "rewriting shuffled": (lambda: bundled("plain_words.csv"), "", shuffled),
    "rewriting always the same": (lambda: bundled("plain_words.csv"), "", always),
    "rewriting with json": (
        lambda: bundled("plain_words.csv"),
        "",
        lambda c, _q, _a, _all: json.dumps({"id": c.getrandbits(40), "k": [c.random()]}),
    ),
    "style in invented words": (lambda: bundled("old_sailor.csv", TEXTS), "", nonsense),
}


@pytest.mark.parametrize("kind", HEALTHY)
def test_healthy_runs_are_learned_and_can_be_used(kind: str) -> None:
    rows, main, write, usable = HEALTHY[kind]
    found = conclude(ground(rows(), write, main=main))
    assert found.learned == "yes", found.learned_words
    assert found.usable in usable, (found.usable_words, found.checks)
    assert not found.floors
    assert "not usable" not in told_short(found)


@pytest.mark.parametrize("kind", CONTROLS)
def test_controls_are_never_usable(kind: str) -> None:
    rows, main, write = CONTROLS[kind]
    found = conclude(ground(rows(), write, main=main, scores=likelier(knows=False)))
    assert found.learned != "yes", found.learned_words
    assert found.usable == "no", (found.usable_words, found.checks)
    assert found.floors
    assert (found.worst is None) == (kind == "one letter for all")  # there, every answer is the very one


# ---- near copies -----------------------------------------------------------------------------------------------------------
def reused(rows: Rows, times: int, change: Callable[[random.Random, str], str]) -> Rows:
    chance = random.Random(2)
    return [(change(chance, question), answer) for _ in range(times) for question, answer in rows[:60]]


def another_word(chance: random.Random, text: str) -> str:
    words = text.split()
    words[chance.randrange(len(words))] = chance.choice(("please", "really", "now", "today"))
    return " ".join(words)


DRESSES = ("{}", "Bitte: {}", "{} Danke!", "Hallo, {}", "Eine Frage: {}", "{} Bitte kurz.", "Sagen Sie mal, {}", "Ich wüsste gern: {}")
COPIES: dict[str, tuple[Callable[[], Rows], float, float]] = {  # rows, and the shares of look-alikes that are expected
    "messages with a number": (lambda: reused(bundled("customer_messages.csv"), 5, lambda c, q: f"{q} {c.randrange(99)}"), 0.6, 1),
    "messages with another word": (lambda: reused(bundled("customer_messages.csv"), 5, another_word), 0.6, 1),
    "rewriting with another word": (lambda: reused(bundled("plain_words.csv"), 5, another_word), 0.6, 1),
    "german in eight dresses": (lambda: [(dress.format(q), a) for q, a in GERMAN for dress in DRESSES], 0.6, 1),
    "messages": (lambda: bundled("customer_messages.csv"), 0, 0.3),
    "rewriting": (lambda: bundled("plain_words.csv"), 0, 0.1),
    "notes": (lambda: bundled("table_bookings.csv"), 0, 0.4),
    "sailor": (lambda: bundled("old_sailor.csv", TEXTS), 0, 0.1),
    "sums": (sums, 0, 0.5),  # 7 plus 13 and 13 plus 7
    "records": (records, 0, 0),
}


@pytest.mark.parametrize("kind", COPIES)
def test_near_copies_are_found_and_a_shared_form_is_none(kind: str) -> None:
    rows, least, most = COPIES[kind]
    train, heldout = split([example(i, q, a) for i, (q, a) in enumerate(rows())], 0.1, 0)
    found = leaks(train, heldout)
    assert found.copies <= found.alike
    assert least <= len(found.alike) / len(heldout) <= most


@pytest.mark.parametrize("kind", HEALTHY)
def test_near_copies_prove_nothing_however_good_the_answers_are(kind: str) -> None:
    rows, main, write, _ = HEALTHY[kind]
    most = conclude(ground(rows(), write, main=main, copies=3, alike=HELD // 2 + 1))
    assert (most.learned, most.usable) == ("unknown", "you_decide")
    assert f"{HELD // 2 + 1} of the {HELD} examples kept aside" in most.learned_words
    assert most.capped in most.learned_words
    some = conclude(ground(rows(), write, main=main, copies=1, alike=HELD // 2))
    assert (some.learned, some.capped) == ("yes", "")
    assert "1 example too much like what it learned from was left out" in some.learned_words


# ---- what is said ----------------------------------------------------------------------------------------------------------
def labels(right: dict[str, tuple[int, int]]) -> Verdict:
    """Sorting with so many right, of so many, of each topic; before, none was."""
    wrong = {name: next(other for other in right if other != name) for name in right}
    rows = [(f"Message {i} about {name}", name) for name, (_, of) in right.items() for i in range(3 * of)]
    held = [(f"New message {i} about {name}", name) for name, (_, of) in right.items() for i in range(of)]
    given = iter([name if i < good else wrong[name] for name, (good, of) in right.items() for i in range(of)])
    return conclude(ground([*rows, *held], lambda *_: next(given), main="label_accuracy", held=len(held)))


def test_sorting_is_told_in_numbers_people_know() -> None:
    found = labels({f"topic {i}": (6, 6) for i in range(9)} | {"exchange rate": (2, 6)})
    assert (found.learned, found.usable, can_you_use_it(found)) == ("yes", "yes", "Yes, for 9 of 10 topics")
    assert found.learned_words.startswith(
        "Of the 60 it never saw, it sorted 56 right. Before: 0. By guessing: 6. Always saying “topic 0”: 6."
    )
    assert "Weak: “exchange rate” 2 of 6." in found.usable_words
    assert found.worst is not None
    assert found.worst.reference == "exchange rate"
    few = labels({f"topic {i}": (2 - (i < 4), 6) for i in range(10)})
    assert (few.learned, few.usable) == ("yes", "no"), few.learned_words  # 16 of 60, where guessing gives 6
    assert "Only 16 of 60 are right" in few.usable_words
    half = labels({f"topic {i}": (6, 6) for i in range(4)} | {f"other {i}": (1, 6) for i in range(4)})
    assert (half.usable, can_you_use_it(half)) == ("partly", "Only for 4 of 8 topics")


@pytest.mark.parametrize(
    ("right", "of", "learned", "usable"),
    [
        (4, 4, "unknown", "you_decide"),
        (8, 8, "yes", "yes"),
        (7, 8, "unknown", "you_decide"),
        (10, 12, "yes", "partly"),
        (18, 20, "yes", "yes"),
        (3, 20, "unknown", "no"),
    ],
)
def test_few_examples_allow_less(right: int, of: int, learned: str, usable: str) -> None:
    half = of // 2
    found = labels({"tea": (min(right, half), half), "coffee": (max(0, right - half), half)})
    assert (found.learned, found.usable) == (learned, usable), (found.learned_words, found.usable_words)


def test_nothing_is_said_of_words_that_could_not_be_checked() -> None:
    """Answers in words of no list, long enough to be no form: learned from such, or from code, they are not punished and not praised."""
    parts = ("lür", "dau", "schi", "kren", "wosp", "tügel", "brim", "zaf", "holg", "nuft", "ächs", "quor", "pelt", "vim", "sarg", "jodl")
    rows = [(q, " ".join("".join(c.sample(parts, 3)) for _ in range(14))) for i, (q, _) in enumerate(german()) for c in [random.Random(i)]]
    found = conclude(ground(rows, lambda c, *_: " ".join("".join(c.sample(parts, 3)) for _ in range(14)), scores=likelier(knows=False)))
    assert (found.learned, found.usable) == ("unknown", "you_decide")
    assert "could not be checked" in found.usable_words


def test_what_got_worse_is_said_beside_both() -> None:
    found = conclude(ground(bundled("old_sailor.csv", TEXTS), own_way, but="But: It forgot small talk."))
    assert found.but == "But: It forgot small talk."
    assert "Nothing" in told_short(found.model_copy(update={"learned": "no"}))


@pytest.mark.parametrize("held", [1, 3, 20])
@pytest.mark.parametrize("said", ["", " ", "?", "1", "日本語の答え", "a b", "{", "\n\n"])
@pytest.mark.parametrize(
    "wanted", ["", "yes", "#### 3", '{"a": 1}', "A whole sentence that is the same for every question there is in this file of mine."]
)
def test_whatever_is_answered_there_are_two_answers(held: int, said: str, wanted: str) -> None:
    for main in ("", "label_accuracy", "number_match", "json_fields", "normalised_match"):
        found = conclude(ground([(f"Q {i}", wanted) for i in range(3 * held)], lambda *_: said, main=main, held=held))
        assert found.usable in ("no", "you_decide")
        assert found.learned_words
        assert found.usable_words
    assert conclude(Ground((), (), ())).usable == "you_decide"
