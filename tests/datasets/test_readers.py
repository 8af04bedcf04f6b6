"""Every file format: nothing is lost silently, and the counts always add up."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any

import openpyxl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from loralab.core.errors import UserError
from loralab.datasets.loading import load_examples
from loralab.datasets.readers import read_bytes, readers
from tests.support.files import QA, load, said, sheet, table_text

# ---- formats ---------------------------------------------------------------------------------------------------------------


def test_every_ending_in_the_issue_has_a_reader() -> None:
    endings = {suffix for reader in readers() for suffix in reader.suffixes}
    assert {".txt", ".md", ".jsonl", ".json", ".csv", ".tsv", ".parquet", ".xlsx", ".zip"} <= endings


def test_the_same_rows_come_out_of_every_format(tmp_path: Path) -> None:
    rows = [dict(zip(("question", "answer"), pair, strict=True)) for pair in QA]
    book = openpyxl.Workbook()
    for cells in [("question", "answer"), *QA]:
        sheet(book).append(cells)
    excel = io.BytesIO()
    book.save(excel)
    packed = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows), packed)
    contents: dict[str, bytes | str] = {
        "a.jsonl": "\n".join(map(json.dumps, rows)),
        "a.json": json.dumps(rows, indent=2),
        "columns.json": json.dumps({"question": [q for q, _ in QA], "answer": [a for _, a in QA]}),
        "under_key.json": json.dumps({"version": 1, "data": rows}),
        "one_after_another.json": "\n".join(json.dumps(row, indent=1) for row in rows),
        "a.csv": table_text(),
        "semicolon.csv": table_text(";"),
        "a.tsv": table_text("\t"),
        "tabs.txt": table_text("\t") + table_text("\t", header=False) * 0 + "More?\tYes.\nLess?\tNo.\n",
        "pipes.csv": table_text("|"),
        "mac.csv": table_text(end="\r"),
        "windows.csv": table_text(end="\r\n"),
        "a.parquet": packed.getvalue(),
        "a.xlsx": excel.getvalue(),
        "really_excel.csv": excel.getvalue(),
        "a.jsonl.gz": gzip.compress("\n".join(map(json.dumps, rows)).encode()),
    }
    for name, content in contents.items():
        examples, loaded = load(tmp_path, name, content)
        assert [tuple(said(example)) for example in examples][:3] == QA, name
        assert (loaded.shape, loaded.certain, loaded.left_out) == ("question_answer", True, ()), name


def test_rows_are_numbered_as_the_program_that_made_the_file_shows_them(tmp_path: Path) -> None:
    examples, _ = load(tmp_path, "a.csv", 'question,answer\n"one\nmore",yes\nwhy?,because\n')
    assert [example.row for example in examples] == [2, 3]
    examples, _ = load(tmp_path, "a.jsonl", '{"question":"a","answer":"b"}\n\n{"question":"c","answer":"d"}\n')
    assert [example.row for example in examples] == [1, 3]


def test_excel_with_a_title_empty_rows_and_numbers(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for cells in [("My questions", None), (None, None), ("question", "answer"), ("2+2?", 4.0), (None, None), ("Empty?", None)]:
        sheet(book).append(cells)
    path = tmp_path / "book.xlsx"
    book.save(path)
    examples, loaded = load_examples(path)
    assert [(example.row, *said(example)) for example in examples] == [(4, "2+2?", "4")]
    assert {(lost.row, lost.reason.split()[0]) for lost in loaded.left_out} == {(1, "a"), (6, "The")}
    assert loaded.n_read == 3


def test_the_largest_sheet_is_read_the_others_are_listed_and_any_can_be_chosen(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    sheet(book).title = "FAQ"
    for cells in [("question", "answer"), *QA]:
        sheet(book).append(cells)
    book.create_sheet("Notes").append(("to do: ask Bob",))
    hidden = book.create_sheet("Old")
    for cells in [("prompt", "completion"), *[(f"Go on {n}", f"I will {n}.") for n in range(9)]]:
        hidden.append(cells)
    hidden.sheet_state = "hidden"
    path = tmp_path / "faq.xlsx"
    book.save(path)
    for wanted, sources in (((), {"faq.xlsx": 3}), (("Notes", "Old"), {"faq.xlsx/Notes": 1, "faq.xlsx/Old": 9})):
        examples, loaded = load_examples(path, None, wanted)
        assert Counter(example.source for example in examples) == sources
        assert loaded.n_read == sum(sources.values())
        assert {(part.name, part.rows, part.taken) for part in loaded.parts} == {
            (name, rows, name in (wanted or ("FAQ",))) for name, rows in (("FAQ", 3), ("Notes", 1), ("Old", 9))
        }
    with pytest.raises(UserError, match=r"no part “FAQs”.*“FAQ” \(3 rows\), “Notes” \(1 row\)"):
        load_examples(path, None, ("FAQs",))


@pytest.mark.parametrize(
    ("columns", "row", "roles"),
    [
        (
            ("Ticket-ID", "Customer", "Opened", "Problem description", "What we replied", "Agent"),
            (
                "T-{n}",
                "Customer {n}",
                "2026-01-{n}",
                "My machine {n} does not start any more",
                "Please hold button {n} for ten seconds",
                "Bo",
            ),
            {"prompt": "Problem description", "answer": "What we replied"},
        ),
        (
            ("Nr", "Antwort des Teams", "Anliegen des Kunden"),
            ("N{n}", "Bitte halten Sie Taste {n} lange gedrückt.", "Mein Gerät {n} startet seit gestern Abend gar nicht mehr."),
            {"prompt": "Anliegen des Kunden", "answer": "Antwort des Teams"},
        ),
        (
            ("ref", "who", "first", "second"),
            ("R{n}", "Person {n}", "A longer text about thing {n} and more", "An even longer text about thing {n}, with much more in it"),
            {"prompt": "first", "answer": "second"},
        ),
        (("who", "said"), ("Person {n}", "A longer text about thing {n} and more"), {"prompt": "who", "answer": "said"}),
    ],
)
def test_a_guess_prefers_what_is_said_to_names_and_numbers(tmp_path: Path, columns: Any, row: Any, roles: Any) -> None:
    lines = [",".join(columns), *(",".join(f'"{cell.format(n=n)}"' for cell in row) for n in range(10, 30))]
    _, loaded = load(tmp_path, "tickets.csv", "\n".join(lines))
    assert (loaded.roles, loaded.certain) == (roles, False)
    assert loaded.cells[0] == tuple(cell.format(n=10) for cell in row)


# ---- delimited text --------------------------------------------------------------------------------------------------------


def test_customer_messages_with_windows_line_ends_and_line_breaks_in_cells(tmp_path: Path) -> None:
    rows = "".join(f'"message {i}\r\n\r\nsecond, line",class {i % 3}\r\n' for i in range(30))
    examples, loaded = load(tmp_path, "banking.csv", "text,category\r\n" + rows)
    assert len(examples) == 30
    assert loaded.shape == "label"
    assert said(examples[4]) == ["message 4\n\nsecond, line", "class 1"]
    assert examples[4].label == "class 1"


def test_a_file_without_header_loses_no_row(tmp_path: Path) -> None:
    rows = "".join(f"How do I do thing number {i} in the app?,You open the menu and choose entry {i} of the list.\n" for i in range(20))
    examples, loaded = load(tmp_path, "bare.csv", rows)
    assert len(examples) == 20
    assert loaded.columns == ("column 1", "column 2")
    assert not loaded.certain
    assert said(examples[0])[0].startswith("How do I do thing number 0")


def test_unknown_column_names_are_still_a_header(tmp_path: Path) -> None:
    rows = "".join(f"this is customer note {i} with some words,{['red', 'green'][i % 2]}\n" for i in range(20))
    examples, loaded = load(tmp_path, "odd.csv", "notiz,farbe\n" + rows)
    assert loaded.columns == ("notiz", "farbe")
    assert len(examples) == 20
    assert loaded.shape == "label"
    assert not loaded.certain


def test_one_column_of_text_with_commas_is_one_column(tmp_path: Path) -> None:
    lines = ["Hello, world.", "One, two, three.", "No comma here.", "Again, two", "Just words and words"]
    examples, loaded = load(tmp_path, "one.csv", "text\n" + "\n".join(f'"{line}"' for line in lines))
    assert [example.text for example in examples] == lines
    assert loaded.shape == "text"
    assert loaded.certain


def test_a_quotation_mark_that_never_closes_costs_one_line(tmp_path: Path) -> None:
    good = "".join(f"question {i},answer {i}\n" for i in range(10))
    examples, loaded = load(tmp_path, "quote.csv", "question,answer\n" + good + 'broken,"never closed\n' + good)
    assert len(examples) == 20
    assert [lost.reason for lost in loaded.left_out] == ["Line 12 opens a quotation mark that is never closed."]


def test_a_row_with_too_many_cells_is_named(tmp_path: Path) -> None:
    good = "".join(f"question {i},answer {i}\n" for i in range(10))
    examples, loaded = load(tmp_path, "cells.csv", "question,answer\n" + good + "what,is,this\n")
    assert len(examples) == 10
    assert loaded.left_out[0].row == 12
    assert "3 cells" in loaded.left_out[0].reason


def test_a_cell_of_a_million_characters_is_read(tmp_path: Path) -> None:
    long = "word " * 200_000
    examples, _ = load(tmp_path, "huge.csv", f'question,answer\nwhy,"{long}"\nhow,so\n')
    assert said(examples[0])[1] == long.strip()


def test_excels_first_line_naming_the_delimiter_is_no_data(tmp_path: Path) -> None:
    examples, _ = load(tmp_path, "sep.csv", "sep=;\n" + table_text(";"))
    assert [tuple(said(example)) for example in examples] == QA


# ---- JSON ------------------------------------------------------------------------------------------------------------------


def test_a_broken_line_in_the_middle_costs_that_line_and_is_named(tmp_path: Path) -> None:
    lines = [json.dumps({"prompt": f"p{i}", "completion": f"c{i}"}) for i in range(5)]
    lines[2] = '{"prompt": "p2", "completion": '
    examples, loaded = load(tmp_path, "broken.jsonl", "\n".join(lines))
    assert [example.row for example in examples] == [1, 2, 4, 5]
    assert loaded.left_out[0].row == 3
    assert "Line 3 is not valid JSON" in loaded.left_out[0].reason


def test_a_list_that_breaks_off_keeps_what_came_before(tmp_path: Path) -> None:
    text = json.dumps([{"prompt": f"p{i}", "completion": f"c{i}"} for i in range(4)], indent=1)
    examples, loaded = load(tmp_path, "cut.json", text[: text.index("p3") + 1])
    assert len(examples) == 3
    assert "breaks off at line" in loaded.left_out[0].reason


def test_other_line_separators_inside_strings_do_not_cut_a_row(tmp_path: Path) -> None:
    examples, _ = load(tmp_path, "u2028.jsonl", '{"question": "a\u2028b\x85c", "answer": "d"}\n{"question": "e", "answer": "f"}\n')
    assert len(examples) == 2


def test_half_letters_and_deep_nesting_are_survived(tmp_path: Path) -> None:
    lines = [r'{"question": "odd \ud83d letter", "answer": "fine"}', "[" * 100_000, '{"question": 3, "answer": null}', "17"]
    examples, loaded = load(tmp_path, "nasty.jsonl", "\n".join(lines))
    assert len(examples) == 1
    assert len(loaded.left_out) == 3
    said(examples[0])[0].encode("utf-8")


# ---- anything at all -------------------------------------------------------------------------------------------------------

CELL = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], include_characters="\n\r\t"), max_size=40)


@settings(max_examples=80, deadline=None)
@given(
    st.lists(st.tuples(CELL, CELL), min_size=1, max_size=12).filter(lambda rows: any(cell.strip() for row in rows for cell in row)),
    st.sampled_from(",;\t"),
)
def test_whatever_is_written_as_csv_comes_back(rows: list[tuple[str, str]], delimiter: str) -> None:
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator="\n", quoting=csv.QUOTE_ALL)
    writer.writerows([("question", "answer"), *rows])
    read = read_bytes(buffer.getvalue().encode(), "x.csv")[0]
    assert len(read.rows) + len(read.left_out) == len(rows)
    plain = [tuple(cell.replace("\r\n", "\n").replace("\r", "\n") for cell in row) for row in rows]
    assert [tuple(row.values.values()) for row in read.rows] == [row for row in plain if any(cell.strip() for cell in row)]


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400), st.sampled_from([".csv", ".jsonl", ".json", ".txt", ".xlsx", ".parquet", ".zip", ".gz", ""]))
def test_no_bytes_break_a_reader(raw: bytes, suffix: str) -> None:
    with contextlib.suppress(UserError):  # the only error a reader may raise
        assert read_bytes(raw, "any" + suffix)
