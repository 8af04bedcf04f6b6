"""Rows in Arrow files are what a training reads, to the token; counts add up, a cut goes on, and what was changed is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loralab.core.errors import UserError
from loralab.datasets.large import reading, shards
from loralab.datasets.large.shards import read_shards, row_digest, write_shards
from loralab.datasets.large.watch import Watch
from loralab.datasets.loading import load_examples
from loralab.models.tokenize import TextEncoder

HOW = (48, "replies")


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of a few rows."""
    monkeypatch.setattr(shards, "SHARD", 25)
    monkeypatch.setattr(shards, "BLOCK", 10)


def table(folder: Path) -> list[dict[str, Any]]:
    import pyarrow as pa

    rows: list[dict[str, Any]] = []
    for path in sorted(folder.glob("*.arrow")):
        with pa.memory_map(str(path)) as source:
            rows += pa.ipc.open_file(source).read_all().to_pylist()
    return rows


@pytest.mark.usefixtures("small")
def test_rows_are_those_of_a_training_and_counts_add_up(tmp_path: Path, llama: Path, data: Path) -> None:
    encoder, (examples, _) = TextEncoder(llama), load_examples(data)
    found = write_shards(examples, encoder, tmp_path / "out", HOW)
    encoded = [(e.row, one) for e, one in zip(examples, encoder.many(list(examples), *HOW), strict=True)]
    kept = [(row, one) for row, one in encoded if any(one.learned[1:])]
    rows = table(tmp_path / "out")
    assert [(r["row"], r["ids"], r["learned"], r["truncated"]) for r in rows] == [(n, o.ids, o.learned, o.truncated) for n, o in kept]
    assert (found.total("read"), found.total("kept")) == (60, len(kept))
    assert found.total("tokens") == sum(len(one.ids) for _, one in kept)
    assert found.total("cut") == sum(one.truncated for _, one in kept) > 0
    assert found.digest == f"{sum(row_digest(row, one) for row, one in kept) % shards.WIDTH:064x}"
    assert len(found.shards) == 3
    assert read_shards(tmp_path / "out") == found


def test_the_digest_does_not_depend_on_the_files(tmp_path: Path, llama: Path, data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, (examples, _) = TextEncoder(llama), load_examples(data)
    one = write_shards(examples, encoder, tmp_path / "one", HOW)
    monkeypatch.setattr(shards, "SHARD", 7)
    many = write_shards(examples, encoder, tmp_path / "many", HOW)
    assert (len(one.shards), len(many.shards)) == (1, 9)
    assert one.digest == many.digest
    assert write_shards(examples, encoder, tmp_path / "shorter", (32, "replies")).digest != one.digest


@pytest.mark.usefixtures("small")
def test_what_was_cut_goes_on_at_the_file_that_is_not_whole(tmp_path: Path, llama: Path, data: Path) -> None:
    encoder, (examples, _) = TextEncoder(llama), load_examples(data)
    whole = write_shards(examples, encoder, tmp_path / "whole", HOW)

    def cut(done: int, total: int) -> None:
        if done >= 40:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_shards(examples, encoder, tmp_path / "out", HOW, cut)
    with pytest.raises(UserError, match="no finished set"):
        read_shards(tmp_path / "out")
    done: list[int] = []
    again = write_shards(examples, encoder, tmp_path / "out", HOW, lambda at, total: done.append(at))
    assert done[0] == 35, "the first file is not written again"
    assert again == whole


@pytest.mark.usefixtures("small")
def test_a_changed_file_and_a_foreign_folder_are_refused(tmp_path: Path, llama: Path, data: Path) -> None:
    encoder, (examples, _) = TextEncoder(llama), load_examples(data)
    write_shards(examples, encoder, tmp_path / "out", HOW)
    with pytest.raises(UserError, match="something else in it"):
        write_shards(examples, encoder, tmp_path / "out", (32, "replies"))
    file = tmp_path / "out" / "shard-00001.arrow"
    file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(UserError, match="not what was written"):
        read_shards(tmp_path / "out")
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "letter.txt").write_text("mine")
    with pytest.raises(UserError, match="something else in it"):
        write_shards(examples, encoder, mine, HOW)


@pytest.mark.usefixtures("small")
def test_a_large_file_read_piece_by_piece_gives_the_same(tmp_path: Path, home: Path, llama: Path, data: Path, monkeypatch: Any) -> None:
    encoder = TextEncoder(llama)
    held = write_shards(load_examples(data)[0], encoder, tmp_path / "held", HOW)
    monkeypatch.setattr(reading, "LARGE", 1)
    examples, _ = load_examples(data, watch=Watch(), home=home)
    assert type(examples).__name__ == "StoredExamples"
    piecewise = write_shards(examples, encoder, tmp_path / "piecewise", HOW)
    assert piecewise.digest == held.digest
    assert piecewise.total("kept") == held.total("kept")
    assert json.loads((tmp_path / "held" / shards.FILE).read_text("utf-8"))["whole"]
