"""Owns writing small files of examples for tests, and reading them back with the counts checked."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import openpyxl

from loralab.core.records import Example
from loralab.datasets.dataset import Loaded
from loralab.datasets.loading import load_examples

QA = [("What is LoRA?", "A small adapter."), ("Why small?", "It fits anywhere."), ("Who trains it?", "You do, at home.")]


def load(folder: Path, name: str, content: bytes | str, encoding: str = "utf-8") -> tuple[Sequence[Example], Loaded]:
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


def sheet(book: openpyxl.Workbook) -> Any:
    """The first sheet of a new workbook."""
    return book.worksheets[0]
