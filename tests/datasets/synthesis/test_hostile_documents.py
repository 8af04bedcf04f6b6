"""Documents that were made to stop whoever reads them: read, or refused in words, in a time that grows with their size and no faster."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from loralab.datasets.synthesis.passages.bounded import Bounded

BODY = '<w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>%s</w:body></w:document>'
LINE = "<w:p><w:r><w:t>Osmosis is a movement of water through a thin skin into salt.</w:t></w:r></w:p>"
CONTAINER = '<container><rootfiles><rootfile full-path="c.opf"/></rootfiles></container>'
SPINE = '<package><manifest><item id="i" href="c.xhtml"/></manifest><spine>%s</spine></package>'


def packed(**members: str | bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in members.items():
            archive.writestr(name.replace("__", "/").replace("_", ".", 1), text)
    return out.getvalue()


def book(order: str, chapter: str | bytes) -> bytes:
    return packed(**{"META-INF__container_xml": CONTAINER, "c_opf": SPINE % order, "c_xhtml": chapter})


LOOP = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[2 0 R]/Count 9>>endobj\ntrailer<</Root 1 0 R>>"
DOCUMENTS: dict[str, tuple[bytes, bool]] = {  # content, and whether it is read
    "bomb.docx": (packed(word__document_xml=b"a" * (80 << 20)), False),
    "bomb.epub": (book('<itemref idref="i"/>', b"b " * (40 << 20)), False),
    "entities.docx": (packed(word__document_xml='<!DOCTYPE x [<!ENTITY a "aaaa">]>' + BODY % LINE), False),
    "numbers.docx": (packed(word__document_xml=BODY % LINE, word__numbering_xml="<w:numbering"), True),
    "macro.docm": (packed(word__document_xml=BODY % LINE, word__vbaProject_bin=bytes(range(256)) * 99), True),
    "deep.docx": (packed(word__document_xml=BODY % ("<w:tbl><w:tr><w:tc>" * 5000 + "</w:tc></w:tr></w:tbl>" * 5000)), False),
    "again.epub": (book('<itemref idref="i"/>' * 20_000, f"<p>{'Words. ' * 500}</p>"), True),
    "lists.html": (b"<ul><li>" * 40_000 + b"Osmosis is a movement of water.", True),
    "raised.html": (b"<p>" + b"word<sup>1</sup> " * 40_000, True),
    "terms.html": (b"<dt>a word" * 20_000, True),
    "names.html": (b"<div class='" + b"cookie-" * 40_000 + b"'>x</div><p>Osmosis is a movement of water.</p>", True),
    "remarks.md": (b"Hello. " + b"<!--" * 40_000, True),
    "strokes.md": (b"|a|b|\n|--|--|\n" * 4_000, True),
    "raised.txt": ("a¹¹¹".encode() * 20_000, True),
    "hyphens.txt": (b"ab-\n" * 20_000, True),
    "quotes.txt": ("“Go on. ".encode() * 20_000, True),
    "cut.pdf": (b"%PDF-1.7\n1 0 obj <</Type /Catalog /Pages 2 0 R>> endobj", False),
    "loop.pdf": (LOOP, False),
}  # fmt: skip


@pytest.mark.worker
def test_none_of_them_stops_the_reader(tmp_path: Path) -> None:
    reader = Bounded(seconds=90)
    try:
        for name, (raw, is_read) in DOCUMENTS.items():
            (tmp_path / name).write_bytes(raw)
            found = reader.read(tmp_path / name, name)
            assert ("reason" not in found) == is_read, (name, found.get("reason"))
            assert found.get("code") not in ("too_long", "too_much_memory", "broken_document"), name
        large = tmp_path / "large.txt"
        with large.open("wb") as file:
            file.truncate(1 << 30)
        assert reader.read(large, large.name)["code"] == "file_too_big", "a gigabyte is refused by its size, unread"
    finally:
        reader.close()
