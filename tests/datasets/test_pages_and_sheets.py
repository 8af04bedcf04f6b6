"""Web pages, e-books, subtitles and OpenDocument files become text and tables; a sheet reads as a person sees it."""

from __future__ import annotations

import contextlib
import datetime as dt
import io
import time
import zipfile
from pathlib import Path

import openpyxl
import pytest

from loralab.core.errors import UserError
from loralab.datasets.formats.shown import shown
from loralab.datasets.readers import Table, read_bytes
from tests.support.files import QA, load, said, sheet
from tests.support.mutations import OLD_WORKBOOK


def packed(members: dict[str, str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return made.getvalue()


def texts(table: Table) -> str:
    return "\n\n".join(str(row.values["text"]) for row in table.rows)


# ---- web pages ---------------------------------------------------------------------------------------------------------------

QUESTIONS = "".join(f"<tr><td>{q}</td><td><p>{a}</p></td></tr>" for q, a in QA)
PAGE = f"""<!DOCTYPE html><html><head><title>Help</title><script>var a = "<p>no</p>";</script></head><body>
<nav><ul><li>Home<li>About</ul></nav><h1>Help</h1><p>Tea &amp; cake,<br>every
day.</p><pre>  a
    b</pre><div hidden><p>unseen</p></div><!-- <p>no</p> --><table><tr><th>Question<th>Answer</tr>{QUESTIONS}</table>
<footer>Imprint</footer></body></html>"""


def test_a_page_gives_its_text_and_offers_its_table(tmp_path: Path) -> None:
    examples, loaded = load(tmp_path, "help.html", PAGE)
    assert [tuple(said(example)) for example in examples] == QA
    assert [(part.name, part.rows, part.taken) for part in loaded.parts] == [("Text", 1, False), ("Table 1", 3, True)]
    text, _ = read_bytes(PAGE.encode(), "help.html")
    assert texts(text) == "Help\n\nTea & cake,\nevery day.\n\n  a\n    b"
    assert text.about == "3 paragraphs, 2 menus left out"


def test_a_page_with_a_table_in_it_is_what_some_programs_call_xls(tmp_path: Path) -> None:
    examples, _ = load(tmp_path, "export.xls", f"<html><table><tr><td>Question<td>Answer</tr>{QUESTIONS}</table></html>")
    assert [tuple(said(example)) for example in examples] == QA


def test_a_workbook_of_the_old_kind_reads_as_excel_shows_it() -> None:
    for name in ("old.xls", "old.csv"):
        asked, notes = read_bytes(OLD_WORKBOOK.read_bytes(), name)
        assert asked.columns == ("question", "answer", "share", "on", "code", "price")
        assert [row.number for row in asked.rows] == list(range(2, 14))
        cells = ("What is number 0, please?", "It is 0; “of course”, and more.", "12.5%", "2023-07-16", "00123", "1,234.50 €")
        assert tuple(asked.rows[0].values.values()) == cells
        assert (asked.part, asked.about, asked.hidden) == ("Questions", "1 row of it hidden", False)
        assert (notes.part, notes.about, notes.hidden) == ("Notes", "hidden in Excel", True)


def test_a_text_with_tabs_that_is_called_xls_is_a_table(tmp_path: Path) -> None:
    examples, _ = load(tmp_path, "export.xls", "Question\tAnswer\n" + "".join(f"{q}\t{a}\n" for q, a in QA))
    assert [tuple(said(example)) for example in examples] == QA


@pytest.mark.parametrize(
    ("page", "expected"),
    [
        ("<html><nav><p>A menu that never ends</p><p>holds it all", "A menu that never ends\n\nholds it all"),
        ("<html><table><tr><td>Menu</td><td>Words<table><tr><td>in</td></tr></table></td></tr></table>", "Words\n\nin\n\nMenu"),
        ("<html><p>1 < 2 and 3<4</p>", "1 < 2 and 3<4"),
    ],
)
def test_untidy_pages_lose_no_text(page: str, expected: str) -> None:
    (table,) = read_bytes(page.encode(), "a.html")
    assert sorted(texts(table).split("\n\n")) == sorted(expected.split("\n\n"))


def test_a_page_is_read_in_the_encoding_that_it_names() -> None:
    (table,) = read_bytes(b'<html><meta charset="iso-8859-2"><p>Za\xbf\xf3\xb3\xe6</p></html>', "a.html")
    assert texts(table) == "Zażółć"


def test_cells_that_span_rows_are_in_each_of_them() -> None:
    (table,) = read_bytes(b"<html><table><tr><td rowspan=2>A<td>1</tr><tr><td>2</tr><tr><td>B<td>3</tr></table>", "a.html")
    assert [tuple(row.values.values()) for row in table.rows] == [("A", "1"), ("A", "2"), ("B", "3")]


@pytest.mark.parametrize(
    "part", ["<", "<a ", "<!--", "<td colspan=200 rowspan=200>x", "<table><tr><td>", "<div>", '<a href="', "<script>", "<nav>x"]
)
def test_pages_of_garbage_are_read_or_refused_in_bounded_time(part: str) -> None:
    begun = time.process_time()
    with contextlib.suppress(UserError):
        assert read_bytes(f"<html><table><tr>{part * 60_000}".encode(), "a.html")
    assert time.process_time() - begun < 20


def test_a_picture_within_a_text_is_counted_and_not_learned() -> None:
    (table,) = read_bytes(f"A cat.\n\n![cat](data:image/png;base64,{'iVBO' * 99})".encode(), "notes.md")
    assert texts(table) == "A cat.\n\n![cat]()"
    assert table.about == "1 picture not read"


def test_letters_without_words_are_no_text() -> None:
    with pytest.raises(UserError, match="letters and digits without words"):
        read_bytes(b"iVBORw0KGgo" * 200, "a.txt")
    (table,) = read_bytes(
        (
            "See https://example.org/"
            + "a" * 80
            + ", where there are many more words about it, for those who want to know all that there is to be known. "
        ).encode()
        * 20,
        "a.txt",
    )
    assert table.rows


# ---- e-books and subtitles -----------------------------------------------------------------------------------------------------

BOOK = {
    "mimetype": "application/epub+zip",
    "META-INF/container.xml": '<container xmlns="urn:c"><rootfiles><rootfile full-path="in/b.opf"/></rootfiles></container>',
    "in/b.opf": '<!DOCTYPE package><package xmlns="urn:o"><manifest><item id="a" href="a.xhtml"/><item id="b" href="b%20b.xhtml"/>'
    '<item id="c" href="gone.xhtml"/></manifest><spine><itemref idref="b"/><itemref idref="a"/><itemref idref="c"/></spine></package>',
    "in/a.xhtml": "<html><body><h1>Two</h1><p>Second.</p></body></html>",
    "in/b b.xhtml": "<html><body><h1>One</h1><p>First.</p></body></html>",
    "in/cover.png": "x",
}


@pytest.mark.parametrize("name", ["story.epub", "story.zip"])
def test_a_book_is_read_in_the_order_of_its_chapters(name: str) -> None:
    (table,) = read_bytes(packed(BOOK), name)
    assert texts(table) == "One\n\nFirst.\n\nTwo\n\nSecond."
    assert table.about == "4 paragraphs, 3 chapters, 1 picture not read"
    assert [lost.reason for lost in table.left_out] == ["Chapter 3 cannot be read: it is damaged or protected."]


SRT = (
    "1\n00:00:01,000 --> 00:00:03,000\n<i>Hello there.</i>\n\n2\n00:00:03,500 --> 00:00:05,000\nHow are you?\n\n"
    "3\n00:01:00,000 --> 00:01:02,000\n42\n"
)
VTT = "WEBVTT\n\nNOTE by me\n\nintro\n00:01.000 --> 00:03.000\n<v Anna>Hello</v>\nyou\n\n00:03.000 --> 00:04.000\nyou\nthere\n"


@pytest.mark.parametrize(
    ("name", "content", "expected", "lost"),
    [
        ("talk.srt", SRT, "Hello there. How are you?\n\n42", 0),
        ("talk.txt", SRT, "Hello there. How are you?\n\n42", 0),
        ("talk.srt", f"who wrote this\n\n{SRT}", "Hello there. How are you?\n\n42", 1),
        ("talk.vtt", VTT, "Anna: Hello you there", 0),
    ],
)
def test_subtitles_become_what_was_said(name: str, content: str, expected: str, lost: int) -> None:
    (table,) = read_bytes(content.encode(), name)
    assert texts(table) == expected
    assert len(table.left_out) == lost


# ---- OpenDocument --------------------------------------------------------------------------------------------------------------

SPACES = 'xmlns:office="urn:o" xmlns:text="urn:t" xmlns:table="urn:b" xmlns:style="urn:s"'


def document(body: str, styles: str = "") -> bytes:
    styles = f"<office:automatic-styles>{styles}</office:automatic-styles>"
    content = f"<office:document-content {SPACES}>{styles}<office:body>{body}</office:body></office:document-content>"
    return packed({"mimetype": "application/vnd.oasis.opendocument", "content.xml": content})


def line(*cells: str, about: str = "") -> str:
    said = "".join(f"<table:table-cell><text:p>{cell}</text:p></table:table-cell>" if cell else "<table:table-cell/>" for cell in cells)
    return f"<table:table-row {about}>{said}</table:table-row>"


def test_a_text_gives_its_words_and_its_table(tmp_path: Path) -> None:
    words = (
        "<text:tracked-changes><text:p>deleted</text:p></text:tracked-changes><text:h>Title</text:h>"
        '<text:p>One<text:s text:c="2"/>two<text:line-break/>three <text:span>four</text:span></text:p>'
    )
    table = f"<table:table>{line('Question', 'Answer')}{''.join(line(*pair) for pair in QA)}</table:table>"
    raw = document(f"<office:text>{words}{table}</office:text>")
    examples, _ = load(tmp_path, "faq.odt", raw)
    assert [tuple(said(example)) for example in examples] == QA
    assert texts(read_bytes(raw, "faq.odt")[0]) == "Title\n\nOne  two\nthree four"


def test_a_table_reads_as_it_is_shown_and_tells_what_is_hidden() -> None:
    rows = (
        line("Prices"),
        line("item", "price"),
        line("apple", "12.5 %"),
        line("pear", "€ 3.00", about='table:visibility="collapse"'),
        line("", "", about='table:number-rows-repeated="1048000"'),
        line("fig", "1 May 2024"),
    )
    hidden = '<style:style style:name="h"><style:table-properties table:display="false"/></style:style>'
    more = f'<table:table table:name="Old" table:style-name="h">{line("item", "price")}{line("plum", "2")}</table:table>'
    raw = document(f'<office:spreadsheet><table:table table:name="New">{"".join(rows)}</table:table>{more}</office:spreadsheet>', hidden)
    new, old = read_bytes(raw, "prices.ods")
    assert [tuple(row.values.values())[1] for row in new.rows][-3:] == ["12.5 %", "€ 3.00", "1 May 2024"]
    assert [row.number for row in new.rows][-1] == 1_048_005
    assert (new.about, new.hidden, old.part, old.hidden) == ("1 row of it hidden", False, "Old", True)


def test_brackets_within_brackets_without_end_are_refused() -> None:
    deep = f"<office:text>{'<text:span>' * 100_000}{'</text:span>' * 100_000}</office:text>"
    with pytest.raises(UserError, match="is damaged"):
        read_bytes(document(deep), "a.odt")
    with pytest.raises(UserError, match="is damaged"):
        read_bytes(packed({"mimetype": "x", "content.xml": '<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'}), "a.odt")


# ---- Excel ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "style", "expected"),
    [
        (0.125, "0.0 %", "12.5 %"),
        (-0.3, "0%", "-30%"),
        (1234.5, '#,##0.00 "€"', "1,234.50 €"),
        (1234.5, r"#,##0.00\ [$€-407]", "1,234.50 €"),
        (-5.5, "$#,##0.00_);[Red]($#,##0.00)", "($5.50)"),
        (123, "00000", "00123"),
        (5, "0.##", "5"),
        (1500, '#,##0.0,"k"', "1.5k"),
        (42, '"Nr. "0', "Nr. 42"),
        (5551234, "000-0000", 5551234),
        (0.5, "# ?/?", 0.5),
        (3.5, "General", 3.5),
        ("#N/A", "General", None),
        ("text", "0.0 %", "text"),
        ("a_x000D_\nb _x005F_x0041_", "General", "a\r\nb _x0041_"),
        (True, "0", True),
        (dt.datetime(2023, 7, 16), "DD.MM.YYYY", "2023-07-16"),  # noqa: DTZ001 - a sheet knows no time zone
        (dt.datetime(2023, 7, 16, 9, 5), "DD.MM.YYYY hh:mm", "2023-07-16 09:05"),  # noqa: DTZ001 - likewise
        (dt.timedelta(hours=30), "[h]:mm:ss", "30:00:00"),
    ],
)
def test_a_cell_reads_as_a_person_sees_it(value: object, style: str, expected: object) -> None:
    assert shown(value, style) == expected


def test_a_workbook_tells_what_is_hidden_and_what_it_does_not_hold() -> None:
    book = openpyxl.Workbook()
    for cells in [("day", "share", "price"), (dt.date(2023, 7, 16), 0.125, 3.5), (dt.date(2023, 7, 17), "=B2*2", None)]:
        sheet(book).append(cells)
    sheet(book)["B2"].number_format = "0.0 %"
    sheet(book).row_dimensions[3].hidden = True
    sheet(book).column_dimensions["C"].hidden = True
    made = io.BytesIO()
    book.save(made)
    (table,) = read_bytes(made.getvalue(), "a.xlsx")
    assert [row.values["share"] for row in table.rows] == ["12.5 %", ""]
    assert table.rows[0].values["day"] == "2023-07-16"
    told = "1 row of it hidden, hidden columns, 1 formula without a stored result: open it in Excel and save it again"
    assert table.about == told


def test_one_cell_far_away_costs_no_million_columns() -> None:
    book = openpyxl.Workbook()
    for cells in [("question", "answer"), *QA]:
        sheet(book).append(cells)
    sheet(book)["AAA200000"] = "far"
    made = io.BytesIO()
    book.save(made)
    (table,) = read_bytes(made.getvalue(), "a.xlsx")
    assert [tuple(row.values.values())[:2] for row in table.rows] == QA
    assert [lost.row for lost in table.left_out] == [200_000]
