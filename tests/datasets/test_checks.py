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
