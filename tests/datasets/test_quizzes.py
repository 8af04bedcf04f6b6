"""Quizzes of learning platforms, options without names, picks of an annotation program; and what only looks like them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from loralab.datasets.loading import load_examples
from loralab.lab import Lab

LANDS = [f"land {at}" for at in range(6)]


def said(path: Path) -> list[tuple[str, ...]]:
    examples, loaded = load_examples(path)
    assert loaded.n_read == len(examples) + len(loaded.left_out)
    return [tuple(message.content for message in example.messages) for example in examples]


def written(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, "utf-8")
    return path


def test_aiken_is_a_question_its_options_and_a_letter(tmp_path: Path) -> None:
    text = "\n".join(f"What is the capital of\n{land}?\nA. Ayton\nB) Beeford\nANSWER: B\n" for land in LANDS)
    path = written(tmp_path, "quiz.txt", text + "\nTalk about it with your neighbour.\n")
    assert said(path) == [(f"What is the capital of {land}?\nA) Ayton\nB) Beeford", "B") for land in LANDS]
    (lost,) = load_examples(path)[1].left_out
    assert (lost.row, lost.reason) == (text.count("\n") + 2, "It is no question with one right answer.")


def test_gift_has_options_short_answers_truths_and_kinds_that_are_named(tmp_path: Path) -> None:
    quiz = """// made in autumn
$CATEGORY: maps

::one:: The capital of land 1 is { ~%-50%Ayton#no =Bee\\=ford#yes ~Ceeville } in fact.

Who lives there? {=Ann =Anna}

::t::Bees fly.{TRUE#they do}

Match them. { =a -> b =c -> d }

Write about bees. {}

How many? {#5:1}
"""
    path = written(tmp_path, "quiz.gift", quiz)
    assert said(path) == [
        ("The capital of land 1 is ___ in fact.\nA) Ayton\nB) Bee=ford\nC) Ceeville", "B"),
        ("Who lives there?", "Ann"),
        ("Bees fly.", "True"),
    ]
    assert [lost.row for lost in load_examples(path)[1].left_out] == [10, 12, 14]


@pytest.mark.parametrize(
    "text",
    [
        "She asked him.\nANSWER: B was what he said, and no more.\n" * 9,
        "void f() {\n  if (a == b) { c = d; }\n}\n\nvoid g() { return; }\n" * 5,
        "The area::name of it is { area=name }, as in std::map.\n\n" * 9,
        "A set is written as { a, b }, as everybody knows.\n\nAnother as { =c }.\n\n" + "This is a text about sets.\n\n" * 9,
    ],
    ids=["answer", "code", "names", "sets"],
)
def test_a_text_with_braces_or_answers_stays_a_text(tmp_path: Path, text: str) -> None:
    examples, _ = load_examples(written(tmp_path, "text.txt", text))
    assert all(not example.messages for example in examples)


def test_options_without_names_are_named_and_asked_about(tmp_path: Path) -> None:
    path = written(
        tmp_path, "test.csv", "".join(f"Where is {land}?,north,south,east,west,{'ABCD'[at % 4]}\n" for at, land in enumerate(LANDS))
    )
    assert said(path)[1] == ("Where is land 1?\nA) north\nB) south\nC) east\nD) west", "B")
    assert not Lab(tmp_path / "home").profile(path).certain
    plain = written(tmp_path, "plain.csv", "".join(f"{land},north,south,east,west,F\n" for land in LANDS))
    assert all("A)" not in part for parts in said(plain) for part in parts)


def test_what_was_picked_is_the_label_and_what_was_rejected_is_named(tmp_path: Path) -> None:
    options = [{"id": "1", "text": "good"}, {"id": "2", "text": "bad"}]
    rows = [
        {"text": f"The soup in {land} was cold.", "options": options, "accept": ["12"[at % 2]], "answer": ["accept", "reject"][at == 5]}
        for at, land in enumerate(LANDS)
    ]
    path = written(tmp_path, "tagged.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    examples, loaded = load_examples(path)
    assert [example.label for example in examples] == ["good", "bad", "good", "bad", "good"]
    assert [lost.row for lost in loaded.left_out] == [6]


def test_what_is_not_translated_yet_is_named_and_other_sources_and_targets_keep_all_they_say(tmp_path: Path) -> None:
    unit = (
        "<trans-unit><source>{0}</source><target>Land {0}</target><alt-trans><source>a</source><target>b</target></alt-trans></trans-unit>"
    )
    rows = "".join(unit.format(land) for land in LANDS) + "<trans-unit><source>sea</source></trans-unit>"
    path = written(tmp_path, "words.xlf", f"<xliff><file><body>{rows}</body></file></xliff>")
    assert said(path) == [(land, f"Land {land}") for land in LANDS]
    assert [lost.reason for lost in load_examples(path)[1].left_out] == ["It is not translated yet."]
    edges = "".join(
        f"<edge><source>{land}</source><target>sea</target><question>Far?</question><answer>{land}</answer></edge>" for land in LANDS
    )
    assert said(written(tmp_path, "map.xml", f"<graph>{edges}</graph>")) == [("Far?", land) for land in LANDS]


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("tokens.txt", "Ann B-PER\nlives O\nin O\nAyton B-LOC\n\n" * 9),
        ("letters.mbox", "".join(f"From a@b.c Mon Jan 1\nFrom: Ann\nTo: Bob\nSubject: {land}\n\nIt has not come.\n\n" for land in LANDS)),
        ("program.po", "".join(f'msgid "{land}"\nmsgstr "Land"\n\n' for land in LANDS)),
        ("pairs.txt", "".join(f"{land} => Land {at}\n" for at, land in enumerate(LANDS))),
    ],
)
def test_what_may_be_meant_otherwise_is_asked(tmp_path: Path, name: str, text: str) -> None:
    assert not Lab(tmp_path / "home").profile(written(tmp_path, name, text)).certain


def test_a_letter_to_a_friend_and_a_list_of_points_are_sure(tmp_path: Path) -> None:
    prose = "I went to the sea - it was cold. We stayed - as ever - for tea.\n\nThe next day was better, and we swam. " * 9
    points = "".join(f"- {land} - a fine place to be, with a long coast and a good inn\n" for land in LANDS * 3)
    for name, text in (("prose.txt", prose), ("points.md", points)):
        examples, _ = load_examples(written(tmp_path, name, text))
        assert all(not example.messages for example in examples), name
