"""Hostile logs, jobs, model folders and command lines: a person reads a sentence, nothing is run, nothing lands outside."""

from __future__ import annotations

import contextlib
import json
import pickle
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loralab import history
from loralab.cli import app
from loralab.core.errors import LabError
from loralab.core.events import EventLog, Noted, fold, read
from loralab.core.paths import CHECKOUT
from loralab.core.report import run_report
from loralab.lab import Lab
from tests.support.hostile import FEW, JSON, MANY

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
    last = read(path)[0][-1]
    assert isinstance(last, Noted)
    assert last.text == "the last word"


@MANY
@given(data=st.data())
def test_events_with_any_numbers_are_folded_and_reported(data: st.DataObject) -> None:
    number = st.integers(-(10**18), 10**18) | st.floats()
    lines = [
        {"type": "started", "time": data.draw(number), "pid": 1, "resumed": data.draw(st.booleans()), "step": data.draw(st.integers())},
        {
            "type": "stepped",
            "time": data.draw(number),
            "step": data.draw(st.integers()),
            "loss": data.draw(number),
            "grad_norm": data.draw(number),
            "learning_rate": data.draw(number),
            "tokens": data.draw(st.integers()),
            "tokens_per_second": data.draw(number),
            "memory_bytes": data.draw(st.integers()),
            "seconds_left": data.draw(number),
            "total_steps": data.draw(st.integers()),
        },
        {"type": "evaluated", "loss": data.draw(number), "n": data.draw(st.integers())},
        {
            "type": "ended",
            "outcome": "finished",
            "result": data.draw(st.dictionaries(st.sampled_from(["seconds", "peak_memory_bytes"]), JSON)),
        },
    ]
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
    "architectures",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "vocab_size",
    "quantization_config",
    "auto_map",
    "max_position_embeddings",
    "head_dim",
    "tie_word_embeddings",
    "weight_map",
    "chat_template",
)


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
    from loralab.sessions.convert import pickles_to_safetensors

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
        patch.setattr(app, "classify", _never)
        try:
            code = app.main()
        except SystemExit as left:
            code = left.code
    assert code in (0, 1, 2, 3, None)


def _never(error: BaseException) -> Any:
    raise AssertionError(f"not an error for people: {error!r}") from error


@pytest.mark.worker
def test_a_real_command_line_says_a_sentence(home: Path) -> None:
    (bad := home / "bad.json").write_text("[" * 100_000)
    for words in (["train", "--plan", str(bad)], ["train", str(bad)], ["show", "../../etc"]):
        done = subprocess.run([sys.executable, "-m", "loralab", *words], cwd=CHECKOUT, capture_output=True, text=True, check=False)
        assert done.returncode in (1, 2)
        assert done.stderr.strip()
        assert "Traceback" not in done.stderr + done.stdout
