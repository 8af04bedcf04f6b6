"""Files that are read piece by piece: the same examples as when held, numbered alike; stopped and gone on with; nothing lost uncounted."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from advisor.diagnosis.case import Case
from advisor.rules.data.too_many_rows import check
from loralab.cli import console
from loralab.cli.app import app
from loralab.core.errors import UserError
from loralab.core.facts import Facts
from loralab.core.paths import STARTER
from loralab.core.records import DatasetProfile
from loralab.datasets import fixes, loading
from loralab.datasets.dataset import Loaded, count_duplicates, examples_of, split
from loralab.datasets.large import pieces, reading
from loralab.datasets.large.store import StoredExamples
from loralab.datasets.large.watch import ReadingProgress, ReadingStopped, Watch
from loralab.datasets.loading import hold, load_examples
from loralab.datasets.profile import profile_dataset
from loralab.datasets.readers import files_below, read_path
from loralab.datasets.tables import origins
from loralab.planning import plan_checks
from loralab.planning.plan_checks import check_text
from loralab.tasks.text import TextPlan

ROWS = [
    {"id": i, "question": f"What is {i % 211} in words, Jürgen?", "answer": f"It is “{i}”,\nwhich is a number.{' And more.' * (i % 5)}"}
    for i in range(600)
]


@pytest.fixture
def tiny_pieces(home: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Files of a few kilobytes are large here, so that a test has many pieces."""
    monkeypatch.setattr(reading, "LARGE", 4000)
    monkeypatch.setattr(pieces, "PIECE", 3000)
    return home


def delimited(rows: list[dict[str, Any]], delimiter: str = ",") -> str:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def parquet(rows: list[dict[str, Any]]) -> bytes:
    import pyarrow as pa
    from pyarrow import parquet as pq

    file = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows), file, row_group_size=250)
    return file.getvalue()


KINDS: dict[str, Callable[[], bytes]] = {
    "lines.jsonl": lambda: "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS).encode(),
    "marked.jsonl": lambda: b"\xef\xbb\xbf" + "\r\n".join(json.dumps(row) for row in ROWS).encode(),
    "list.json": lambda: json.dumps(ROWS, ensure_ascii=False).encode(),
    "pretty.json": lambda: json.dumps(ROWS, indent=2).encode(),
    "commas.csv": lambda: delimited(ROWS).encode(),
    "semicolons.csv": lambda: delimited(ROWS, ";").encode("cp1252"),
    "rows.parquet": lambda: parquet(ROWS),
}


def held(path: Path, roles: dict[str, str] | None = None) -> tuple[tuple[Any, ...], Loaded]:
    return examples_of(path, read_path(path), roles)


