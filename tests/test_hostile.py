"""Hostile input at every way in: whatever is given, a person reads a sentence, nothing is run, nothing lands outside the workspace."""

from __future__ import annotations

import contextlib
import io
import json
import math
import pickle
import stat
import struct
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from loralab import cli, history
from loralab.errors import LabError
from loralab.events import EventLog, Noted, fold, read
from loralab.lab import Lab
from loralab.paths import CHECKOUT
from loralab.readers import read_bytes, read_path
from loralab.records import Plan
from loralab.report import run_report
from loralab.tasks import parse_plan, tasks

MANY = settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
FEW = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
SUFFIXES = ("", ".txt", ".md", ".json", ".jsonl", ".csv", ".tsv", ".xlsx", ".parquet", ".zip", ".gz", ".xz", ".bz2", ".odd")
BEGINNINGS = (
    b"",
    b"PK\x03\x04",
    b"PAR1",
    b"\x1f\x8b\x08",
    b"\xfd7zXZ\x00",
    b"BZh9",
    b"\xff\xfe",
    b"\xef\xbb\xbf",
    b"{",
    b"[",
    b"\xd0\xcf\x11\xe0",
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
SETTINGS = sorted({name for task in tasks().values() for name in task.plan.model_fields})


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
        "a.xlsx": sheet.getvalue(), "a.parquet": packed.getvalue(), "a.zip": zipped.getvalue(), "a.jsonl.gz": gzip.compress(text),
        "a.jsonl.xz": lzma.compress(text),
    }  # fmt: skip


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


# ---- event logs, job files, run names ----------------------------------------------------------------------------------------


@MANY
@given(raw=st.binary(max_size=500) | st.lists(JSON.map(json.dumps) | st.text(max_size=40), max_size=8).map(lambda x: "\n".join(x).encode()))
def test_any_bytes_as_a_log_are_read_and_folded(raw: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.getbasetemp() / "any.jsonl"
    path.write_bytes(raw)
    events, offset = read(path)
    assert offset <= len(raw)
    view = fold("run", events)
    json.dumps(run_report(view, path.parent), allow_nan=False, default=str)
    log = EventLog(path)
    log(Noted(text="the last word"))
    log.close()
    last = read(path)[0][-1]
    assert isinstance(last, Noted)
    assert last.text == "the last word"


@MANY
@given(data=st.data())
def test_events_with_any_numbers_are_folded_and_reported(data: st.DataObject) -> None:
    number = st.integers(-(10**18), 10**18) | st.floats()
    lines = [
        {"type": "started", "time": data.draw(number), "pid": 1, "resumed": data.draw(st.booleans()), "step": data.draw(st.integers())},
        {"type": "stepped", "time": data.draw(number), "step": data.draw(st.integers()), "loss": data.draw(number),
         "grad_norm": data.draw(number), "learning_rate": data.draw(number), "tokens": data.draw(st.integers()),
         "tokens_per_second": data.draw(number), "memory_bytes": data.draw(st.integers()),
         "seconds_left": data.draw(number), "total_steps": data.draw(st.integers())},
        {"type": "evaluated", "loss": data.draw(number), "n": data.draw(st.integers())},
        {"type": "ended", "outcome": "finished",
         "result": data.draw(st.dictionaries(st.sampled_from(["seconds", "peak_memory_bytes"]), JSON))},
    ]  # fmt: skip
    path = Path("/tmp") / "loralab-hostile.jsonl"
    path.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in lines))
    run_report(fold("run", read(path)[0]), path.parent)
    path.unlink()


@pytest.mark.parametrize("name", ["../x", "..", ".", "", "/etc", "a/b", "a\\..\\b", "\0", "x" * 5000, "con", "run\n", "💥"])
def test_no_run_name_leads_out_of_the_workspace_or_raises_anything_else(lab: Lab, name: str) -> None:
    for call in (lab.view, lab.job, lab.stop, lab.resume, lab.delete, lab.report, lab.evaluate, lab.export):
        with pytest.raises(LabError):
            call(name)


