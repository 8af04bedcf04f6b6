"""Owns plain text and Markdown: passages of whole paragraphs. Also the last resort for text with an unknown ending."""

from __future__ import annotations

from loralab.datasets.encoding import decode
from loralab.datasets.passages import passages
from loralab.datasets.readers import Reader, Row, Table


def read(raw: bytes, name: str) -> list[Table]:
    """One row per passage, numbered from 1, in the column `text`."""
    decoded = decode(raw, name)
    rows = [Row(number, {"text": passage}) for number, passage in enumerate(passages(decoded.text), 1)]
    return [Table(source=name, rows=rows, columns=("text",), encoding=decoded.encoding, is_prose=True)]


READER = Reader(suffixes=(".txt", ".md", ".markdown", ".text", ".log", ""), read=read)
