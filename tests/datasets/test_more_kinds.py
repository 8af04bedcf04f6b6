"""Kinds of files that look like text and are tables: flash cards, records in XML, lists in YAML, conversations one below the other."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from loralab.core.errors import UserError
from loralab.core.records import Example
from loralab.datasets.checks import Case, examine
from loralab.datasets.dataset import Loaded
from loralab.datasets.loading import load_examples

QA = [(f"When does office {at} open?", f"Office {at} opens at {at % 12 + 1}.") for at in range(12)]


def block(q: str, a: str) -> str:
    return f"  - question: {q}\n    answer: {a}\n"


def unit(q: str, a: str) -> str:
    return f'<tu><tuv xml:lang="question"><seg>{q}</seg></tuv><tuv xml:lang="answer"><seg>{a}</seg></tuv></tu>'


def st(q: str, a: str) -> str:
    return f"<source>{q}</source><target>{a}</target>"


def tu(q: str, a: str) -> str:
    return f'<trans-unit id="{q[12]}">{st(q, a)}</trans-unit>'


FILES: dict[str, Callable[[], str]] = {
    "anki.txt": lambda: "#separator:tab\n#html:true\n#tags column:3\n" + "".join(f"<b>{q}</b>&nbsp;\t<div>{a}</div>\tgeo\n" for q, a in QA),
    "named.txt": lambda: "#separator:Semicolon\n#html:false\n#columns:Question;Answer\n" + "".join(f"{q};{a}\n" for q, a in QA),
    "faq.xml": lambda: "<f>" + "".join(f"<faq><question>{q}</question><answer>{a}</answer></faq>" for q, a in QA) + "</f>",
    "rows.xml": lambda: (
        '<?xml version="1.0"?><posts>' + "".join(f'<row Id="{q[12]}" Question="{q}" Answer="{a}"/>' for q, a in QA) + "</posts>"
    ),
    "memory.tmx": lambda: "<tmx><header/><body>" + "".join(unit(q, a) for q, a in QA) + "</body></tmx>",
    "list.yml": lambda: "version: 2\nitems:\n" + "".join(block(q, a) for q, a in QA),
    "bare.yaml": lambda: "".join(block(q, a)[2:].replace("\n  ", "\n") for q, a in QA),
    "corpus.yml": lambda: "categories:\n- offices\nconversations:\n" + "".join(f"- - {q}\n  - {a}\n" for q, a in QA),
    "qa.txt": lambda: "".join(f"Q: {q}\nA: {a}\n" for q, a in QA),
    "frage.txt": lambda: "\n".join(f"Frage: {q}\nAntwort: {a}\n" for q, a in QA),
    "table.md": lambda: "# Help\n\n| Question | Answer |\n|---|:--:|\n" + "".join(f"| {q} | {a} |\n" for q, a in QA),
    "pytania.csv": lambda: "Pytanie,Odpowiedź\n" + "".join(f"{q},{a}\n" for q, a in QA),
    "human.jsonl": lambda: "".join(json.dumps({"prompt": f"\n\nHuman: {q}\n\nAssistant:", "completion": f" {a}"}) + "\n" for q, a in QA),
    "legacy.jsonl": lambda: "".join(json.dumps({"prompt": f"{q}\n\n###\n\n", "completion": f" {a} END"}) + "\n" for q, a in QA),
    "arrow.txt": lambda: "".join(f"{q} -> {a}\n" for q, a in QA),
    "dash.md": lambda: "\n".join(f"{q} – {a}" for q, a in QA),
    "memory.xlf": lambda: '<xliff version="1.2"><file><body>' + "".join(tu(q, a) for q, a in QA) + "</body></file></xliff>",
    "new.xliff": lambda: (
        '<xliff version="2.0"><file>' + "".join(f"<unit><segment>{st(q, a)}</segment></unit>" for q, a in QA) + "</file></xliff>"
    ),
    "desk.md": lambda: "\n\n\n".join(f"Customer: {q}\nAgent: {a}" for q, a in QA),
}


def load(path: Path) -> tuple[list[Example], Loaded]:
    examples, loaded = load_examples(path)
    assert loaded.n_read == len(examples) + len(loaded.left_out)
    return list(examples), loaded


def pairs(examples: list[Example]) -> list[tuple[str, ...]]:
    return [tuple(message.content for message in example.messages) for example in examples]


@pytest.mark.parametrize("name", FILES)
def test_the_same_questions_and_answers_come_out(name: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(FILES[name](), "utf-8")
    examples, loaded = load(tmp_path / name)
    assert pairs(examples) == QA
    assert not loaded.left_out


def test_intents_are_classes_and_what_is_none_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "nlu.yml"
    path.write_text(
        "nlu:\n- intent: greet\n  examples: |\n    - hello there\n    - good morning [Anna](name)\n- intent: leave\n  examples:\n"
        "  - bye\n  - text: see you\n- synonym: Anna\n  examples: |\n    - Ann\n"
    )
    examples, loaded = load(path)
    assert [(one.messages[0].content, one.label) for one in examples] == [
        *(("hello there", "greet"), ("good morning Anna", "greet"), ("bye", "leave"), ("see you", "leave"))
    ]
    assert len(loaded.left_out) == 1


def test_one_long_conversation_is_taken_apart_only_when_asked(tmp_path: Path) -> None:
    path = tmp_path / "talk.txt"
    path.write_text("\n\n".join(f"User: {q}\n\nAssistant: {a}" for q, a in QA))
    examples, loaded = load(path)
    assert pairs(examples) == QA
    assert not loaded.certain


def test_entries_of_other_kinds_and_pieces_without_an_answer_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.xml").write_text(FILES["faq.xml"]().replace("</f>", "<note><by>Bo</by><on>May</on></note></f>"))
    (tmp_path / "a.txt").write_text(FILES["desk.md"]() + "\n\nRing us up.")
    for name in ("a.xml", "a.txt"):
        examples, loaded = load(tmp_path / name)
        assert len(examples) == len(QA), name
        assert [bool(lost.reason) for lost in loaded.left_out] == [True], name


def test_options_stand_below_their_question(tmp_path: Path) -> None:
    path = tmp_path / "quiz.csv"
    path.write_text("question,A,B,C,answer\n" + "".join(f"Which {at}?,red {at},blue {at},,{'AB'[at % 2]}\n" for at in range(12)))
    examples, loaded = load(path)
    assert pairs(examples)[0] == ("Which 0?\nA) red 0\nB) blue 0", "A")
    assert "below their question" in loaded.parts[0].about
    path.write_text("question,a\n" + "".join(f"{q},{a}\n" for q, a in QA))  # “a” is an answer, no option
    assert pairs(load(path)[0]) == QA


def test_a_class_before_each_line_is_its_label(tmp_path: Path) -> None:
    path = tmp_path / "train.txt"
    path.write_text("".join(f"__label__{'even' if at % 2 else 'odd'} {q}\n" for at, (q, _) in enumerate(QA)))
    examples, _ = load(path)
    assert [(one.messages[0].content, one.label) for one in examples[:2]] == [(QA[0][0], "odd"), (QA[1][0], "even")]


def test_what_somebody_did_not_accept_is_not_learned(tmp_path: Path) -> None:
    path = tmp_path / "looked_over.jsonl"
    rows = [{"text": q, "label": ("A", "B")[at % 2], "answer": ("accept", "reject", "accept")[at % 3]} for at, (q, _) in enumerate(QA)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    examples, loaded = load(path)
    assert (len(examples), len(loaded.left_out)) == (8, 4)
    assert {one.label for one in examples} == {"A", "B"}


def test_a_text_and_its_translation_go_line_by_line_once_somebody_says_so(tmp_path: Path) -> None:
    for suffix, side in (("en", 0), ("de", 1)):
        (tmp_path / f"talk.{suffix}").write_text("".join(f"{pair[side]}\n" for pair in QA))
    examples, loaded = load(tmp_path)
    assert sorted(map(sorted, pairs(examples))) == sorted(map(sorted, QA))
    assert not loaded.certain
    (tmp_path / "talk.de").write_text("One line.\n")
    assert load(tmp_path)[1].shape == "text"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("page.xml", "<doc>" + "".join(f"<p>Paragraph {at} of a long story.</p>" for at in range(30)) + "</doc>"),
        ("compose.yml", "services:\n  web:\n    image: nginx\n    ports:\n      - 80:80\n  db:\n    image: postgres\n"),
        ("play.txt", "\n\n".join(f"ROMEO: Line {at} of mine.\n\nJULIET: And line {at} of mine." for at in range(20))),
        ("bomb.xml", '<!DOCTYPE x [<!ENTITY a "aaaa">]><x>' + "<r><q>&a;</q><z>1</z></r>" * 9 + "</x>"),
    ],
)
def test_what_holds_no_rows_stays_a_text(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(text)
    _, loaded = load(tmp_path / name)
    assert loaded.shape == "text"


def test_yaml_that_unfolds_without_end_is_refused(tmp_path: Path) -> None:
    names = "abcdefghijk"
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]", *(f"{b}: &{b} [{', '.join([f'*{a}'] * 9)}]" for a, b in pairwise(names))]
    (tmp_path / "bomb.yaml").write_text("\n".join(lines))
    with pytest.raises(UserError, match="unfolds"):
        load_examples(tmp_path / "bomb.yaml")


def test_a_table_of_numbers_is_refused_and_sums_are_not(tmp_path: Path) -> None:
    (tmp_path / "n.csv").write_text("a,b,c\n" + "".join(f"{at / 7:.3f},{at * at},{-at}\n" for at in range(40)))
    with pytest.raises(UserError, match="only numbers"):
        load_examples(tmp_path / "n.csv")
    (tmp_path / "sums.csv").write_text("question,answer\n" + "".join(f"{at} + 3,{at + 3}\n" for at in range(40)))
    assert len(load(tmp_path / "sums.csv")[0]) == 40


def test_the_words_of_a_survey_go_with_the_column_named_for_classes(tmp_path: Path) -> None:
    said = {
        "positive": "I love the quick service here",
        "negative": "Nobody ever answered my calls",
        "neutral": "It was okay, nothing more",
    }
    rows = [f"{at},2026-10-{at % 28 + 1:02d},{at % 5},{('yes', 'no')[at % 2]},{said[mood]},{mood}" for at, mood in enumerate([*said] * 20)]
    (tmp_path / "s.csv").write_text("RespondentID,Timestamp,Q1,Q2: Would you come again?,Comments,Sentiment\n" + "\n".join(rows) + "\n")
    _, loaded = load(tmp_path / "s.csv")
    assert loaded.roles == {"text": "Comments", "label": "Sentiment"}
    assert not loaded.certain


@pytest.mark.parametrize(("echoed", "told"), [(12, True), (6, True), (0, False)])
def test_answers_that_repeat_their_question_are_told(echoed: int, told: bool, tmp_path: Path) -> None:
    path = tmp_path / "e.csv"
    path.write_text("question,answer\n" + "".join(f'"{q}","{q.upper() if at < echoed else a}"\n' for at, (q, a) in enumerate(QA)))
    examples, loaded = load(path)
    assert ("echoes" in {problem.code for problem in examine(Case(examples, loaded))}) == told
