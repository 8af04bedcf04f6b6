"""A chapter, ten pages of questions, a shop's export and a novel, as they really are: what is made of them, and what must not be."""

from __future__ import annotations

import io
import textwrap
from functools import lru_cache
from pathlib import Path

import docx
import pytest

from loralab.core.jobs import BuildDataJob
from loralab.datasets.formats.markup import blocks as html_blocks
from loralab.datasets.formats.pages import Line, paragraphs, said
from loralab.datasets.synthesis.build_job import assemble, documents
from loralab.datasets.synthesis.passages.child import Reader
from loralab.datasets.synthesis.passages.cleaning import cleaned
from loralab.datasets.synthesis.passages.document import read_document
from loralab.datasets.synthesis.rows import TEST, MadeRow
from tests.datasets.test_documents import pdf, saved

PLACE = Path(__file__).parent / "documents"


@lru_cache
def made(*names: str) -> tuple[MadeRow, ...]:
    """The rows of some of the documents, all that passed the gates."""
    paths = tuple(str(PLACE / name) for name in names)
    files = documents(paths)
    parts = [Reader().read(str(path), name, []) for name, path in files]
    report, (rows, _, _, _) = assemble(BuildDataJob(paths=paths, out="x.jsonl"), files, parts)
    assert report.adds_up
    assert not report.refused
    return tuple(rows)


def asked(*names: str) -> dict[str, str]:
    return {row.question: row.answer for row in made(*names)}


def of(raw: bytes, name: str, folder: Path) -> dict[str, str]:
    (folder / name).write_bytes(raw)
    return {row["question"]: row["answer"] for row in Reader().read(str(folder / name), name, [])["rows"]}


def test_a_chapter_is_asked_about_and_not_its_exercises_notes_and_pictures() -> None:
    found = asked("chapter.html")
    assert found["What is there to know about “Tides”?"].startswith("Anyone who has left a towel"), (
        "what follows the goals is the beginning"
    )
    assert found["What is a tide?"].startswith("A tide is the regular rise")
    assert found["What does “neap tide” mean?"] == "tide of small range near the quarter moons"
    assert found["What is the mean range of Saint-Malo?"] == "8.0 m"
    assert found["How do I read a tide table?"].startswith("1. Find the page of your harbor")
    everything = "\n".join(f"{question}\n{answer}" for question, answer in found.items())
    for stray in (
        "Cartwright",
        "3.2 billion",
        "Review",
        "Figure",
        "Previous: 7.1",
        "ocean.1",
        "↩",
        "you will be able to",
        "See Section",
        "CC BY",
    ):
        assert stray not in everything, stray
    assert len(found) > 40


def test_ten_pages_of_questions_give_each_question_its_own_answer() -> None:
    found = asked("faq")
    kinds = {row.source: row for row in made("faq") if row.kind in ("faq", "tables")}
    assert len(kinds) == 10, "every page gives some"
    assert found["How do I renew a loan?"] == "1. Sign in on the website.\n2. Open “My loans”.\n3. Press “Renew” next to the title."
    assert found["Are dogs allowed?"] == "Yes, on a lead."
    assert found["Was kostet der Versand?"] == "4,90 € je Bestellung. Ab 60 € liefern wir kostenlos.", (
        "German pages stay beside English ones"
    )
    assert found["I did not get a confirmation e-mail."].startswith("Look into the spam folder")
    assert not [question for question in found if "helpful" in question or "Still have" in question or "noch Fragen" in question]
    assert not [answer for answer in found.values() if "Back to top" in answer or "cookies" in answer or "Related" in answer]
    assert len([row for row in made("faq") if row.kind in ("faq", "tables")]) == 34


def test_an_export_of_a_shop_is_asked_for_what_a_customer_asks() -> None:
    found = asked("products.csv", "artikel.csv")
    assert found["What is the price of Oslo desk lamp?"] == "49.90 EUR"
    assert found["How is Oslo desk lamp described?"] == "Desk lamp with a jointed arm and a warm LED. Dimmable in five steps."
    assert found["Is “in stock” true of Toaster Lund?"] == "yes"
    assert found["Was steht bei Wolldecke Fjell unter „Pflegehinweis“?"] == "Bei 30 °C waschen, nicht schleudern."
    assert not {"N/A", "TBD", ""} & set(found.values())
    assert not [question for question in found if "URL" in question or "SKU" in question or "updated" in question or "rtikelnr" in question]


