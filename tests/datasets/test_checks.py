"""Data checks: each fires on what it is for, and stays silent on clean data."""

from __future__ import annotations

import pytest

from loralab.core import plugins
from loralab.core.errors import Problem
from loralab.core.records import Example, LeftOut, Message
from loralab.datasets.checks import Case, examine, where
from loralab.datasets.dataset import Loaded


def example(row: int, question: str, answer: str, label: str | None = None) -> Example:
    return Example(row=row, messages=(Message(role="user", content=question), Message(role="assistant", content=answer)), label=label)


def clean(count: int = 60) -> list[Example]:
    return [example(i, f"What is thing {i}?", f"It is the {i}th of the things.") for i in range(1, count + 1)]


def case(examples: list[Example], left_out: tuple[LeftOut, ...] = (), lengths: tuple[int, ...] = ()) -> Case:
    loaded = Loaded(
        name="a.csv",
        path="a.csv",
        shape="question_answer",
        roles={},
        columns=(),
        certain=True,
        encoding="utf-8",
        n_read=len(examples) + len(left_out),
        left_out=left_out,
    )
    return Case(examples, loaded, lengths)


def findings(examples: list[Example], left_out: tuple[LeftOut, ...] = (), lengths: tuple[int, ...] = ()) -> dict[str, Problem]:
    return {problem.code: problem for problem in examine(case(examples, left_out, lengths))}


def test_every_check_of_the_folder_is_silent_on_clean_data() -> None:
    assert len(plugins.discover("loralab.datasets.checks", "CHECK")) >= 7
    assert findings(clean(), lengths=(20,) * 60) == {}


@pytest.mark.parametrize(
    ("count", "code", "severity"),
    [(1, "too_few_rows", "error"), (8, "too_few_rows", "error"), (9, "few_rows", "warning"), (49, "few_rows", "warning")],
)
def test_too_few_examples(count: int, code: str, severity: str) -> None:
    assert findings(clean(count))[code].severity == severity


def test_repeated_examples_are_told_with_their_rows() -> None:
    again = [example(100 + i, f"what is THING {i}", f"It is the {i}th of the things") for i in (1, 2, 3)]
    found = findings([*clean(), *again])["duplicates"]
    assert "rows 101, 102 and 103" in found.what
    assert found.severity == "info"
    assert findings(clean() * 2)["duplicates"].severity == "warning"


def test_missing_and_hollow_answers() -> None:
    lost = (LeftOut(row=9, reason="The answer (column “answer”) is empty."),)
    found = findings([*clean(), example(70, "Why?", "N/A")], lost)
    assert "row 9" in found["empty_answers"].what
    assert "row 70" in found["placeholder_answers"].what
    assert "rows_left_out" in found


def test_none_may_be_the_name_of_a_class() -> None:
    texts = [example(i, f"text {i}", ["none", "some"][i % 2], ["none", "some"][i % 2]) for i in range(60)]
    assert findings(texts) == {}


def test_very_long_examples() -> None:
    found = findings(clean(), lengths=(*(10,) * 58, 5000, 3000))["over_long"]
    assert "rows 59 and 60" in found.what
    assert "5,000" in found.what


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("Le cafÃ© est fermÃ©", "mojibake"),
        ("I donâ€™t know", "mojibake"),
        ("a letter is l\ufffdst", "lost_letters"),
        ("bell \x07 rings", "control_characters"),
    ],
)
def test_garbled_letters(text: str, code: str) -> None:
    assert "row 70" in findings([*clean(), example(70, "Why?", text)])[code].what


@pytest.mark.parametrize("text", ["São Paulo, À côté, AÇÃO", "Ångström — “naïve” café…", "中文也可以", "über Äpfel", "😀 fine\n\ttabbed"])
def test_healthy_letters_of_many_languages_are_left_alone(text: str) -> None:
    assert findings([*clean(), example(70, "Why?", text)]) == {}


def test_one_class_for_nearly_everything() -> None:
    mostly = [example(i, f"text {i}", "a" if i % 20 else "b", "a" if i % 20 else "b") for i in range(1, 101)]
    assert findings(mostly)["one_class_dominates"].severity == "warning"
    assert findings([example(i, f"text {i}", "a", "a") for i in range(60)])["one_class"].severity == "error"


def test_rare_classes_and_same_answers() -> None:
    texts = [example(i, f"text {i}", str(i % 2), str(i % 2)) for i in range(60)]
    assert "rare" in findings([*texts, example(99, "odd", "rare", "rare")])["rare_classes"].what
    assert "same_answer" in findings([example(i, f"q {i}", "Yes.") for i in range(60)])


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("write to jane.doe@mail.org today", "emails"),
        ("call (555) 123-4567 now", "phone_numbers"),
        ("call +44 20 7946 0958 now", "phone_numbers"),
        ("key AKIA" + "ABCDEFGHIJKLMNOP", "secrets"),
        ("token ghp_" + "a1B2" * 9, "secrets"),
        ("password = hunter2hunter2", "secrets"),
        ("-----BEGIN RSA " + "PRIVATE KEY-----", "secrets"),
    ],
)
def test_private_data_is_told_by_row_and_never_repeated(text: str, code: str) -> None:
    found = findings([*clean(), example(70, "Why?", text)])[code]
    assert "row 70" in found.what
    assert max(text.split(), key=len) not in found.what + found.todo


