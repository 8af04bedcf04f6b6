"""A run in another tracker's form: each is read back by that tracker's own reader."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from loralab.core.errors import UserError
from loralab.lab import Lab
from loralab.telemetry import exported

pytestmark = pytest.mark.worker


@pytest.fixture
def run(learned, home) -> str:
    return learned.copy(home)


def test_a_table_and_lines_hold_every_update(lab: Lab, run: str, tmp_path: Path) -> None:
    steps = lab.view(run).steps
    with lab.export_run(run, "csv", tmp_path / "run.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["loss"]]
    lines = [json.loads(line) for line in lab.export_run(run, "jsonl", tmp_path / "run.jsonl").read_text().splitlines()]
    assert [float(row["loss"]) for row in rows] == [step.loss for step in steps]
    assert [line["loss"] for line in lines if "loss" in line] == [step.loss for step in steps]
    assert any("final_loss" in line for line in lines)


def test_tensorboard_reads_it(lab: Lab, run: str, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    made = lab.export_run(run, "tensorboard", tmp_path / "board")
    read = accumulator.EventAccumulator(str(made / run))
    read.Reload()
    steps = lab.view(run).steps
    assert [(event.step, event.value) for event in read.Scalars("loss")] == [(step.step, pytest.approx(step.loss)) for step in steps]
    assert "learning_rate" in read.Tags()["scalars"]


def test_mlflow_reads_it(lab: Lab, run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    store = pytest.importorskip("mlflow.store.tracking.file_store")
    made = lab.export_run(run, "mlflow", tmp_path / "mlruns")
    reader = store.FileStore(str(made))
    assert reader.get_experiment("1").name == "LoRALab"
    (found,) = reader.search_runs(["1"], "", 1)
    steps = lab.view(run).steps
    told = reader.get_metric_history(found.info.run_id, "loss")
    assert [(one.step, one.value) for one in told] == [(step.step, step.loss) for step in steps]
    assert found.info.status == "FINISHED"
    assert found.data.params["rank"] == "4"
    assert str(tmp_path) not in json.dumps(found.data.params), "no path of this computer goes along"


def test_trackio_reads_it(lab: Lab, run: str, tmp_path: Path) -> None:
    pytest.importorskip("trackio")
    made = lab.export_run(run, "trackio", tmp_path / "tracked")
    code = "import json, trackio; print(json.dumps(trackio.Api().runs('loralab')[0].name))"
    environment = os.environ | {"TRACKIO_DIR": str(made)}
    said = subprocess.run([sys.executable, "-c", code], env=environment, check=True, capture_output=True, text=True)
    assert json.loads(said.stdout.splitlines()[-1]) == run


def test_what_cannot_be_written_is_refused_and_leaves_nothing(lab: Lab, run: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = tmp_path / "taken"
    taken.mkdir()
    (taken / "mine").write_text("mine")
    for form, place, words in (("mlflow", taken, "is there already"), ("excel", taken, "no form"), ("csv", taken, "could not be written")):
        with pytest.raises(UserError, match=words):
            lab.export_run(run, form, place)
    assert [path.name for path in taken.iterdir()] == ["mine"]

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setitem(exported.FOLDERS, "mlflow", full)
    with pytest.raises(UserError, match="No space left"):
        lab.export_run(run, "mlflow", tmp_path / "new")
    assert not [path for path in tmp_path.iterdir() if "new" in path.name]
