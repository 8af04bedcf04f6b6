"""Asked in one's own words: yes or no comes first where that was asked, and the reason is the run's own."""

from __future__ import annotations

from typing import Any

import pytest

from advisor.diagnosis.diagnose import diagnose
from advisor.diagnosis.earlier import Tried
from advisor.words.answers import answer
from advisor.words.intents import understand
from advisor.words.summary import RunSummary
from benchmarks.asked.score import HERE, right
from loralab.core.events import Evaluated, Event
from loralab.core.records import Sample
from loralab.core.verdict import Verdict
from tests.support.built_cases import case, curve, failed, falling, finished, looks

FELL = [*curve([3.0 - n / 100 for n in range(200)]), *looks(3.0, *((n, 3.0 - n / 100) for n in range(20, 201, 20))), finished(200)]
HEART = [*curve([2.0, 0.3] * 40), *looks(3.0, (20, 1.0), (50, 1.6), (80, 2.2)), finished(80)]


def summary(events: list[Event] | None = None, verdict: Verdict | None = None, **facts: Any) -> RunSummary:
    told = [*(events or falling())]
    if verdict is not None:
        told.insert(-1, Evaluated(step=200, split="final", loss=1.0, n=50, conclusion=verdict))
    of = case(told, facts=facts)
    return RunSummary(of, diagnose(of), "Qwen3 0.6B, 1.2 GB")


def said(usable: Any, **more: Any) -> Verdict:
    return Verdict(learned="yes", learned_words="It learned.", usable=usable, usable_words="24 of 50 are right.", **more)


@pytest.mark.parametrize("line", (HERE / "open.txt").read_text("utf-8").splitlines())
def test_a_question_of_a_person_is_understood_and_answered(line: str):
    label, _, question = line.partition(" | ")
    assert right(label, question) == ""


@pytest.mark.parametrize(
    ("of", "first"),
    [
        pytest.param(summary(HEART), "No.", id="learned by heart"),
        pytest.param(summary(FELL), "Yes.", id="still falling"),
        pytest.param(summary(falling()), "Probably not.", id="settled"),
        pytest.param(summary(curve([2.0] * 9, total=90)), "Not yet: it is still going on.", id="going on"),
        pytest.param(summary([*curve([2.0] * 9, total=90), failed("x")]), "Not as it is: it ended in trouble.", id="failed"),
    ],
)
def test_should_it_train_longer(of: RunSummary, first: str):
    assert answer(of, "Should I train longer?").startswith(first)
    assert answer(of, "Soll ich länger trainieren?").startswith(first), "and in German, too"


def test_what_was_tried_before_is_said():
    of = summary(HEART)
    tried = Tried(run="a", setting="epochs", there=10.0, here=4.2, loss_there=0.127, loss_here=1.157)
    told = RunSummary(of.case, of.diagnosis.model_copy(update={"tried": (tried,)}))
    assert "We tried fewer rounds" in answer(told, "would more epochs help?")
    assert "We tried" not in answer(of, "would more epochs help?")


@pytest.mark.parametrize(("usable", "first"), [("yes", "Yes"), ("no", "No"), ("partly", "Partly"), ("you_decide", "You decide")])
def test_is_it_good_enough(usable: str, first: str):
    assert answer(summary(verdict=said(usable)), "Is it good enough to use?").startswith(first)
    assert answer(summary(), "Is it good enough to use?").startswith("I cannot tell yet")


def test_has_it_seen_the_test():
    ask = "Has it seen the test questions?"
    assert answer(summary(verdict=said("yes")), ask).startswith("No, the test is fair. 50 examples were kept aside")
    assert answer(summary(near_shared=9), ask).startswith("Some of them, nearly.")
    assert answer(summary(verdict=said("you_decide", capped="40 of the 50 are nearly the same.")), ask).startswith("Mostly, yes.")


def test_what_it_gets_wrong_is_shown():
    worst = Sample(prompt="Where is my lamp?", reference="delivery", before="", after="billing")
    told = answer(summary(verdict=said("partly", worst=worst)), "Why is only half of it right?")
    assert "to “Where is my lamp?” it wrote “billing”, and “delivery” was expected" in told


@pytest.mark.parametrize(
    ("rate", "question", "first"),
    [
        (2e-4, "is my learning rate too high", "No."),
        (5e-3, "is my learning rate too high", "Yes."),
        (5e-3, "is the learning rate too low?", "No."),
        (1e-6, "is the learning rate too low?", "Yes."),
        (2e-4, "was 0.0002 the right learning rate", "Yes."),
        (2e-4, "Ist die Lernrate zu hoch?", "No."),
    ],
)
def test_which_rate(rate: float, question: str, first: str):
    of = case(falling(), learning_rate=rate)
    assert answer(RunSummary(of, diagnose(of)), question).startswith(first)


def test_neighbours_are_left_as_they_were():
    for question, topic in (
        ("How long did it take?", "time"),
        ("How much longer does it take?", "time_left"),
        ("What went wrong?", "stopped"),
        ("How do I use it now?", "use"),
        ("Did it get better?", "better"),
        ("Can I resume it?", "resume"),
    ):
        assert understand(question).topic == topic