@pytest.mark.parametrize(
    "text", ["In 2019-2020 it cost 1,234,567", "1-800 pages", "see user@example.com", "the password is secret", "3.14159 26535"]
)
def test_harmless_numbers_and_words_are_not_called_private(text: str) -> None:
    assert findings([*clean(), example(70, "Why?", text)]) == {}


def test_the_gravest_finding_comes_first() -> None:
    severities = [problem.severity for problem in examine(case([example(1, "Why?", "a@b.org")]))]
    assert severities[0] == "error"
    assert "warning" in severities


def test_where_names_files_when_there_are_several() -> None:
    two = [Example(row=1, source="a", text="x"), Example(row=2, source="b", text="y")]
    assert where(two) == "rows 1 of a and 2 of b"
    assert where(clean(1)) == "row 1"
    assert where(clean(9)).endswith("and 4 more")


# ---- the data doctor -----------------------------------------------------------------------------------------------------------


def sorted_texts(count: int = 120) -> list[Example]:
    words = {"garden": "hose roses soil watering spade seeds lawn hedge", "kitchen": "kettle oven plates toaster pan spoon stove fridge"}
    made: list[Example] = []
    for row in range(1, count + 1):
        label = ("garden", "kitchen")[row % 2]
        said = words[label].split()
        text = f"My {said[row % 8]} and the {said[(row // 2) % 8]} near the {said[(row // 8) % 8]} need help {row}"
        made.append(Example(row=row, messages=(Message(role="user", content=text), Message(role="assistant", content=label)), label=label))
    return made


def test_labels_that_the_neighbours_of_a_text_disagree_with_are_told_by_row() -> None:
    texts = sorted_texts()
    assert "doubtful_labels" not in findings(texts)
    for row in (3, 40, 77, 100):
        texts[row] = texts[row].model_copy(update={"label": "garden" if texts[row].label == "kitchen" else "kitchen"})
    found = findings(texts)["doubtful_labels"]
    assert "4 texts" in found.what
    assert all(f"{row + 1}" in found.what for row in (3, 40, 77, 100))


@pytest.mark.parametrize(
    ("question", "first", "second"),
    [
        ("When was the mill built?", "The mill was built in 1850.", "The mill was built in 1910."),
        ("Do you deliver on Sundays?", "Yes, until noon.", "No, only on weekdays."),
        ("May dogs come in?", "Dogs may come in here.", "Dogs may not come in here."),
        ("Who designed the mill?", "Ada Marsh.", "Bruno Keller."),
    ],
)
def test_answers_that_cannot_both_be_right_are_told(question: str, first: str, second: str) -> None:
    found = findings([*clean(), example(70, question, first), example(71, question.lower(), second)])["contradictions"]
    assert "rows 70 and 71" in found.what


@pytest.mark.parametrize(
    ("question", "first", "second"),
    [
        ("Write a poem about 3 cats.", "Three cats sat.", "No cat was there."),
        ("Name a river in France.", "The Loire.", "The Rhone."),
        (
            "How do I save money?",
            "Spend less than you earn, and write it down.",
            "Put aside 10 euros each week before you pay for anything.",
        ),
        ("When do you open?", "At nine o'clock.", "We open at nine o'clock in the morning."),
    ],
)
def test_two_good_answers_are_no_contradiction(question: str, first: str, second: str) -> None:
    assert "contradictions" not in findings([*clean(), example(70, question, first), example(71, question, second)])


def told(answers: list[str]) -> dict[str, Problem]:
    return findings([example(row, f"Frage {row} zu Ding {row}?", f"{said} {row}") for row, said in enumerate(answers, 1)])


def test_two_ways_of_speaking_to_a_person_are_told_and_one_is_not() -> None:
    du = [f"Klar, du kannst dein Paket in der Filiale Nummer {n} abholen." for n in range(40)]
    sie = [f"Gern können Sie Ihr Paket in der Filiale Nummer {n} abholen." for n in range(20)]
    assert "20 answers say “Sie”" in told([*du, *sie])["formal_address"].what
    assert not {"formal_address", "mixed_tone"} & set(told(du))
    assert "formal_address" not in told([*du, *sie[:2]]), "two of forty are a slip that nobody hears"


def test_smileys_in_some_answers_and_sentences_that_nobody_can_read_are_hints() -> None:
    plain = [f"You can fetch parcel {n} at the counter today." for n in range(40)]
    assert told([*plain, *(f"{said} 😀" for said in plain[:20])])["mixed_tone"].severity == "info"
    assert "mixed_tone" not in told(plain)
    hard = " ".join(["institutional responsibilities notwithstanding the interdepartmental considerations"] * 8)
    assert "hard_to_read" in told([f"{hard} {n}." for n in range(40)])
    assert "hard_to_read" not in told([f"{said} It is open until six. Please bring a card with your name and a pen." for said in plain])


def test_a_topic_that_drowns_the_others_is_told() -> None:
    topics = {"lamp bulb shade switch": 150, "parcel courier delivery address": 7, "refund bank invoice card": 7}
    texts = [
        example(
            n * 1000 + row,
            f"{words.split()[row % 4]} {words.split()[(row // 4) % 4]} {words.split()[(row + 1) % 4]}?",
            f"Answer {n} {row}.",
        )
        for n, (words, times) in enumerate(topics.items(), 1)
        for row in range(times)
    ]
    even = [*texts[:30], *texts[150:] * 4]
    assert "lopsided_topics" not in findings(even)
    assert "lopsided_topics" not in findings(clean(200)), "a set about one thing has one topic"
    assert "lamp" in findings(texts)["lopsided_topics"].what or "bulb" in findings(texts)["lopsided_topics"].what
