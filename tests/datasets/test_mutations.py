"""Spoiled files of every format: each is read or refused in words, each row is read or named, and none takes long or much memory."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from loralab.core.errors import UserError
from loralab.datasets.dataset import examples_of
from loralab.datasets.formats.encoding import decode
from loralab.datasets.readers import Table, read_bytes, readers
from tests.support.mutations import healthy, one_fault, spoiled

FILES = healthy()
NIGHTLY, SECONDS = 10_000, 60.0
MOST_MEMORY = 500 << 20  # bytes more than before: the files are some kilobytes
LONG = 10.0  # seconds of one small file: each takes a few milliseconds


def tried(raw: bytes, name: str) -> bool:
    """Read a file and make examples of it; whether anything was read. All counts add up, and a refusal has words."""
    begun = time.process_time()
    refusal = None
    try:
        tables = read_bytes(raw, name)
        for table in tables:
            accounted(table, raw, name)
        examples, loaded = examples_of(Path(name), tables)
        assert len(examples) + len(loaded.left_out) == loaded.n_read
    except UserError as refused:
        refusal = refused.problem
    assert refusal is None or (refusal.what.strip() and refusal.todo.strip())
    assert time.process_time() - begun < LONG
    return refusal is None


def accounted(table: Table, raw: bytes, name: str) -> None:
    """Whether each row is a row, each one left out has its reason, and each character of a text belongs to one of them."""
    assert all(lost.reason.strip() for lost in table.left_out)
    assert all(set(row.values) <= set(table.columns) for row in table.rows)
    if table.coverage is not None and not name.endswith((".zip", ".gz")):
        made = table.coverage
        assert made.rows + made.left_out + made.structure == len(decode(raw, name).text)
        assert min(made.rows, made.left_out, made.structure) >= 0


def test_there_is_a_file_for_every_reader() -> None:
    untold = [reader.suffixes for reader in readers() if reader.suffixes and not any(name.endswith(reader.suffixes) for name in FILES)]
    assert untold == []


@pytest.mark.parametrize("name", FILES)
def test_what_is_healthy_is_read(name: str) -> None:
    assert tried(FILES[name], name)


@pytest.mark.parametrize("name", FILES)
def test_what_is_spoiled_is_read_or_refused_in_words(name: str) -> None:
    for seed in range(8):
        tried(spoiled(FILES[name], random.Random(f"{name} {seed}")), name)


def said_in(tables: list[Table]) -> list[dict[str, Any]]:
    """The rows without the name of their list, in which the fault may be."""
    return [{name: cell for name, cell in row.values.items() if name != "split"} for table in tables for row in table.rows]


ROWS_OF_TEXT = ["a.csv", "a.tsv", *(name for name in FILES if name.endswith((".json", ".jsonl")))]


@pytest.mark.parametrize("name", ROWS_OF_TEXT)
def test_one_wrong_character_costs_two_rows_at_most_and_invents_none(name: str) -> None:
    whole = said_in(read_bytes(FILES[name], name))
    names = FILES[name].index(b"\n") + 1 if name.endswith("sv") else 0  # a fault in these is another name
    head, body = FILES[name][:names], FILES[name][names:]
    for seed in range(40):
        tables = read_bytes(head + one_fault(body, random.Random(f"{name} {seed}")), name)
        rows = said_in(tables)
        assert sum(values in rows for values in whole) >= len(whole) - 2
        assert len(rows) + sum(len(table.left_out) for table in tables) >= len(whole) - 1
        assert sum(values not in whole for values in rows) <= 2, "a character within a text is another text"


@pytest.mark.nightly
def test_ten_thousand_spoiled_files_are_read_or_refused_in_words(record_property: Callable[[str, object], None]) -> None:
    names = sorted(FILES)
    begun, read, made, memory = time.monotonic(), 0, 0, psutil.Process().memory_info().rss
    for seed in range(NIGHTLY):
        if time.monotonic() - begun > SECONDS:
            break
        name = names[seed % len(names)]
        read += tried(spoiled(FILES[name], random.Random(seed)), name)
        made += 1
    record_property("spoiled files", made)
    assert psutil.Process().memory_info().rss - memory < MOST_MEMORY
    assert made > NIGHTLY // 10, f"only {made} in {SECONDS:.0f} s"
    assert read > made // 10, "most faults are small: what is spoiled is mostly still read"