@FEW
@given(raw=st.binary(max_size=200) | JSON.map(lambda x: json.dumps(x).encode()))
def test_any_bytes_as_a_job_leave_a_list_that_can_be_read(raw: bytes, tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.mktemp("job")
    folder = home / "runs" / "2026-01-01-any-job"
    folder.mkdir(parents=True)
    (folder / "job.json").write_bytes(raw)
    (folder / "events.jsonl").write_text('{"type":"ended","outcome":"stopped","time":1.0}\n')
    assert [row["id"] for row in history.History(home).runs()] == [folder.name]
    lab = Lab(home)
    for call in (lab.job, lab.resume, lab.card, lab.evaluate):
        with contextlib.suppress(LabError):
            call(folder.name)
        if lab.view(folder.name).active:
            lab.stop(folder.name, force=True)


# ---- model and adapter folders -----------------------------------------------------------------------------------------------


MEASURES = (
    "architectures", "hidden_size", "num_hidden_layers", "num_attention_heads", "vocab_size", "quantization_config", "auto_map",
    "max_position_embeddings", "head_dim", "tie_word_embeddings", "weight_map", "chat_template",
)  # fmt: skip


def safetensors(header: Any, body: bytes = b"") -> bytes:
    raw = header if isinstance(header, bytes) else json.dumps(header).encode()
    return struct.pack("<Q", len(raw)) + raw + body


HEADERS: dict[str, bytes] = {
    "longer than the file": struct.pack("<Q", 1 << 60) + b"{}",
    "no header": b"",
    "not JSON": safetensors(b"\xff\xfe\x00nonsense"),
    "a list": safetensors([1, 2, 3]),
    "a number": safetensors(7),
    "offsets beyond the file": safetensors({"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 1 << 50]}}),
    "offsets that are words": safetensors({"w": {"dtype": "F32", "shape": [4], "data_offsets": ["a", "b"]}}),
    "no offsets": safetensors({"w": {"dtype": "F32", "shape": [4]}}),
    "a tensor that is a word": safetensors({"w": "x"}),
    "a shape that is a word": safetensors({"w": {"dtype": "F32", "shape": "big", "data_offsets": [0, 0]}}),
    "a shape without end": safetensors({"w": {"dtype": "F32", "shape": [1 << 62] * 40, "data_offsets": [0, 0]}}),
    "brackets without end": safetensors(b"[" * 100_000),
}


@pytest.mark.parametrize("kind", HEADERS)
def test_weights_that_lie_about_themselves_are_told_in_words(lab: Lab, tmp_path: Path, kind: str) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"], "hidden_size": 64, "num_hidden_layers": 2}))
    (tmp_path / "tokenizer.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(HEADERS[kind])
    check = lab.check_model(str(tmp_path))
    assert check.words
    assert not check.ok


@FEW
@given(config=JSON | st.dictionaries(st.sampled_from(MEASURES), JSON))
def test_any_config_is_told_in_words(config: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("model")
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors.index.json").write_text(json.dumps(config))
    (folder / "tokenizer_config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").write_bytes(safetensors({}))
    check = Lab(folder / "home").check_model(str(folder))
    assert check.words


def test_an_index_that_points_outside_is_not_followed(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "m").mkdir()
    (tmp_path / "m" / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"], "hidden_size": 64}))
    (tmp_path / "m" / "tokenizer.json").write_text("{}")
    (tmp_path / "secret.safetensors").write_bytes(safetensors({"w": {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}}, b"1234"))
    (tmp_path / "m" / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"w": "../secret.safetensors"}}))
    check = lab.check_model(str(tmp_path / "m"))
    assert not check.ok


class _Program:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        import os

        return os.system, (f"touch {self.mark}",)


def test_a_program_hidden_in_old_weights_is_not_run(tmp_path: Path) -> None:
    from loralab.train.convert import pickles_to_safetensors

    mark, model = tmp_path / "was-here", tmp_path / "model"
    model.mkdir()
    (model / "pytorch_model.bin").write_bytes(pickle.dumps(_Program(mark)))
    with pytest.raises(LabError):
        pickles_to_safetensors(model)
    assert not mark.exists()


# ---- the command line --------------------------------------------------------------------------------------------------------

COMMANDS = ("data", "plan", "train", "show", "stop", "resume", "evaluate", "export", "models", "runs", "pretrain")
WORDS = st.sampled_from(
    [
        "--set",
        "--json",
        "--role",
        "epochs=nan",
        "epochs=1e400",
        "=",
        "x=y",
        "--plan",
        "/dev/null",
        "../..",
        "\U0001f4a5",
        "--force",
        "-1",
        "",
    ]
)


@FEW
@given(
    command=st.sampled_from(COMMANDS),
    words=st.lists(WORDS | st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=8), max_size=4),
)
def test_no_command_line_ends_in_a_traceback(command: str, words: list[str], tmp_path_factory: pytest.TempPathFactory) -> None:
    home = tmp_path_factory.getbasetemp() / "cli"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LORALAB_HOME", str(home))
        patch.setenv("HF_HUB_OFFLINE", "1")
        home.mkdir(exist_ok=True)
        patch.chdir(home)
        patch.setattr(sys, "argv", ["loralab", command, *words])
        patch.setattr(cli, "classify", _never)
        try:
            code = cli.main()
        except SystemExit as left:
            code = left.code
    assert code in (0, 1, 2, 3, None)


def _never(error: BaseException) -> Any:
    raise AssertionError(f"not an error for people: {error!r}") from error


def test_a_real_command_line_says_a_sentence(home: Path) -> None:
    (bad := home / "bad.json").write_text("[" * 100_000)
    for words in (["train", "--plan", str(bad)], ["train", str(bad)], ["show", "../../etc"]):
        done = subprocess.run([sys.executable, "-m", "loralab", *words], cwd=CHECKOUT, capture_output=True, text=True, check=False)
        assert done.returncode in (1, 2)
        assert done.stderr.strip()
        assert "Traceback" not in done.stderr + done.stdout
