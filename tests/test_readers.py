"""Reading real and nasty files: nothing is lost silently, and the counts always add up."""

from __future__ import annotations

import csv
import gzip
import io
import json
import stat
import zipfile
from pathlib import Path

import openpyxl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import parquet

from loralab.dataset import Loaded, load_examples
from loralab.encoding import decode
from loralab.errors import UserError
from loralab.passages import LIMIT, passages
from loralab.readers import read_bytes, readers
from loralab.records import Example

QA = [("What is LoRA?", "A small adapter."), ("Why small?", "It fits anywhere."), ("Who trains it?", "You do, at home.")]


def load(folder: Path, name: str, content: bytes | str, encoding: str = "utf-8") -> tuple[tuple[Example, ...], Loaded]:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode(encoding))
    examples, loaded = load_examples(path)
    assert len(examples) + len(loaded.left_out) == loaded.n_read
    return examples, loaded


def said(example: Example) -> list[str]:
    return [message.content for message in example.messages]


def table_text(delimiter: str = ",", end: str = "\n", header: bool = True) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator=end)
    writer.writerows([("question", "answer"), *QA] if header else QA)
    return buffer.getvalue()


# ---- formats ---------------------------------------------------------------------------------------------------------------


def test_every_ending_in_the_issue_has_a_reader() -> None:
    endings = {suffix for reader in readers() for suffix in reader.suffixes}
    assert {".txt", ".md", ".jsonl", ".json", ".csv", ".tsv", ".parquet", ".xlsx", ".zip"} <= endings


def test_the_same_rows_come_out_of_every_format(tmp_path: Path) -> None:
    rows = [dict(zip(("question", "answer"), pair, strict=True)) for pair in QA]
    book = openpyxl.Workbook()
    for cells in [("question", "answer"), *QA]:
        book.active.append(cells)
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
        assert loaded.shape == "question_answer" and loaded.certain and not loaded.left_out, name


def test_rows_are_numbered_as_the_program_that_made_the_file_shows_them(tmp_path: Path) -> None:
    examples, _ = load(tmp_path, "a.csv", 'question,answer\n"one\nmore",yes\nwhy?,because\n')
    assert [example.row for example in examples] == [2, 3]
    examples, _ = load(tmp_path, "a.jsonl", '{"question":"a","answer":"b"}\n\n{"question":"c","answer":"d"}\n')
    assert [example.row for example in examples] == [1, 3]


