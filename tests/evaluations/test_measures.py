"""Every measure on answers: what it counts, on which data it is asked, and that it tells a better answer from a worse one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from loralab.core.records import Example, Message
from loralab.evaluations import Answer, Answered, Judging, evaluations
from loralab.evaluations.text import exact_match, grounding, hygiene, instructions, json_match, number_match, overlap
from loralab.tasks import parse_plan

PLAN = parse_plan({"task": "text", "dataset": "x.csv"})


def answered(question: str, reference: str, base: str, adapter: str, *, row: int = 1, ended: tuple[bool, bool] = (True, True)) -> Answered:
    asked, replied = Message(role="user", content=question), Message(role="assistant", content=reference)
    example = Example(row=row, messages=(asked, replied))
    return Answered(example, [asked], reference, Answer(base, ended[0], 5), Answer(adapter, ended[1], 5, ("default",)))


def judging(answers: Sequence[Answered]) -> Judging:
    session: Any = None  # measures on answers need no model
    return Judging(session, PLAN, written=list(answers))


def scores(measure: Any, answers: Sequence[Answered]) -> dict[str, Any]:
    return {score.name: score for score in measure(judging(answers)).scores}


def examples(answers: Sequence[Answered]) -> list[Example]:
    return [a.example for a in answers]


def test_every_measure_says_what_it_means() -> None:
    for trait in (
        exact_match.EXACT,
        number_match.TRAIT,
        json_match.FIELDS,
        overlap.CHRF,
        hygiene.ENDS,
        instructions.TRAIT,
        grounding.NAMES,
    ):
        assert len(trait.help.split()) > 5
        assert trait.better != trait.worse
    assert {"loss", "label_accuracy", "exact_match", "number_match", "json_match", "overlap", "hygiene"} <= set(evaluations())


# ---- right or wrong --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reference", "exact", "essence"),
    [("Paris", "Paris", 1, 1), (" the paris! ", "Paris", 0, 1), ("Paris, France", "Paris", 0, 0), ("", "Paris", 0, 0)],
)
def test_exact_and_in_essence(text: str, reference: str, exact: int, essence: int) -> None:
    found = scores(exact_match.measure, [answered("Capital?", reference, "", text)])
    assert (found["exact_match"].after, found["normalised_match"].after) == (exact, essence)


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("So 48+24\n#### 72", True),
        ("It is 72.", True),
        ("#### 73", False),
        ("It makes $1,072", False),
        ("none", False),
        ("#### 72.0", True),
    ],
)
def test_the_number_an_answer_ends_in(text: str, right: bool) -> None:
    assert number_match.same(text, "Natalia sold 48/2 = 24. Together 72\n#### 72") is right


def test_structured_answers_are_read_field_by_field() -> None:
    reference = '{"name": "Ann", "tags": ["a", "b"], "age": 3}'
    assert json_match.fields_right(reference, reference) == 1
    assert json_match.fields_right('{"name": "Ann", "tags": ["a", "x"]}', reference) == 0.5
    assert json_match.fields_right('Sure! {"name": "Ann"}', reference) == 0
    many = [answered("Give it", reference, "Sure! " + reference, reference, row=i) for i in range(12)]
    found = scores(json_match.measure, many)
    assert (found["json_valid"].before, found["json_valid"].after) == (0, 1)
    assert found["json_fields"].verdict == "better"
    assert json_match.accepts(examples(many))
    assert not json_match.accepts(examples([answered("q", "plain words", "", "")]))


def test_overlap_prefers_the_closer_answer_and_is_one_for_the_same_text() -> None:
    reference = "Drink plenty of water and rest for a few days."
    many = [answered("Cold?", reference, "The stock market fell.", "Rest, and drink plenty of water.", row=i) for i in range(10)]
    found = scores(overlap.measure, many)
    assert {score.verdict for score in found.values()} == {"better"}
    same = scores(overlap.measure, [answered("Cold?", reference, "", reference)])
    assert same["chrf"].after == pytest.approx(1, abs=1e-6)
    assert same["rouge_l"].after == 1
    assert overlap.rouge_l("a b c d", "a c d e") == pytest.approx(2 * 3 / 8)


# ---- form ------------------------------------------------------------------------------------------------------------------


def test_form_is_counted() -> None:
    assert hygiene.repeated("the cat sat on the cat sat on the cat sat on") == pytest.approx(5 / 9)
    assert hygiene.repeated("one two three four five") == 0
    assert hygiene.distinct_pairs("a b a b") == pytest.approx(2 / 3)
    assert hygiene.length_fit("abcd", "ab") == 0.5
    assert [hygiene.leaked(t) for t in ("fine", "<|im_end|>", "<think>hm", "a < b > c", "[INST] x")] == [False, True, True, False, True]
    meant = "<think>2 + 2</think>4"
    assert not hygiene.leaked("<think>3</think>5", meant), "what the examples hold is meant to be read"
    assert hygiene.leaked("<think>3</think>5<|im_end|>", meant)
    german, english = "Das ist ein ganz gewöhnlicher deutscher Satz.", "This is a perfectly ordinary English sentence."
    assert hygiene.other_language(english, german)
    assert not hygiene.other_language(english, "Another ordinary sentence, written in English.")
    assert not hygiene.other_language("Ja", english)


def test_a_model_that_babbles_is_worse_and_one_that_does_not_change_is_not() -> None:
    fine, babble = "It is a short and good answer.", "and on and on and on and on and on and on and on and on"
    worse = scores(hygiene.measure, [answered("q", fine, fine, babble, row=i, ended=(True, False)) for i in range(12)])
    assert {worse[name].verdict for name in ("ends_turn", "repeats")} == {"worse"}
    assert "less often" in worse["ends_turn"].words
    same = scores(hygiene.measure, [answered("q", fine, fine, fine, row=i) for i in range(12)])
    assert {score.verdict for score in same.values()} == {"no difference seen"}


# ---- obedience and support -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("question", "good", "bad"),
    [
        ("Say it in at most five words.", "Rest and drink water.", "Rest, drink water and then also sleep a lot."),
        ("Explain in two sentences.", "It is so. It stays so.", "It is so."),
        ("Write at least 6 words.", "one two three four five six", "one two"),
        ("List them as bullet points.", "- one\n- two", "one and two"),
        ("Return it as JSON.", '{"a": 1}', "a is 1"),
        ("Please answer with yes or no.", "Yes, it is.", "Maybe."),
        ("Write in capital letters.", "LOUD", "quiet"),
        ("Use the word 'moon'.", "The moon is up.", "The sun is up."),
    ],
)
def test_instructions_that_can_be_checked(question: str, good: str, bad: str) -> None:
    assert instructions.followed(question, good) == (1, 1)
    assert instructions.followed(question, bad) == (0, 1)


def test_questions_without_a_checkable_instruction_are_left_alone() -> None:
    plain = [answered("What is a cold?", "x", "", "") for _ in range(20)]
    assert not instructions.accepts(examples(plain))
    assert instructions.checks("I have five words for you in my heart, and in two days I travel.") == []


def test_numbers_and_names_from_nowhere_are_pointed_at() -> None:
    text = "In 1987 the doctor Anna Berg gave 20 mg, says the Mayo Clinic."
    source = "Take 20 mg. Ask the Mayo Clinic."
    assert [text[a:b] for _, a, b in grounding.unsupported(text, source)] == ["1987", "Anna Berg"]
    assert grounding.unsupported("It costs 1,000.50 in total.", "The sum of 1000.5 is due.") == []
    invents = [answered("How much?", "Take 20 mg.", "Take 20 mg.", f"Take {i + 50} mg.", row=i) for i in range(12)]
    found = scores(grounding.measure, invents)
    assert found["unsupported_numbers"].verdict == "worse"
    assert "unsupported_phrases" not in found  # short questions are no source
    nothing = grounding.measure(judging([answered("q", "", "a", "b")]))
    assert nothing.scores == ()
    assert "neither a source nor a reference" in nothing.tables["not_measured"]


def test_a_measure_of_text_is_not_taken_on_another_task() -> None:
    plan = PLAN.model_copy(update={"task": "full"})
    rows = examples([answered("q", '{"a": 1}', "", "")] * 9)
    assert json_match.EVALUATION.fits(PLAN, rows)
    assert not json_match.EVALUATION.fits(plan, rows)