def test_a_novel_is_told_on_and_its_people_talk() -> None:
    found = asked("novel.txt", "maerchen.txt")
    assert found["How does “Advice from a Caterpillar” begin?"].startswith(
        "The Caterpillar and Alice looked at each other for some time in silence"
    )
    assert found["Who says: “Your hair wants cutting.”"] == "The Hatter."
    assert found["Who are you?"].startswith("I—I hardly know, sir")
    assert found["Wie beginnt „Der Froschkönig oder der eiserne Heinrich“?"].startswith("In den alten Zeiten")
    assert "Heinrich, der Wagen bricht!" not in found.values(), "a new scene answers nobody"
    everything = "\n".join(f"{question}\n{answer}" for question, answer in found.items())
    for stray in ("Gutenberg", "_you", "What is silence", "CHAPTER", "Illustration", "What is there to know", "Fill in the gap"):
        assert stray not in everything, stray


def test_a_wrapped_chapter_loses_its_page_numbers_hyphens_and_exercises() -> None:
    found = asked("kapitel.txt")
    assert found["Was ist der Wald?"] == "Der Wald ist ein Ökosystem, in dem Pflanzen, Tiere, Pilze und der Boden voneinander abhängen."
    assert found["Wie bestimmt man das Alter eines Baumes?"].count("\n") == 2
    assert any("z. B. an einem sonnigen Tag" in question for question in found), "an abbreviation does not end a sentence"
    everything = "\n".join([*found, *found.values()])
    for stray in ("Heimatkunde", "Haeckel", "Aufgaben", "Nenne", "¹", "Tabelle", "Was ist warum", "Was ist unterscheidet"):
        assert stray not in everything, stray


def test_every_row_rests_on_words_of_its_document_and_a_source_split_holds() -> None:
    rows = made("chapter.html", "kapitel.txt", "faq", "products.csv", "novel.txt")
    texts = {one.name: one.text for path in sorted(PLACE.rglob("*.*")) for one in read_document(path.read_bytes(), path.name)}
    assert all(row.evidence in texts[row.source.rpartition("/")[2]] for row in rows if row.kind != "two_hop")
    held = [row for row in rows if row.split == TEST]
    assert 0.08 * len(rows) < len(held) < 0.4 * len(rows)


