"""Hostile files and plans: whatever is given, a person reads a sentence, nothing is run, nothing lands outside the workspace."""

from __future__ import annotations

import contextlib
import io
import json
import math
import stat
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loralab.core.errors import LabError
from loralab.core.records import Plan
from loralab.datasets.readers import read_bytes, read_path
from loralab.tasks import parse_plan
from tests.support.hostile import BEGINNINGS, FEW, JSON, MANY, SETTINGS, SUFFIXES

# ---- files of examples -------------------------------------------------------------------------------------------------------


def tried(raw: bytes, name: str) -> None:
    """Read it, or be told in words why not."""
    try:
        assert read_bytes(raw, name)
    except LabError:
        return


@MANY
@given(beginning=st.sampled_from(BEGINNINGS), body=st.binary(max_size=400), suffix=st.sampled_from(SUFFIXES))
def test_any_bytes_under_any_name_are_read_or_refused_in_words(beginning: bytes, body: bytes, suffix: str) -> None:
    tried(beginning + body + (b"PAR1" if beginning == b"PAR1" else b""), f"data{suffix}")


@MANY
@given(rows=st.lists(JSON, max_size=5), suffix=st.sampled_from((".json", ".jsonl", ".txt")), lines=st.booleans())
def test_any_json_is_read_or_refused_in_words(rows: list[Any], suffix: str, lines: bool) -> None:
    text = "\n".join(map(json.dumps, rows)) if lines else json.dumps(rows)
    tried(text.encode(), f"data{suffix}")


@FEW
@given(data=st.data())
def test_damaged_workbooks_parquets_and_archives_are_refused_in_words(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    name, whole = data.draw(st.sampled_from(sorted(containers().items())))
    raw = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 30))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    tried(bytes(raw[: data.draw(st.integers(1, len(raw)))] if data.draw(st.booleans()) else raw), name)


def containers() -> dict[str, bytes]:
    """A healthy file of each format that has an inside."""
    import gzip
    import lzma

    import openpyxl
    import pyarrow as pa
    from pyarrow import parquet

    rows = [{"prompt": f"question {i}", "completion": f"answer {i}"} for i in range(20)]
    text = "\n".join(map(json.dumps, rows)).encode()
    book, sheet, packed, zipped = openpyxl.Workbook(), io.BytesIO(), io.BytesIO(), io.BytesIO()
    for row in rows:
        book.worksheets[0].append(list(row.values()))
    book.save(sheet)
    parquet.write_table(pa.Table.from_pylist(rows), packed)
    with zipfile.ZipFile(zipped, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("rows.jsonl", text)
    return {
        "a.xlsx": sheet.getvalue(),
        "a.parquet": packed.getvalue(),
        "a.zip": zipped.getvalue(),
        "a.jsonl.gz": gzip.compress(text),
        "a.jsonl.xz": lzma.compress(text),
    }


def archive_of(*members: tuple[zipfile.ZipInfo | str, bytes]) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return packed.getvalue()


ROWS = b'{"prompt": "question", "completion": "answer"}\n' * 3


@pytest.mark.parametrize(
    "name", ["../../escape.jsonl", "/etc/escape.jsonl", "..\\..\\escape.jsonl", "C:\\escape.jsonl", "a/../../escape.jsonl"]
)
def test_an_archive_whose_paths_point_outside_writes_nothing_and_names_them(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "in" / "side"
    inside.mkdir(parents=True)
    (inside / "a.zip").write_bytes(archive_of((name, ROWS), ("good.jsonl", ROWS)))
    before = sorted(tmp_path.rglob("*"))
    tables = read_path(inside / "a.zip")
    assert sum(len(table.rows) for table in tables) == 3
    assert any("outside" in left.reason for table in tables for left in table.left_out)
    assert sorted(tmp_path.rglob("*")) == before


def test_links_bombs_and_archives_inside_archives_are_not_opened() -> None:
    link = zipfile.ZipInfo("link.jsonl")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    tables = read_bytes(archive_of((link, b"/etc/passwd"), ("good.jsonl", ROWS)), "a.zip")
    assert any("link" in left.reason for table in tables for left in table.left_out)
    nested = archive_of(("inner.zip", archive_of(("rows.jsonl", ROWS))))
    with pytest.raises(LabError, match="archive inside an archive"):
        read_bytes(nested, "a.zip")
    with pytest.raises(LabError, match="not safe"):
        read_bytes(archive_of(("zeros.txt", bytes(60 << 20))), "a.zip")


@pytest.mark.parametrize("depth", [200, 100_000])
def test_brackets_without_end_are_refused_in_words(depth: int) -> None:
    tried(b"[" * depth, "a.json")
    tried(b'{"a":' * depth + b"1" + b"}" * depth, "a.jsonl")
    tried(b"[" * depth + b"]" * depth, "a.json")


# ---- plans -------------------------------------------------------------------------------------------------------------------


@MANY
@given(values=st.dictionaries(st.sampled_from(SETTINGS) | st.text(max_size=10), JSON, max_size=6))
def test_any_plan_is_typed_or_refused_in_words(values: dict[str, Any]) -> None:
    with contextlib.suppress(LabError):
        plan = parse_plan(values)
        assert isinstance(plan, Plan)
        assert all(math.isfinite(value) for value in plan.model_dump().values() if isinstance(value, float))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1, 1e400, "x", None, [], {}, 10**30, True])
def test_no_number_of_a_plan_takes_what_is_none(value: Any) -> None:
    for name in ("epochs", "learning_rate", "checkpoint_minutes", "max_minutes", "max_grad_norm"):
        try:
            found = getattr(parse_plan({name: value}), name)
        except LabError:
            continue
        assert math.isfinite(found)
        assert found >= 0


@pytest.mark.parametrize("values", [[], "x", None, 3])
def test_what_is_no_plan_at_all_is_refused_in_words(values: Any) -> None:
    with pytest.raises(LabError):
        parse_plan(values)