def test_excel_with_a_title_empty_rows_and_numbers(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for cells in [("My questions", None), (None, None), ("question", "answer"), ("2+2?", 4.0), (None, None), ("Empty?", None)]:
        book.active.append(cells)
    path = tmp_path / "book.xlsx"
    book.save(path)
    examples, loaded = load_examples(path)
    assert [(example.row, *said(example)) for example in examples] == [(4, "2+2?", "4")]
    assert {(lost.row, lost.reason.split()[0]) for lost in loaded.left_out} == {(1, "A"), (6, "The")}
    assert loaded.n_read == 3


def test_every_sheet_of_a_workbook_is_read(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.active.append(("question", "answer"))
    book.active.append(QA[0])
    more = book.create_sheet("More")
    more.append(("prompt", "completion"))
    more.append(("Go on", "I will."))
    book.save(tmp_path / "two.xlsx")
    examples, loaded = load_examples(tmp_path / "two.xlsx")
    assert [example.source for example in examples] == ["two.xlsx/Sheet", "two.xlsx/More"]
    assert loaded.n_read == 2


# ---- delimited text --------------------------------------------------------------------------------------------------------


def test_customer_messages_with_windows_line_ends_and_line_breaks_in_cells(tmp_path: Path) -> None:
    rows = "".join(f'"message {i}\r\n\r\nsecond, line",class {i % 3}\r\n' for i in range(30))
    examples, loaded = load(tmp_path, "banking.csv", "text,category\r\n" + rows)
    assert len(examples) == 30 and loaded.shape == "label"
    assert said(examples[4]) == ["message 4\n\nsecond, line", "class 1"]
    assert examples[4].label == "class 1"


def test_a_file_without_header_loses_no_row(tmp_path: Path) -> None:
    rows = "".join(f"How do I do thing number {i} in the app?,You open the menu and choose entry {i} of the list.\n" for i in range(20))
    examples, loaded = load(tmp_path, "bare.csv", rows)
    assert len(examples) == 20 and loaded.columns == ("column 1", "column 2") and not loaded.certain
    assert said(examples[0])[0].startswith("How do I do thing number 0")


def test_unknown_column_names_are_still_a_header(tmp_path: Path) -> None:
    rows = "".join(f"this is customer note {i} with some words,{['red', 'green'][i % 2]}\n" for i in range(20))
    examples, loaded = load(tmp_path, "odd.csv", "notiz,farbe\n" + rows)
    assert loaded.columns == ("notiz", "farbe") and len(examples) == 20
    assert loaded.shape == "label" and not loaded.certain


def test_one_column_of_text_with_commas_is_one_column(tmp_path: Path) -> None:
    lines = ["Hello, world.", "One, two, three.", "No comma here.", "Again, two", "Just words and words"]
    examples, loaded = load(tmp_path, "one.csv", "text\n" + "\n".join(f'"{line}"' for line in lines))
    assert [example.text for example in examples] == lines and loaded.shape == "text" and loaded.certain


def test_a_quotation_mark_that_never_closes_costs_one_line(tmp_path: Path) -> None:
    good = "".join(f"question {i},answer {i}\n" for i in range(10))
    examples, loaded = load(tmp_path, "quote.csv", "question,answer\n" + good + 'broken,"never closed\n' + good)
    assert len(examples) == 20
    assert [lost.reason for lost in loaded.left_out] == ["Line 12 opens a quotation mark that is never closed."]


def test_a_row_with_too_many_cells_is_named(tmp_path: Path) -> None:
    good = "".join(f"question {i},answer {i}\n" for i in range(10))
    examples, loaded = load(tmp_path, "cells.csv", "question,answer\n" + good + "what,is,this\n")
    assert len(examples) == 10 and loaded.left_out[0].row == 12 and "3 cells" in loaded.left_out[0].reason


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
    assert loaded.left_out[0].row == 3 and "Line 3 is not valid JSON" in loaded.left_out[0].reason


def test_a_list_that_breaks_off_keeps_what_came_before(tmp_path: Path) -> None:
    text = json.dumps([{"prompt": f"p{i}", "completion": f"c{i}"} for i in range(4)], indent=1)
    examples, loaded = load(tmp_path, "cut.json", text[: text.index("p3") + 1])
    assert len(examples) == 3 and "breaks off at line" in loaded.left_out[0].reason


def test_other_line_separators_inside_strings_do_not_cut_a_row(tmp_path: Path) -> None:
    examples, _ = load(tmp_path, "u2028.jsonl", '{"question": "a\u2028b\x85c", "answer": "d"}\n{"question": "e", "answer": "f"}\n')
    assert len(examples) == 2


def test_half_letters_and_deep_nesting_are_survived(tmp_path: Path) -> None:
    lines = [r'{"question": "odd \ud83d letter", "answer": "fine"}', "[" * 100_000, '{"question": 3, "answer": null}', "17"]
    examples, loaded = load(tmp_path, "nasty.jsonl", "\n".join(lines))
    assert len(examples) == 1 and len(loaded.left_out) == 3
    said(examples[0])[0].encode("utf-8")


# ---- encodings -------------------------------------------------------------------------------------------------------------

WESTERN = "question,answer\nOù est le café ?,Près de l'hôtel, à côté.\n".replace("l, à", "l à") + "Señor?,Mañana\nGrüße?,Schöne Grüße\n"
CHINESE = "問題,答案\n什麼是模型？,模型是一種會學習的程式。\n今天天氣如何？,今天天氣很好，適合出門。\n"
SIMPLIFIED = "问题,答案\n什么是模型？,模型是一种会学习的程序。\n今天天气如何？,今天天气很好，适合出门。\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        *((WESTERN, name) for name in ("utf-8", "utf-8-sig", "latin-1", "cp1252", "utf-16", "utf-16-le", "utf-16-be", "utf-32")),
        *((CHINESE, name) for name in ("utf-8", "big5", "utf-16", "utf-16-le", "utf-8-sig")),
        (SIMPLIFIED, "gb18030"),
        ("question,answer\n“Quoted” – dashed?,It’s fine…\nNaïve?,Only a little\n", "cp1252"),
    ],
)
def test_encodings_are_found_by_themselves(tmp_path: Path, text: str, encoding: str) -> None:
    examples, _ = load(tmp_path, "text.csv", text, encoding)
    assert [said(example) for example in examples] == [line.split(",") for line in text.split("\n")[1:-1]]


