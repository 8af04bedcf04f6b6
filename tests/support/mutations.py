"""Owns small healthy files of every format that is read, and how they are spoiled: as disks, mails and hurried people spoil them."""

from __future__ import annotations

import csv
import gzip
import io
import json
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import docx
import openpyxl
import pyarrow as pa
import yaml
from pyarrow import feather, parquet
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

ROWS = [{"question": f"What is number {n}, please?", "answer": f"It is {n}; “of course”, and more."} for n in range(12)]
CHATS = [{"messages": [{"role": "user", "content": row["question"]}, {"role": "assistant", "content": row["answer"]}]} for row in ROWS]
PROSE = "\n\n".join(f"Paragraph {n}. It says a little, and then a little more." for n in range(9))
PAIRS = [("question", "answer"), *((row["question"], row["answer"]) for row in ROWS)]
OLD_WORKBOOK = Path(__file__).parent.parent / "datasets" / "cases" / "misc_reading" / "old_workbook.xls"  # of two sheets
SPACES = 'xmlns:office="urn:o" xmlns:text="urn:t" xmlns:table="urn:b"'


def packed(members: dict[str, str | bytes]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return made.getvalue()


def _table(delimiter: str) -> str:
    made = io.StringIO()
    csv.writer(made, delimiter=delimiter).writerows(PAIRS)
    return made.getvalue()


def _rows(form: str, cell: str) -> str:
    """The rows in a markup whose row and cell are given with a place for what is in them."""
    return "".join(form.format("".join(cell.format(said) for said in pair)) for pair in PAIRS)


def _saved(write: Callable[[io.BytesIO], object]) -> bytes:
    made = io.BytesIO()
    write(made)
    return made.getvalue()


def _workbook() -> bytes:
    book = openpyxl.Workbook()
    for pair in PAIRS:
        book.worksheets[0].append(pair)
    book.create_sheet("More").append(("only", 0.5))
    return _saved(book.save)


def _word() -> bytes:
    document = docx.Document()
    for paragraph in PROSE.split("\n\n"):
        document.add_paragraph(paragraph)
    table = document.add_table(rows=0, cols=2)
    for pair in PAIRS[:4]:
        for cell, said in zip(table.add_row().cells, pair, strict=True):
            cell.text = said
    return _saved(document.save)


def _pdf() -> bytes:
    writer = PdfWriter()
    for paragraph in PROSE.split("\n\n")[:3]:
        page = writer.add_blank_page(600, 800)
        about = {"Type": "Font", "Subtype": "Type1", "BaseFont": "Helvetica", "Encoding": "WinAnsiEncoding"}
        font = DictionaryObject({NameObject(f"/{key}"): NameObject(f"/{value}") for key, value in about.items()})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): DictionaryObject({NameObject("/F"): font})})
        content = DecodedStreamObject()
        content.set_data(f"BT /F 10 Tf 40 760 Td ({paragraph}) Tj ET".encode())
        page[NameObject("/Contents")] = writer._add_object(content)
    return _saved(writer.write)


def _rich_text() -> bytes:
    rows = _rows("\\trowd \\cellx4000\\cellx8000 {}\\row\n", "{} \\cell ")
    body = "".join(f"\\pard {paragraph}\\par\n" for paragraph in PROSE.split("\n\n"))
    letters = "".join(char if char.isascii() else f"\\u{ord(char)}?" for char in body + rows)
    return f"{{\\rtf1\\ansi\\ansicpg1252{{\\fonttbl\\f0\\fswiss\\fcharset0 Helvetica;}}\n{letters}}}".encode()


def _book() -> dict[str, str | bytes]:
    package = '<item id="a" href="a.xhtml"/></manifest><spine><itemref idref="a"/></spine>'
    return {
        "META-INF/container.xml": '<container xmlns="urn:c"><rootfiles><rootfile full-path="b.opf"/></rootfiles></container>',
        "b.opf": f'<package xmlns="urn:o"><manifest>{package}</package>',
        "a.xhtml": f"<html><body><h1>One</h1><p>{PROSE}</p></body></html>",
    }


def _open_document(body: str) -> dict[str, str | bytes]:
    content = f"<office:document-content {SPACES}><office:body>{body}</office:body></office:document-content>"
    return {"mimetype": "application/vnd.oasis.opendocument", "content.xml": content}