@pytest.mark.parametrize("name", KINDS)
def test_a_large_file_gives_what_a_held_one_gives(tiny_pieces: Path, tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(KINDS[name]())
    looks: list[ReadingProgress] = []
    found, loaded = load_examples(path, watch=Watch(looks.append))
    expected, told = held(path)
    assert isinstance(found, StoredExamples)
    assert tuple(found) == expected
    assert len(looks) > (0 if name.endswith("parquet") else 10)
    assert [look.fraction for look in looks] == sorted(look.fraction for look in looks)
    assert looks[-1] == ReadingProgress(rows=600, fraction=1.0, seconds_left=looks[-1].seconds_left)
    assert loaded.model_copy(update={"encoding": ""}) == told.model_copy(update={"encoding": ""})
    for share, seed in ((0.1, 0), (0.3, 5)):
        assert [tuple(part) for part in split(found, share, seed)] == [tuple(part) for part in split(expected, share, seed)]
    assert count_duplicates(found) == count_duplicates(expected)


def test_what_a_model_wrote_is_never_held_out_of_a_large_file_either(tiny_pieces: Path, tmp_path: Path) -> None:
    rows = [
        ROWS[n] | {"origin": "synthetic" if n % 3 else "human", "evidence": "", "prompt_version": "", "writer": "x"} for n in range(600)
    ]
    path = tmp_path / "made.jsonl"
    path.write_text("".join(json.dumps(one | {"split": "test" if n % 7 == 0 else "train"}) + "\n" for n, one in enumerate(rows)))
    found, _ = load_examples(path)
    assert isinstance(found, StoredExamples)
    assert {example.origin for example in split(found)[0]} == {"human", "synthetic"}
    assert {example.origin for example in split(found)[1]} == {"human"}
    only = found.take([place for place, example in enumerate(found) if example.origin == "synthetic"])
    assert "tested on none" in origins.words(*split(found))
    assert "no row of a person to test it on" in origins.words(*split(only)), "where there is nothing else, that is said"


def test_broken_rows_are_counted_where_they_are(tiny_pieces: Path, tmp_path: Path) -> None:
    lines = [json.dumps(row) for row in ROWS]
    lines[399], lines[451], lines[500] = '{"question": "cut of', "", '{"question": "", "answer": "nobody asked"}'
    path = tmp_path / "broken.jsonl"
    path.write_text("\n".join(lines))
    found, loaded = load_examples(path)
    assert tuple(found) == held(path)[0]
    assert (loaded.n_read, len(found)) == (599, 597)
    assert [lost.row for lost in loaded.left_out] == [400, 501]
    assert "400" in loaded.left_out[0].reason


def test_an_unclosed_quotation_mark_costs_its_line(tiny_pieces: Path, tmp_path: Path) -> None:
    rows = [{"question": f"What is {i}?", "answer": f"It is the number {i}."} for i in range(600)]
    text = delimited(rows).replace("What is 300?", '"What is 300?')
    path = tmp_path / "quotes.csv"
    path.write_text(text)
    found, loaded = load_examples(path)
    assert loaded.n_read == len(found) + len(loaded.left_out) + loaded.more_left_out
    assert len(found) == 599
    assert "quotation mark" in loaded.left_out[0].reason


def test_a_stopped_reading_goes_on_where_it_was(tiny_pieces: Path, tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_bytes(KINDS["lines.jsonl"]())
    looks: list[ReadingProgress] = []
    with pytest.raises(ReadingStopped, match="goes on"):
        load_examples(path, watch=Watch(looks.append, lambda: len(looks) == 7))
    stopped_at, again = looks[-1], list[ReadingProgress]()
    found, _ = load_examples(path, watch=Watch(again.append))
    assert again[0].rows > stopped_at.rows > 0
    assert len(looks) + len(again) == 25 or again[0].fraction > stopped_at.fraction
    assert tuple(found) == held(path)[0]
    once_more: list[ReadingProgress] = []
    assert tuple(load_examples(path, watch=Watch(once_more.append))[0]) == tuple(found)
    assert once_more == []


def test_a_changed_file_is_read_again_and_a_damaged_store_made_anew(tiny_pieces: Path, tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    raw = KINDS["lines.jsonl"]()
    path.write_bytes(raw)
    load_examples(path)
    path.write_bytes(raw.replace(b"And more.", b"And less."))
    os.utime(path, (1, 1))
    found, _ = load_examples(path)
    assert tuple(found) == held(path)[0]
    for store in (tiny_pieces / "datasets" / "read").iterdir():
        (store / "examples.jsonl").write_bytes(b"")
    assert tuple(load_examples(path)[0]) == tuple(held(path)[0])


def test_a_folder_is_read_file_by_file(tiny_pieces: Path, tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "train-00000-of-00001.parquet").write_bytes(parquet(ROWS[:400]))
    (folder / "test-00000-of-00001.parquet").write_bytes(parquet(ROWS[400:500]))
    (folder / "more.csv").write_text(delimited(ROWS[500:]))
    (folder / "README.md").write_text("# About these rows\n\nThey count.")
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    found, loaded = load_examples(folder)
    expected, told = held(folder)
    assert sorted(found, key=lambda e: (e.source, e.row)) == sorted(expected, key=lambda e: (e.source, e.row))
    assert (loaded.n_read, sorted(loaded.left_out, key=str)) == (told.n_read, sorted(told.left_out, key=str))
    assert sum(example.held_out for example in found) == 100


def test_a_file_that_is_taken_away_after_the_folder_was_listed_is_named(tiny_pieces: Path, tmp_path: Path, monkeypatch: Any) -> None:
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / "rows" / name).parent.mkdir(exist_ok=True)
        (tmp_path / "rows" / name).write_text("\n".join(map(json.dumps, ROWS)), "utf-8")
    listed = files_below(tmp_path / "rows")
    monkeypatch.setattr(reading, "files_below", lambda *_: listed)
    assert len(load_examples(tmp_path / "rows")[0]) == 2 * len(ROWS)
    (tmp_path / "rows" / "b.jsonl").unlink()
    assert reading.is_large(tmp_path / "rows")
    examples, loaded = load_examples(tmp_path / "rows")
    assert len(examples) == len(ROWS)
    assert [(lost.source, lost.reason) for lost in loaded.left_out] == [("b.jsonl", "b.jsonl is not there any more.")]


def test_garbage_is_refused_in_words(tiny_pieces: Path, tmp_path: Path) -> None:
    path = tmp_path / "numbers.jsonl"
    path.write_text("".join('{"a": null, "c": ""}\n' for _ in range(2000)))
    with pytest.raises(UserError):
        held(path)
    with pytest.raises(UserError):
        load_examples(path)


def profiled(path: Path, home: Path, **how: Any) -> DatasetProfile:
    return profile_dataset(path, STARTER, home=home, **how)


def test_the_profile_says_what_was_looked_at(tiny_pieces: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_bytes(KINDS["lines.jsonl"]())
    whole = profiled(path, tiny_pieces)
    assert (whole.n_read, whole.n_kept, whole.looked) == (600, 600, 0)
    assert whole.n_train + whole.n_heldout == 600
    monkeypatch.setattr("loralab.datasets.profile.MOST_LOOKED", 100)
    some = profiled(path, tiny_pieces)
    assert (some.n_kept, some.n_heldout, some.n_duplicates, some.looked) == (600, whole.n_heldout, whole.n_duplicates, 100)
    assert some.tokens["total"] == pytest.approx(whole.tokens["total"], rel=0.1)
    assert "looked_at_some" in {finding.code for finding in some.findings} - {finding.code for finding in whole.findings}


def test_columns_that_a_person_chose_are_remembered(tiny_pieces: Path, tmp_path: Path) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_bytes(KINDS["lines.jsonl"]())
    roles = {"prompt": "answer", "answer": "question"}
    asked = profiled(path, tiny_pieces, roles=roles)
    assert profiled(path, tiny_pieces).roles == asked.roles == roles
    assert len(list((tiny_pieces / "datasets" / "read").iterdir())) == 1


def test_what_is_too_much_for_a_run_is_refused_and_an_even_sample_is_not(tiny_pieces: Path, tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "lines.jsonl"
    path.write_bytes(KINDS["lines.jsonl"]())
    assert len(hold(load_examples(path)[0])) == 600
    plan, profile = TextPlan(dataset=str(path)), profiled(path, tiny_pieces)
    monkeypatch.setattr(loading, "MOST_HELD", 500)
    monkeypatch.setattr(fixes, "SAMPLED", 150)
    with pytest.raises(UserError, match="even sample"):
        hold(load_examples(path)[0])
    with pytest.raises(UserError, match="even sample"):
        fixes.apply("deduplicate", path, fixes.Reading(), STARTER, tiny_pieces)
    made = fixes.apply("sample", path, fixes.Reading(), STARTER, tiny_pieces)
    assert (made.before, made.concerned, made.after) == (600, 450, 150)
    assert "leaves out 450 of 600 examples and leaves 150" in made.words
    rows = [json.loads(line)["from_row"] for line in Path(made.path).read_text("utf-8").splitlines()]
    assert (rows[0], rows[-1], len(rows)) == (1, 600, 150)
    assert max(after - before for before, after in pairwise(rows)) <= 5
    monkeypatch.setattr(plan_checks, "MOST_HELD", 500)
    large = profile.model_copy(update={"looked": 100})
    assert "too_many_examples" in {problem.code for problem in check_text(plan, large)}
    assert "too_many_examples" not in {problem.code for problem in check_text(plan, profile)}


def test_the_rule_about_too_many_rows_fires_only_then() -> None:
    def found(n: int) -> Any:
        return check.find("too_many_rows", Case(plan=TextPlan(), asked=TextPlan(), facts=Facts(n_train=n, n_heldout=n // 9)))

    assert found(100_000) is None
    assert [fix.data for fix in found(900_000).fixes] == ["sample"]


def test_the_command_line_reads_a_large_file_and_says_how_far_it_is(tiny_pieces: Path, tmp_path: Path, monkeypatch: Any) -> None:
    path = tmp_path / "commas.csv"
    path.write_bytes(KINDS["commas.csv"]())
    monkeypatch.setattr(console, "READING_TOLD_S", 0.0)
    result = CliRunner().invoke(app, ["data", str(path), "--home", str(tiny_pieces)])
    assert "600 of 600 rows" in result.stdout
    assert "Read " in result.stderr
    assert "%" in result.stderr