def test_a_long_russian_file_is_not_called_western() -> None:
    text = "Вопрос и ответ: как научить модель писать стихи? Нужно собрать примеры и начать обучение. " * 20
    assert decode(text.encode("cp1251")).text == text


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Où est passé l'été dernier ? À côté du château, près de la forêt où les élèves ont rêvé d'être sages. ", "cp1252"),
        ("Zażółć gęślą jaźń: wszystkie przykłady są krótkie, więc model szybko się uczy i pisze dłuższe wiersze. ", "cp1250"),
    ],
)
def test_french_and_polish_are_told_apart_when_there_is_enough_of_them(text: str, encoding: str) -> None:
    assert decode((text * 10).encode(encoding)).text == text * 10


def test_utf8_with_a_broken_byte_stays_utf8() -> None:
    decoded = decode("Größe, Straße, Käse, Öl, Übung. ".encode() * 20 + b"\xff ende")
    assert decoded.encoding == "utf-8" and decoded.text.startswith("Größe") and decoded.text.count("\ufffd") == 1


def test_line_breaks_and_indents_of_poems_survive(tmp_path: Path) -> None:
    poem = "Hear the sledges with the bells--\n      Silver bells!\n\nWhat a world"
    examples, loaded = load(tmp_path, "poems.jsonl", json.dumps({"title": "The Bells", "author": "Poe", "poem": "\n" + poem + "\n"}))
    assert said(examples[0]) == ["The Bells", poem] and not loaded.certain
    examples, _ = load(tmp_path, "poems.csv", f'prompt,completion\r\nBells,"{poem}"\r\n'.replace("\n", "\r\n").replace("\r\r", "\r"))
    assert said(examples[0])[1] == poem


# ---- plain text ------------------------------------------------------------------------------------------------------------


def test_plain_text_becomes_passages_without_losing_a_word(tmp_path: Path) -> None:
    text = "\n\n".join(f"Paragraph {i}. " + "Some words follow here. " * (i % 90) for i in range(60))
    examples, loaded = load(tmp_path, "book.txt", text)
    assert loaded.shape == "text" and loaded.certain
    assert " ".join(example.text for example in examples).split() == text.split()
    assert max(len(example.text) for example in examples) <= LIMIT


@settings(max_examples=150, deadline=None)
@given(st.text(alphabet=st.sampled_from("ab. \n!。字"), max_size=4000), st.integers(20, 300))
def test_passages_keep_all_words_and_the_limit(text: str, limit: int) -> None:
    cut = passages(text, limit)
    assert "".join("".join(cut).split()) == "".join(text.split())
    assert all(0 < len(passage) <= limit and passage.strip() for passage in cut)


# ---- what cannot be read ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("empty.csv", b"", "empty_file"),
        ("blank.jsonl", b"\n \n\t\n", "empty_file"),
        ("bom.txt", b"\xef\xbb\xbf\n", "empty_file"),
        ("header.csv", b"question,answer\n", "empty_file"),
        ("picture.txt", bytes(range(256)) * 40, "not_text"),
        ("picture.png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40, "not_text"),
        ("zeros.bin", bytes([0, 0, 255, 1]) * 999, "not_text"),
        ("broken.json", b'{"question": ', "bad_json"),
        ("broken.parquet", b"PAR1 and then nothing PAR1", "bad_parquet"),
        ("broken.xlsx", b"PK\x03\x04 this is no workbook", "bad_archive"),
        ("old.xls", b"\xd0\xcf\x11\xe0" + bytes(600), "old_excel"),
        ("broken.zip", b"PK\x03\x04 nonsense", "bad_archive"),
        ("broken.gz", b"\x1f\x8b nonsense", "bad_archive"),
        ("unanswered.csv", b"question,answer\nwhy?,\nhow?,\n", "no_examples"),
    ],
)
def test_what_cannot_be_learned_from_is_refused_in_plain_words(tmp_path: Path, name: str, content: bytes, code: str) -> None:
    with pytest.raises(UserError) as refused:
        load(tmp_path, name, content)
    assert refused.value.problem.code == code and refused.value.problem.todo


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"nothing\.csv"):
        load_examples(tmp_path / "nothing.csv")


# ---- folders and archives --------------------------------------------------------------------------------------------------