def healthy() -> dict[str, bytes]:
    """A file of each format, by name."""
    lines = "\n".join(map(json.dumps, ROWS))
    open_rows = _rows("<table:table-row>{}</table:table-row>", "<table:table-cell><text:p>{}</text:p></table:table-cell>")
    page = f"<html><head><title>Help</title></head><body><p>Words.</p><table>{_rows('<tr>{}</tr>', '<td>{}</td>')}</table></body></html>"
    chat = "".join(f"01.05.24, 10:{10 + n} - {('Anna', 'Ben')[n % 2]}: {row['question']}\n" for n, row in enumerate(ROWS))
    subtitles = "\n".join(f"{n}\n00:00:{n:02},000 --> 00:00:{n:02},900\n{row['answer']}\n" for n, row in enumerate(ROWS, 1))
    text = {
        "a.csv": _table(","),
        "a.tsv": _table("\t"),
        "a.jsonl": lines,
        "a.json": json.dumps(ROWS, indent=2),
        "chats.json": json.dumps(CHATS),
        "chats.jsonl": "\n".join(map(json.dumps, CHATS)),
        "python.json": repr(ROWS),
        "splits.json": json.dumps({"train": ROWS[:8], "test": ROWS[8:]}, indent=1),
        "a.txt": PROSE,
        "a.md": f"# A title\n\n{PROSE}",
        "a.html": page,
        "a.srt": subtitles,
        "a.vtt": f"WEBVTT\n\n{subtitles}",
        "chat.txt": chat,
        "cards.txt": "#separator:tab\n#html:true\n" + "".join(f"<b>{row['question']}</b>\t{row['answer']}\n" for row in ROWS),
        "talks.txt": "\n\n".join(f"Q: {row['question']}\nA: {row['answer']}" for row in ROWS),
        "pairs.txt": "".join(f"{asked} -> {told}\n" for asked, told in PAIRS),
        "quiz.txt": "\n".join(f"{asked}\nA. no\nB. {told}\nANSWER: B\n" for asked, told in PAIRS),
        "a.gift": "\n".join(f"::{n}:: {asked} {{={told} ~no}}\n" for n, (asked, told) in enumerate(PAIRS)),
        "a.xlf": "".join(
            ["<xliff>", *(f"<segment><source>{asked}</source><target>{told}</target></segment>" for asked, told in PAIRS), "</xliff>"]
        ),
        "a.xml": "".join(["<faqs>", *(f"<faq><q>{asked}</q><a>{told}</a></faq>" for asked, told in PAIRS), "</faqs>"]),
        "a.yml": yaml.safe_dump({"version": 1, "rows": ROWS}, allow_unicode=True),
    }
    made = {name: content.encode() for name, content in text.items()}
    made |= {"wide.csv": text["a.csv"].encode("utf-16"), "old.csv": text["a.csv"].replace("“", '"').replace("”", '"').encode("latin-1")}
    made |= {"a.xlsx": _workbook(), "a.docx": _word(), "a.pdf": _pdf(), "a.epub": packed(_book())}
    made["a.odt"] = packed(_open_document(f"<office:text><text:p>{PROSE}</text:p><table:table>{open_rows}</table:table></office:text>"))
    made["a.ods"] = packed(
        _open_document(f'<office:spreadsheet><table:table table:name="A">{open_rows}</table:table></office:spreadsheet>')
    )
    made |= {"a.rtf": _rich_text(), "a.xls": OLD_WORKBOOK.read_bytes()}
    made["a.parquet"] = _saved(lambda file: parquet.write_table(pa.Table.from_pylist(ROWS), file))
    made["a.arrow"] = _saved(lambda file: feather.write_feather(pa.Table.from_pylist(ROWS), file))
    made["a.zip"] = packed({"a.csv": text["a.csv"], "b.jsonl": lines, "c.txt": PROSE, "d.png": b"\x89PNG\r\n\x1a\n" + bytes(40)})
    made["a.jsonl.gz"] = gzip.compress(lines.encode())
    return made


def spoiled(raw: bytes, chance: random.Random) -> bytes:
    """A file with one to four faults; of one that packs others often within them, because its own checksum shows the rest."""
    if raw[:2] == b"PK" and chance.random() < 0.7:
        with zipfile.ZipFile(io.BytesIO(raw)) as archive:
            members: dict[str, str | bytes] = {name: archive.read(name) for name in archive.namelist()}
        telling = [name for name in members if name.endswith((".xml", ".rels", ".opf", ".xhtml", ".csv", ".jsonl", ".txt"))]
        name = chance.choice(telling)
        content = members[name]
        members[name] = _faults(content if isinstance(content, bytes) else content.encode(), chance)
        return packed(members)
    if raw[:2] == b"\x1f\x8b" and chance.random() < 0.5:
        return gzip.compress(_faults(gzip.decompress(raw), chance), 1)
    return _faults(raw, chance)


def one_fault(raw: bytes, chance: random.Random) -> bytes:
    """A file with one character changed, taken out or put in."""
    at, sign = chance.randrange(len(raw)), chance.choice(_SIGNS)
    return raw[:at] + chance.choice((sign, b"", sign + raw[at : at + 1])) + raw[at + 1 :]


def _faults(raw: bytes, chance: random.Random) -> bytes:
    for _ in range(chance.randint(1, 4)):
        raw = chance.choice(_FAULTS)(raw, chance)
    return raw


def _span(raw: bytes, chance: random.Random) -> tuple[int, int]:
    start = chance.randrange(len(raw) + 1)
    return start, min(len(raw), start + chance.choice((1, 2, 5, 20, 100, 1000)))


def _flip(raw: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(raw) + 1)
    return raw[:at] + bytes([chance.randrange(256)]) + raw[at + 1 :]


def _cut(raw: bytes, chance: random.Random) -> bytes:
    start, end = _span(raw, chance)
    return raw[:start] + raw[end:]


_SIGNS = (*(bytes([sign]) for sign in b"\"'{}[],\n\0<>\\#\xff"), b"</", b"/*", b"\xef\xbb\xbf")


def _insert(raw: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(raw) + 1)
    said = chance.choice(_SIGNS)
    return raw[:at] + said * chance.choice((1, 1, 1, 3, 200)) + raw[at:]


def _double(raw: bytes, chance: random.Random) -> bytes:
    start, end = _span(raw, chance)
    return raw[:end] + raw[start:end] * chance.choice((1, 1, 2, 30)) + raw[end:]


def _swap(raw: bytes, chance: random.Random) -> bytes:
    start, end = _span(raw, chance)
    first, second = raw[:start], raw[start:end]
    at = chance.randrange(len(first) + 1)
    return first[:at] + second + first[at:] + raw[end:]


def _cut_off(raw: bytes, chance: random.Random) -> bytes:
    return raw[: chance.randrange(len(raw) + 1)]


_FAULTS = (_flip, _cut, _insert, _double, _swap, _cut_off)
