"""Word documents and PDFs become passages and rows; what is neither is named for what it is, whatever it is called."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import docx
import pytest
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from pypdf import PdfReader, PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from loralab.core.errors import UserError
from loralab.core.paths import STARTER
from loralab.datasets.formats.documents import flowing, readable
from loralab.datasets.profile import profile_dataset
from loralab.datasets.readers import read_bytes
from tests.support.files import QA, load, said
from ui.tabs.dataset.view import said_html

PROSE = [f"Paragraph {n}. " + "We help everybody who comes into the shop with what they need. " * 4 for n in range(12)]


def saved(thing: Any) -> bytes:
    """What a document or a writer of PDFs saves."""
    packed = io.BytesIO()
    (thing.save if hasattr(thing, "save") else thing.write)(packed)
    return packed.getvalue()


def word(paragraphs: list[str], rows: list[tuple[str, str]] = []) -> Any:  # noqa: B006 - never changed
    document = docx.Document()
    for text in paragraphs:
        document.add_paragraph(text)
    if rows:
        table = document.add_table(rows=0, cols=2)
        for row in rows:
            for cell, text in zip(table.add_row().cells, row, strict=True):
                cell.text = text
    return document


def pdf(pages: list[list[str]]) -> PdfWriter:
    """Pages of lines, as plain as a PDF can be."""
    writer = PdfWriter()
    for lines in pages:
        page = writer.add_blank_page(600, 800)
        font = DictionaryObject({NameObject(f"/{key}"): NameObject(f"/{value}") for key, value in _FONT.items()})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): DictionaryObject({NameObject("/F"): font})})
        content = DecodedStreamObject()
        drawn = "".join(f"({line}) Tj 0 -14 Td " for line in lines)
        content.set_data(f"BT /F 10 Tf 40 760 Td {drawn}ET".encode("latin-1"))
        page[NameObject("/Contents")] = writer._add_object(content)
    return writer


_FONT = {"Type": "Font", "Subtype": "Type1", "BaseFont": "Helvetica", "Encoding": "WinAnsiEncoding"}
LINES = [
    "This sentence is long enough to be broken by the width of its page, which is why it",
    "goes on here. A poem is not:",
    "Short.",
    "Lines.",
]


# ---- Word --------------------------------------------------------------------------------------------------------------------


def test_a_document_becomes_passages_and_loses_nothing(tmp_path: Path) -> None:
    examples, loaded = load(tmp_path, "Handbook.docx", saved(word(PROSE)))
    assert " ".join(" ".join(example.text for example in examples).split()) == " ".join(" ".join(PROSE).split())
    assert (loaded.shape, [part.about for part in loaded.parts]) == ("text", ["12 paragraphs"])


def test_a_table_of_questions_becomes_rows_and_the_text_beside_it_is_listed(tmp_path: Path) -> None:
    examples, loaded = load(tmp_path, "FAQ.docx", saved(word(["What people ask us."], [("Question", "Answer"), *QA])))
    assert [tuple(said(example)) for example in examples] == QA
    assert [(part.name, part.rows, part.taken) for part in loaded.parts] == [("Text", 1, False), ("Table 1", 3, True)]


def test_what_was_inserted_is_read_and_what_was_deleted_is_not(tmp_path: Path) -> None:
    document = word(["Before. "])
    changed = '<w:{kind} {ns} w:id="1" w:author="a"><w:r><w:{tag}>{text}</w:{tag}></w:r></w:{kind}>'
    for kind, tag, text in (("ins", "t", "Put in."), ("del", "delText", "Taken out.")):
        document.paragraphs[0]._p.append(parse_xml(changed.format(kind=kind, tag=tag, text=text, ns=nsdecls("w"))))
    box = f"<w:sdt {nsdecls('w')}><w:sdtContent><w:p><w:r><w:t>In a form.</w:t></w:r></w:p></w:sdtContent></w:sdt>"
    document.element.body.insert(1, parse_xml(box))
    (example,), _ = load(tmp_path, "a.docx", saved(document))
    assert example.text == "Before. Put in.\n\nIn a form."


# ---- PDF ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Handbook.pdf", "Handbook.txt", "Handbook.csv"])
def test_the_text_of_a_pdf_is_read_whatever_it_is_called(tmp_path: Path, name: str) -> None:
    pages = [["The Handbook", f"{word} begins here.", *LINES, f"The {word} ends.", f"Page {n}"] for n, word in enumerate("ABCDE", 1)]
    examples, loaded = load(tmp_path, name, saved(pdf(pages)))
    text = "\n".join(example.text for example in examples)
    assert "page, which is why it goes on here. A poem is not:\nShort.\nLines." in text
    assert "The Handbook" not in text, "a running title is no sentence"
    assert [part.about for part in loaded.parts] == ["5 pages, 10 lines taken out that stood on every page"]


def test_a_page_that_is_a_picture_is_counted_and_a_scan_refused(tmp_path: Path) -> None:
    from PIL import Image

    scan = io.BytesIO()
    Image.new("RGB", (40, 40), "white").save(scan, "PDF")
    with pytest.raises(UserError, match=r"is a scan: 1 page of pictures.*OCR"):
        load(tmp_path, "scan.pdf", scan.getvalue())
    mixed = pdf([LINES])
    mixed.append(PdfReader(io.BytesIO(scan.getvalue())))
    _, loaded = load(tmp_path, "mixed.pdf", saved(mixed))
    assert [lost.reason for lost in loaded.left_out] == ["Page 2 is a picture: the words in it cannot be read."]


def test_lines_are_put_together_only_where_the_page_broke_them() -> None:
    poem = ["Roses are red,", "Violets are blue,", "", "Sugar is sweet"]
    assert flowing(["\n".join(poem)]) == ("\n".join(poem), 0)
    wide = "x" * 70
    assert flowing([f"{wide} Lern-\nprozess."])[0] == f"{wide} Lernprozess."
    assert readable("Guten Tag, wie geht es?")
    assert not readable("\ue001\ue002\ue003 /:;<")


# ---- what is refused -----------------------------------------------------------------------------------------------------------


def locked() -> bytes:
    writer = pdf([LINES])
    writer.encrypt("secret", algorithm="RC4-128")
    return saved(writer)


def packed(*names: str) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        for name in names:
            archive.writestr(name, PICTURE if name.endswith("png") else b"x")
    return made.getvalue()


PICTURE = b"\x89PNG\r\n\x1a\n" + bytes(99)
OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(500)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("locked.pdf", locked, r"locked\.pdf is protected with a password"),
        ("broken.pdf", lambda: saved(pdf([LINES]))[:200], r"broken\.pdf is damaged"),
        ("broken.docx", lambda: saved(word(PROSE))[:2000], r"broken\.docx is damaged"),
        ("empty.docx", lambda: saved(word([])), r"empty\.docx holds no text"),
        ("locked.docx", lambda: OLE + "EncryptedPackage\0".encode("utf-16-le"), "locked with a password"),
        ("letter.doc", lambda: OLE + "WordDocument\0".encode("utf-16-le"), r"Word document of the old kind.*save it as \.docx"),
        ("talk.pptx", lambda: packed("[Content_Types].xml", "ppt/presentation.xml"), "is a presentation"),
        ("letter.odt", lambda: packed("mimetype", "content.xml"), r"letter\.odt is damaged or not an OpenDocument file"),
        ("book.epub", lambda: packed("mimetype", "META-INF/container.xml"), r"book\.epub is damaged or not an e-book"),
        ("book.mobi", lambda: bytes(60) + b"BOOKMOBI" + bytes(99), "e-book of a kind"),
        ("letters.otf", lambda: b"OTTO\0" + bytes(99), "is a font"),
        ("tune.mid", lambda: b"MThd\0\0\0" + bytes(99), "is a sound or a video"),
        ("mail.msg", lambda: OLE + "__substg1.0_0037001F".encode("utf-16-le"), "is a mailbox or a mail"),
        ("mail.eml", lambda: b"From: a@b.c\nTo: d@e.f\nSubject: Hi\nMIME-Version: 1.0\n\nWords.", "is a mailbox or a mail"),
        ("gone.html", lambda: b"<html><title>404 Not Found</title><h1>Not Found</h1></html>", "is a page that says “404 Not Found”"),
        ("hub.html", lambda: b"<html><title>Sign in - Hub</title><p>Sign in to go on.</p></html>", "is a page that says “Sign in - Hub”"),
        ("app.html", lambda: b"<html><script>start()</script><div id=app></div></html>", "is a web page without text"),
        ("rows.csv", lambda: b"<!DOCTYPE html><html><p>Hi</p></html>", "is a web page.*get it again"),
        ("dog.csv", lambda: PICTURE, "is a picture"),
        ("song.txt", lambda: b"ID3\x03\0\0" + bytes(400), "is a sound or a video"),
        ("setup.txt", lambda: b"MZ\x90\0" + bytes(400), "is a program"),
        ("letter.rtf", lambda: b"{\\rtf1\\ansi}", r"letter\.rtf holds no text"),
        ("letter.rtf", lambda: b"{\\rtf1\\ansi \\u99999999? Hello}", r"letter\.rtf is damaged"),
        ("page.txt", lambda: b"<!DOCTYPE html><html><p>Hi</p></html>", "is a web page"),
        (
            "photos.zip",
            lambda: packed("a/1.png", "a/2.png", "a/3.png"),
            r"photos\.zip holds 3 pictures\. Pictures are learned from together",
        ),
    ],
)
def test_what_holds_no_text_is_named_for_what_it_is(tmp_path: Path, name: str, content: Callable[[], bytes], words: str) -> None:
    with pytest.raises(UserError, match=words) as refused:
        load(tmp_path, name, content())
    assert refused.value.problem.todo, "every refusal has a way out"
    assert ".png" not in str(refused.value), "no file inside is named at random"


@pytest.mark.parametrize(
    "text",
    [
        "MZ is how programs begin.",
        "BM 25 is a road.",
        "In a file %PDF-1.4 stands first.",
        "From: me\nTo: you\nSubject: us\n\nA poem.",
        "ID3 tags hold titles.",
    ],
)
def test_a_text_that_begins_like_something_else_is_read(tmp_path: Path, text: str) -> None:
    (example,), _ = load(tmp_path, "a.txt", text)
    assert example.text == text


RICH = r"""{\rtf1\ansi\ansicpg1250{\fonttbl\f0\fswiss\fcharset238 Arial;}{\info{\title No}}{\header no}
\pard Za\'bf\'f3\'b3\'e6 \u-10179?\u-8704? \b bold\b0  co\-operate.{\deleted  gone}{\footnote no}\par
See {\field{\*\fldinst{HYPERLINK "a"}}{\fldrslt one}} and {\field{\*\fldinst{HYPERLINK "b"}}{\fldrslt two}}.\line Next.\par
{\pict\pngblip 89504e47}\trowd\cellx1\cellx2 Question\cell Answer\cell\row
\trowd\cellx1\cellx2 Is tea\par hot?\cell It is.\cell\trowd\cellx1\cellx2\row
\trowd\cellx1\cellx2 Is ice cold?\cell Yes, it is.\cell\row\pard The end \\cell of it.\par}"""


def test_rich_text_gives_its_words_and_its_table() -> None:
    for name, rest in (("a.rtf", ""), ("a.txt", ""), ("a.rtf", ", cut off before its end")):
        text, table = read_bytes(RICH.removesuffix("}" if rest else "").encode(), name)
        words = "Zażółć \U0001f600 bold cooperate.\n\nSee one and two.\nNext.\n\nThe end \\cell of it."
        assert [row.values["text"] for row in text.rows] == [words]
        assert text.about == f"3 paragraphs, 1 picture not read, 1 note not read{rest}"
        pairs = [("Is tea\nhot?", "It is."), ("Is ice cold?", "Yes, it is.")]
        assert [tuple(row.values.values()) for row in table.rows] == pairs
        assert table.columns == ("Question", "Answer")


def test_what_only_its_name_calls_rich_text_is_read_as_text(tmp_path: Path) -> None:
    (example,), _ = load(tmp_path, "a.rtf", "Only words.")
    assert example.text == "Only words."


def test_only_running_text_is_said_to_be_cut(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([f"Text {n} of several." for n in range(9)])[:-1] + ",]", "utf-8")
    (tmp_path / "a.pdf").write_bytes(saved(pdf([LINES])))
    assert said_html(profile_dataset(tmp_path / "a.json", STARTER)) == "Running text (put right: commas too many in 1 row)."
    assert "cut into" in said_html(profile_dataset(tmp_path / "a.pdf", STARTER))


WRITTEN = {
    "items.xml": ("<?xml version='1.0'?>\n<items>\n" + "<item>Pump</item>\n" * 9 + "</items>", "XML"),
    "shop.sql": ("CREATE TABLE goods (id int, name text);\n" + "INSERT INTO goods VALUES (1, 'Pump');\n" * 9, "commands for a database"),
    "app.log": ("2024-05-01 12:00:01 INFO the server has begun to listen\n" * 9, "begin with a time"),
    "people.vcf": ("BEGIN:VCARD\nVERSION:4.0\nFN:Ada\nEND:VCARD\n" * 4, "address cards"),
    "dates.ics": ("BEGIN:VCALENDAR\nBEGIN:VEVENT\nSUMMARY:Tea\nEND:VEVENT\nEND:VCALENDAR\n", "a calendar"),
    "compose.yaml": ("services:\n  web:\n    image: nginx\n    ports:\n      - 80:80\n  db:\n    image: postgres\n", "settings"),
    "tool.py": ("import os\n\n\ndef main(path):\n    for name in os.listdir(path):\n        print(name)\n\n\nmain('.')\n", "program code"),
}
READ = (
    "Enter the KING.\n\nKING: What news from France?\nMESSENGER: None, my lord; the wind is contrary;\nKING: Then wait.",
    "Shall I compare thee to a summer's day;\nThou art more lovely and more temperate;\nRough winds do shake the darling buds;",
    "# Notes\n\n- Call the office (twice).\n- Then: write it down.\n\nIt opens at 9:00. <b>Nobody</b> came.",
)


@pytest.mark.parametrize("renamed", [False, True])
@pytest.mark.parametrize("name", WRITTEN)
def test_text_for_programs_is_asked_about(tmp_path: Path, name: str, renamed: bool) -> None:
    text, seen = WRITTEN[name]
    examples, loaded = load(tmp_path, "notes.txt" if renamed else name, text)
    assert (loaded.shape, loaded.certain) == ("text", False)
    assert examples
    assert any(seen in part.about for part in loaded.parts), loaded.parts


@pytest.mark.parametrize("text", READ)
def test_plays_verse_and_notes_are_not_taken_for_code(tmp_path: Path, text: str) -> None:
    assert load(tmp_path, "notes.txt", text)[1].certain


def test_what_was_said_of_code_does_not_hold_for_a_log(tmp_path: Path) -> None:
    for name, (text, _) in WRITTEN.items():
        (tmp_path / name).write_text(text * 20, "utf-8")
    home = tmp_path / "home"
    home.mkdir()
    taken = profile_dataset(tmp_path / "tool.py", STARTER, roles={"text": "text"}, home=home)
    assert taken.certain
    assert profile_dataset(tmp_path / "tool.py", STARTER, home=home).certain, "it is asked once"
    assert not profile_dataset(tmp_path / "app.log", STARTER, home=home).certain
    assert "program code" in said_html(taken)


def test_cells_of_a_notebook_are_texts(tmp_path: Path) -> None:
    cells = [{"cell_type": "markdown", "source": [f"# Step {n}\n", "Then look."], "metadata": {}} for n in range(5)]
    code = {"cell_type": "code", "source": "print(1)", "outputs": [{"output_type": "stream", "text": ["1"]}], "execution_count": 1}
    whole = {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [*cells, code, {"cell_type": "code", "source": []}]}
    examples, loaded = load(tmp_path, "a.ipynb", json.dumps(whole))
    assert [example.text for example in examples] == [*(f"# Step {n}\nThen look." for n in range(5)), "print(1)"]
    assert loaded.roles == {"text": "text"}
    assert [lost.reason for lost in loaded.left_out] == ["The cell is empty."]
    assert {use.name for use in loaded.fields if not use.used_for} == {"cell_type", "outputs"}