def printed(text: str, width: int = 58) -> bytes:
    """Pages of a narrow book: running heads, a note at the foot, words divided where lines end."""
    lines = textwrap.wrap(text, width)
    lines = [line.replace("regular-", "regular") for line in lines]
    pages = [[f"Introduction to the Sea {at + 41}", *lines[at * 12 : at * 12 + 12]] for at in range(1 + len(lines) // 12)]
    return saved(pdf([page for page in pages if len(page) > 1]))


def test_a_narrow_pdf_is_read_in_paragraphs_and_not_in_lines(tmp_path: Path) -> None:
    chapter = read_document((PLACE / "chapter.html").read_bytes(), "chapter.html")[0]
    section = next(one for one in chapter.sections() if one.heading == "Measuring the Tide")
    text = " ".join(chapter.text[block.start : block.end] for block in section.blocks).replace("’", "'")
    found = of(printed(f"{text} {text.replace('tide', 'flood').replace('Palmer', 'Miller')}"), "narrow.pdf", tmp_path)
    assert (
        found["What is a tide gauge?"] == "A tide gauge is an instrument that records the height of the sea against a fixed mark on land."
    )
    assert found["When was the first self-recording gauge built by Henry Palmer?"].endswith("in 1831 at Sheerness.")
    assert not [answer for answer in found.values() if "Introduction to the Sea" in answer]


def line(text: str, y: float, **more: object) -> Line:
    return Line(**{"text": text, "x": 50.0, "y": y, "size": 10.0, "page": 1, **more})  # pyright: ignore[reportArgumentType]


def test_printed_lines_become_headings_paragraphs_and_tables_and_small_print_is_left_out() -> None:
    page = [
        line("The Sea", 700, size=16.0),
        line("Tides come and go, and nobody who lives there is sur-", 680),
        line("prised by it. Some wait for the well-", 668),
        line("known spring tide.", 656),
        line("It comes twice a month, at new moon and at full moon, if", 636),
        line("the sky is clear.", 624),
        *(
            Line(f"{a}   {b}", 50, 600 - 12 * at, 10, 1, not at, (a, b))
            for at, (a, b) in enumerate([("Harbor", "Range"), ("Kiel", "1"), ("Fundy", "16")])
        ),
        line("1 Said by the fishermen.", 40, size=7.0),
    ]
    found = paragraphs([page])
    assert [(one.level, "".join(piece for piece, _ in said(one, frozenset({"well-known"})))) for one in found if one.lines] == [
        (1, "The Sea"),
        (0, "Tides come and go, and nobody who lives there is surprised by it. Some wait for the well-known spring tide."),
        (0, "It comes twice a month, at new moon and at full moon, if the sky is clear."),
    ]
    assert [one.table for one in found if one.table] == [[["Harbor", "Range"], ["Kiel", "1"], ["Fundy", "16"]]]


def test_a_word_document_keeps_its_headings_steps_and_lists(tmp_path: Path) -> None:
    document = docx.Document()
    document.add_heading("Inbetriebnahme", 1)
    document.add_paragraph("Die Kaffeemaschine ist ein Gerät, das bis zu zehn Tassen in sechs Minuten brüht.")
    for step in ("Füllen Sie Wasser ein.", "Setzen Sie den Filter ein.", "Drücken Sie die Taste."):
        document.add_paragraph(step, style="List Number")
    document.add_heading("Lieferumfang", 1)
    for part in ("Kaffeemaschine", "Messlöffel", "Anleitung"):
        document.add_paragraph(part, style="List Bullet")
    out = io.BytesIO()
    document.save(out)
    found = of(out.getvalue(), "a.docx", tmp_path)
    assert (
        found["Welche Schritte sind das: Inbetriebnahme?"]
        == "1. Füllen Sie Wasser ein.\n2. Setzen Sie den Filter ein.\n3. Drücken Sie die Taste."
    )
    assert found["Was wird unter „Lieferumfang“ aufgezählt?"] == "- Kaffeemaschine\n- Messlöffel\n- Anleitung"


def test_marks_of_markdown_are_read_and_its_tables_are_tables(tmp_path: Path) -> None:
    text = "---\ntitle: x\n---\n# Bread\n\nA **starter** is a mixture of flour and water in which wild yeast lives, see [here](https://x.y).\n\n"
    text += "| Stage | Heat | Time |\n|---|--:|---|\n| Rise | 24 °C | 5 h |\n| Proof | 4 °C | 12 h |\n| Bake | 230 °C | 45 min |\n"
    found = of(text.encode(), "bread.md", tmp_path)
    assert found["What is a starter?"] == "A starter is a mixture of flour and water in which wild yeast lives, see here."
    assert found["What is the heat of Proof?"] == "4 °C"


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("Kohlen-\ndioxid steigt", "Kohlendioxid\nsteigt"),
        ("a well-known man, so well-\nknown here", "a well-known man, so well-known\nhere"),
        ("Vor-\nund Nachteile", "Vor-\nund Nachteile"),
        ("an area of 5 m² or 10³ cells", "an area of 5 m² or 10³ cells"),
        ("said so.[12] And more² here", "said so. And more here"),
        ("the _very_ end of snake_case_name", "the very end of snake_case_name"),
        ("Book 12\n\nThe end of it\n\nBook 13\n\nis near\n\nBook 14\n\nnow", "\nThe end of it\nis near\nnow"),
        ("Year 1 was good\n\nYear 2 was not", "Year 1 was good\n\nYear 2 was not"),
    ],
)
def test_what_a_printer_put_around_words_is_taken_out_and_no_word_is(before: str, after: str) -> None:
    assert cleaned(before) == after


def test_where_the_names_of_parts_mislead_the_page_is_read_whole() -> None:
    page = f"<h1>Our work</h1><div class='related work'><p>{'We help people in need. ' * 20}</p></div>"
    assert not html_blocks(page, marked=True)[0][1:]
    assert "We help people" in read_document(page.encode(), "a.html")[0].text