def make_zip(path: Path, files: dict[str, bytes], how: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", how) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


MIXED = {
    "a/qa.csv": table_text().encode(),
    "b/chat.jsonl": b'{"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]}\n',
    "notes.txt": b"A story begins here.\n\nAnd it ends.",
    "README.md": b"# About this data\n\nIt is nice.",
    "photo.jpg": b"\xff\xd8\xff\xe0" + bytes(range(256)) * 9,
    "empty.csv": b"",
    "__MACOSX/a/._qa.csv": b"\0\5\x16\7",
    ".DS_Store": b"\0\0\0\1Bud1",
}


def check_mixed(path: Path) -> None:
    examples, loaded = load_examples(path)
    assert sorted(example.source for example in examples) == ["a/qa.csv"] * 3 + ["b/chat.jsonl", "notes.txt"]
    assert {lost.source for lost in loaded.left_out} == {"README.md", "photo.jpg", "empty.csv"}
    assert loaded.n_read == 8


def test_a_folder_of_mixed_files(tmp_path: Path) -> None:
    for name, content in MIXED.items():
        (tmp_path / "mixed" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "mixed" / name).write_bytes(content)
    check_mixed(tmp_path / "mixed")


def test_a_zip_of_mixed_files_gives_the_same(tmp_path: Path) -> None:
    check_mixed(make_zip(tmp_path / "mixed.zip", MIXED))


def test_links_in_a_folder_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "outside.csv").write_text(table_text())
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "own.csv").write_text(table_text())
    (inside / "link.csv").symlink_to(tmp_path / "outside.csv")
    (inside / "up").symlink_to(tmp_path, target_is_directory=True)
    examples, _ = load_examples(inside)
    assert {example.source for example in examples} == {"own.csv"}


def test_paths_out_of_the_archive_and_links_are_left_out(tmp_path: Path) -> None:
    evil = {"../evil.csv": b"x", "/etc/evil.csv": b"x", "C:\\evil.csv": b"x", "a\\..\\..\\evil.csv": b"x", "good.csv": table_text().encode()}
    path = make_zip(tmp_path / "slip.zip", evil)
    link = zipfile.ZipInfo("link.csv")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(link, "/etc/passwd")
    examples, loaded = load_examples(path)
    assert len(examples) == 3 and len(loaded.left_out) == 5
    assert {lost.reason for lost in loaded.left_out} == {"Its path points outside the archive.", "It is a link, not a file."}
    assert not list(tmp_path.rglob("evil.csv")) and not (tmp_path.parent / "evil.csv").exists()


def test_a_zip_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "bomb.zip", {"bomb.csv": b"a" * (64 << 20)})
    with pytest.raises(UserError) as refused:
        load_examples(path)
    assert refused.value.problem.code == "unsafe_archive"
    with pytest.raises(UserError) as refused:
        read_bytes(gzip.compress(b"a" * (64 << 20)), "bomb.csv.gz")
    assert refused.value.problem.code == "unsafe_archive"


def test_a_member_that_lies_about_its_size_is_not_believed(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "liar.zip", {"a.csv": table_text().encode() * 50})
    raw = bytearray(path.read_bytes())
    for mark, place in ((b"PK\x01\x02", 24), (b"PK\x03\x04", 22)):
        at = raw.index(mark) + place
        raw[at : at + 4] = (10).to_bytes(4, "little")
    path.write_bytes(raw)
    with pytest.raises(UserError, match="a.csv"):
        load_examples(path)


def test_an_archive_in_an_archive_is_left_out(tmp_path: Path) -> None:
    inner = make_zip(tmp_path / "inner.zip", {"a.csv": table_text().encode()}).read_bytes()
    examples, loaded = load_examples(make_zip(tmp_path / "outer.zip", {"inner.zip": inner, "b.csv": table_text().encode()}))
    assert len(examples) == 3 and "archive inside an archive" in loaded.left_out[0].reason


# ---- anything at all -------------------------------------------------------------------------------------------------------

CELL = st.text(alphabet=st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"], include_characters="\n\r\t"), max_size=40)


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(CELL, CELL), min_size=1, max_size=12).filter(lambda rows: any(cell.strip() for row in rows for cell in row)), st.sampled_from(",;\t"))
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
    try:
        tables = read_bytes(raw, "any" + suffix)
    except UserError as error:
        assert error.problem.what
    else:
        assert tables
