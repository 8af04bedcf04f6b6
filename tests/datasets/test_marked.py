"""Rows that a file marks to test with are held out, and a word that only looks like a mark marks nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from loralab.datasets.loading import load_examples
from loralab.datasets.readers import Row
from loralab.datasets.tables.marked import are_named, mark_column

ROWS = [{"question": f"When does place {i} open?", "answer": f"At {i} o'clock."} for i in range(40)]


def written(path: Path, rows: Sequence[Mapping[str, object]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("column", "train", "test"),
    [
        ("split", "train", "test"),
        ("Set", "Training", "Validation"),
        ("subset", "train", "dev"),
        ("partition", "train", "held-out"),
        ("fold", "TRAIN", "val"),
        ("is_test", False, True),
        ("is_train", True, False),
        ("is_validation", 0, 1),
    ],
)
def test_a_column_of_marks_holds_its_rows_out(tmp_path: Path, column: str, train: object, test: object) -> None:
    rows: list[dict[str, object]] = [{**row, column: test if at % 4 == 0 else train} for at, row in enumerate(ROWS)]
    examples, loaded = load_examples(written(tmp_path / "a.jsonl", rows))
    assert [e.row for e in examples if e.held_out] == list(range(1, 41, 4))
    assert set(loaded.roles) == {"prompt", "answer"}


@pytest.mark.parametrize(
    ("column", "values"),
    [("subset", ["math", "test"]), ("split", ["train"]), ("fold", ["1", "2"]), ("set", ["dinner", "tea"]), ("note", ["train", "test"])],
)
def test_what_only_looks_like_a_mark_marks_nothing(column: str, values: list[str]) -> None:
    rows = [Row(at, {column: values[at % len(values)]}) for at in range(10)]
    assert not mark_column([column], rows)


def test_files_and_folders_named_by_what_they_are_for(tmp_path: Path) -> None:
    written(tmp_path / "d" / "pets-train.jsonl", ROWS[:20])
    written(tmp_path / "d" / "pets-test.jsonl", ROWS[20:30])
    written(tmp_path / "d" / "validation" / "data-00000-of-00001.jsonl", ROWS[30:])
    examples, _ = load_examples(tmp_path / "d")
    assert {e.source for e in examples if e.held_out} == {"pets-test.jsonl", "validation/data-00000-of-00001.jsonl"}
    assert sum(e.held_out for e in examples) == 20


def test_a_file_called_test_alone_is_what_it_learns_from(tmp_path: Path) -> None:
    examples, _ = load_examples(written(tmp_path / "test.jsonl", ROWS))
    assert not any(e.held_out for e in examples)
    assert not are_named(["test.jsonl", "latest.csv"])
