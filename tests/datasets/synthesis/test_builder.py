"""Documents become rows that quote them: every kind of file, every maker, every answer to be looked up."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from loralab.core.errors import UserError
from loralab.core.jobs import BuildDataJob
from loralab.datasets.synthesis.build_job import assemble, documents
from loralab.datasets.synthesis.makers import make, makers
from loralab.datasets.synthesis.passages.child import Reader
from loralab.datasets.synthesis.passages.document import passages, read_document
from loralab.datasets.synthesis.rows import TEST, MadeRow
from loralab.datasets.synthesis.split import with_split
from tests.datasets.test_documents import pdf, saved, word
from tests.datasets.test_pages_and_sheets import BOOK, packed
from tests.support.corpus import town

CHAPTER = """# Leaves

Photosynthesis is the process by which green plants turn light into sugar. It was described in 1779 by Jan Ingenhousz.

## What plants need

The three needs of a plant are:

- light
- water
- carbon dioxide

## How to grow beans

Follow these steps:

1. Soak the beans overnight.
2. Put them into the soil.
3. Water them every day.

## How long does a bean take?

A bean takes ten weeks.

## Bridges

The Orwell Bridge was opened in 1982.
"""
SCENE = "ANNA: Where have you been?\n\nBEN: At the market, as always.\n\nANNA: Did you bring the bread?\n\nBEN: I forgot it again."
NOVEL = "“Where is the boat?” asked Mary.\n\n“It left at noon,” he said.\n\nThe sea was calm that day and nobody spoke for a long time.\n"


def drafts(text: str, name: str = "a.md") -> dict[str, list[tuple[str, str]]]:
    """(question, answer) by maker."""
    found: dict[str, list[tuple[str, str]]] = {}
    for document in read_document(text.encode(), name):
        for maker, draft in make(document):
            assert document.text[draft.start : draft.end].strip(), "what it rests on stands in the document"
            found.setdefault(maker, []).append((draft.question, draft.answer))
    return found


@pytest.mark.parametrize(
    ("maker", "question", "answer"),
    [
        ("headings", "What is there to know about “Leaves”?", "Photosynthesis is the process"),
        ("definitions", "What is photosynthesis?", "Photosynthesis is the process by which"),
        ("lists", "What are the three needs of a plant?", "- light\n- water\n- carbon dioxide"),
        ("steps", "How do I grow beans?", "1. Soak the beans overnight.\n2. Put"),
        ("faq", "How long does a bean take?", "A bean takes ten weeks."),
        ("facts", "When was the Orwell Bridge opened?", "The Orwell Bridge was opened in 1982."),
        ("cloze", "Fill in the gap: The Orwell Bridge was opened in ____.", "1982"),
    ],
)
def test_each_maker_finds_its_own(maker: str, question: str, answer: str) -> None:
    found = dict(drafts(CHAPTER)[maker])
    assert found[question].startswith(answer)


def test_a_play_and_a_story_are_talks() -> None:
    assert ("Did you bring the bread?", "I forgot it again.") in drafts(SCENE, "play.txt")["dialogue"]
    assert drafts(NOVEL, "novel.txt")["dialogue"] == [("Where is the boat?", "It left at noon.")]


def test_every_maker_is_quiet_where_there_is_nothing_of_its_kind() -> None:
    assert set(drafts("the sea was calm and nobody spoke for a long time while they waited.", "a.txt")) == set()
    assert len(makers()) == 10


def test_a_table_is_asked_by_its_names_and_a_table_of_questions_is_taken_as_it_is() -> None:
    asked = drafts("name,price,opened\nRed lamp,12 crowns,1950\nBlue lamp,15 crowns,1960\n", "lamps.csv")["tables"]
    assert ("What is the price of Red lamp?", "12 crowns") in asked
    assert ("What is said of Blue lamp under “opened”?", "1960") in asked
    taken = drafts("question,answer\nWhen do you open?,At nine.\nWho are you?,The shop.\n", "faq.csv")["tables"]
    assert taken == [("When do you open?", "At nine."), ("Who are you?", "The shop.")]


def test_another_language_is_asked_in_its_own_words_or_not_at_all() -> None:
    german = "Die Osmose ist ein Vorgang, bei dem Wasser durch eine Haut in eine Lösung hinein wandert und sie verdünnt."
    assert drafts(german, "a.txt")["definitions"] == [("Was ist die Osmose?", german)]
    finnish = "Koivu on puu, joka kasvaa metsässä ja jonka lehdet putoavat syksyllä maahan ennen kuin talvi tulee tänne."
    assert "definitions" not in drafts(finnish, "a.txt")


def test_every_kind_of_document_is_read(tmp_path: Path) -> None:
    line = "Osmosis is a movement of water through a thin skin into salt."
    files = {
        "a.txt": line.encode(),
        "a.html": f"<html><body><h1>Cells</h1><p>{line}</p></body></html>".encode(),
        "a.docx": saved(word(["Cells", line])),
        "a.pdf": saved(pdf([["Cells", line]])),
        "a.epub": packed(BOOK),
        "a.srt": f"1\n00:00:01,000 --> 00:00:04,000\n{line}\n".encode(),
    }
    for name, raw in files.items():
        (tmp_path / name).write_bytes(raw)
        found = Reader().read(str(tmp_path / name), name, [])
        assert "reason" not in found, (name, found)
        assert found["passages"], name
        if name != "a.epub":
            assert any(row["answer"] == line for row in found["rows"] if row["kind"] == "definitions"), name


def test_a_row_of_a_pdf_says_its_page_and_a_scan_is_named_as_one(tmp_path: Path) -> None:
    pages = [["Nothing to see on this page, it only begins the book."], ["The Orwell Bridge was opened in 1982 by the old queen."]]
    (tmp_path / "a.pdf").write_bytes(saved(pdf(pages)))
    row = next(row for row in Reader().read(str(tmp_path / "a.pdf"), "a.pdf", ["facts"])["rows"])
    assert (row["page"], row["source"]) == (2, "a.pdf")
    (tmp_path / "b.pdf").write_bytes(saved(pdf([[], []])))
    refused = Reader().read(str(tmp_path / "b.pdf"), "b.pdf", [])
    assert refused["code"] == "no_text"
    assert not refused["rows"]


def test_what_a_row_rests_on_stands_in_its_passage_at_its_offset() -> None:
    place = town(30)
    for name, text in place.files.items():
        for document in read_document(text.encode(), name):
            known = {one.id: one for one in passages(document)}
            assert all(document.text[one.offset :].startswith(one.text) for one in known.values())


def built(folder: Path) -> tuple[list[MadeRow], object]:
    asked = BuildDataJob(paths=(str(folder),), out="x.jsonl")
    files = documents(asked.paths)
    report, (rows, binned, _, _) = assemble(asked, files, [Reader().read(str(path), name, []) for name, path in files])
    assert report.adds_up
    assert sum(report.proposed.values()) == len(rows) + len(binned)
    return rows, report


def test_planted_facts_are_found_without_a_language_model(tmp_path: Path) -> None:
    place = town(60)
    rows, _ = built(place.write(tmp_path))
    found = [
        any(fact.value.casefold() in row.answer.casefold() and fact.subject.casefold() in row.question.casefold() for row in rows)
        for fact in place.facts
    ]
    assert sum(found) >= 0.7 * len(found)


def test_a_source_is_on_one_side_and_what_a_model_wrote_is_never_tested_on() -> None:
    rows = [MadeRow(question=f"Q{n}?", answer=f"A{n}.", source=f"doc{n // 10}", origin="extracted", id=str(n)) for n in range(120)]
    rows += [MadeRow(question=f"S{n}?", answer="A.", source=f"doc{n // 10}", origin="synthetic", id=f"s{n}") for n in range(60)]
    split = with_split(rows)
    held = [row for row in split if row.split == TEST]
    assert len(held) >= 8
    assert {row.origin for row in held} == {"extracted"}
    for _, group in itertools.groupby((row for row in split if row.origin == "extracted"), key=lambda row: row.source):
        assert len({row.split for row in group}) == 1
    assert split == with_split(rows), "the same rows give the same split"


def test_a_folder_with_nothing_in_it_is_said(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no documents"):
        documents((str(tmp_path),))
    with pytest.raises(UserError, match="no file or folder"):
        documents((str(tmp_path / "gone"),))


def test_what_is_read_again_is_json(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text(CHAPTER)
    assert json.loads(json.dumps(Reader().read(str(tmp_path / "a.md"), "a.md", [])))["rows"]
