"""Taking a model for pictures away: what is offered, what lies in the folder, that it runs elsewhere, and that it can be checked again."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loralab.core import paths
from loralab.core.errors import UserError
from loralab.core.events import Compared, EventLog, Incident, read
from loralab.core.jobs import CheckExportJob, EvaluateExportJob, TrainJob
from loralab.exports import formats, label_of
from loralab.exports.offers import offers
from loralab.exports.parity import check_job, evaluate_job
from loralab.lab import Lab
from loralab.models.vision import bundled_folder
from loralab.runs.run_folder import RunFolder
from loralab.tasks import parse_plan
from tests.support import picture_runs
from tests.support.picture_runs import RUN, Made

needs_onnx = pytest.mark.skipif(importlib.util.find_spec("onnxruntime") is None, reason="there is no onnxruntime for this Python")
OF_TEXT = {"adapter", "gguf", "gguf_adapter", "lm_studio", "merged", "ollama", "onnx", "page", "pt"}


def test_runs_on_pictures_and_on_text_have_formats_of_their_own() -> None:
    for task in ("classify", "segment", "detect"):
        found = formats(task)
        assert set(found) == {"adapter", "merged", "onnx", "page"}
        assert all(form.proof and not form.trial for form in found.values())
    assert set(formats()) == set(formats("text")) == set(formats("preference")) == OF_TEXT
    assert all(form.trial and not form.proof for form in formats().values())
    assert label_of("adapter", "") == formats("classify")["adapter"].label


def _job(home: Path, task: str) -> Path:
    """A run without anything in it, which is enough to ask what could be made of it."""
    plan = parse_plan({"task": task, "dataset": str(home / "gone.zip")})
    adapter = home / "runs" / RUN / "artifacts" / "adapter"
    adapter.mkdir(parents=True)
    for name in ("adapter_model.safetensors", "adapter_config.json", "pictures.json"):
        (adapter / name).write_bytes(b"{}" + bytes(3_000_000))
    asked = TrainJob(run=RUN, plan=plan.model_dump(), model=str(bundled_folder()))
    paths.write_atomic(adapter.parents[1] / "job.json", asked.model_dump_json())
    EventLog(adapter.parents[1] / "events.jsonl")
    return adapter


@needs_onnx
def test_offers_are_of_pictures_alone_with_size_and_time(tmp_path: Path) -> None:
    adapter = _job(tmp_path, "detect")
    found = {(offer.format, offer.variant): offer for offer in offers(tmp_path / "runs", RUN, str(bundled_folder()), str(adapter))}
    both = {(name, variant) for name in ("onnx", "page") for variant in ("fp32", "int8")}
    assert set(found) == {("adapter", ""), ("merged", "")} | both
    for offer in found.values():
        assert offer.problem is None
        assert 5 < offer.seconds < 120
        assert 2_000_000 < offer.bytes < 30_000_000
    assert found["onnx", "int8"].bytes < found["onnx", "fp32"].bytes / 2


def test_what_cannot_be_made_says_why(tmp_path: Path) -> None:
    adapter = _job(tmp_path, "classify")
    gone = {offer.format: offer.problem for offer in offers(tmp_path / "runs", RUN, str(tmp_path), str(adapter))}
    assert gone["adapter"] is None, "an adapter needs no base to be passed on"
    assert gone["merged"] is not None
    assert gone["merged"].code == "not_downloaded"
    (adapter / "pictures.json").unlink()
    left = offers(tmp_path / "runs", RUN, str(bundled_folder()), str(adapter))
    assert {offer.problem.code for offer in left if offer.problem} == {"no_adapter"}


# ---- made for real ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return picture_runs.made(tmp_path_factory.mktemp("take") / "LoRALab", "detect")


@pytest.fixture(scope="module")
def taken(run: Made) -> dict[str, dict[str, Any]]:
    """Every form, made and proven."""
    return {"adapter": run.export("adapter"), "merged": run.export("merged"), "int8": run.export("onnx", "int8")}


def picture_of(run: Made, place: Path) -> Path:
    with zipfile.ZipFile(run.home / "drawn.zip") as packed:
        name = next(name for name in packed.namelist() if name.endswith(".png"))
        place.write_bytes(packed.read(name))
    return place


@needs_onnx
@pytest.mark.worker
class TestMade:
    """Of one run, exported in every form once."""

    def test_each_is_proven_and_whole(self, run: Made, taken: dict[str, dict[str, Any]]) -> None:
        for form, result in taken.items():
            assert result["parity"] == "proven", (form, result["parity_words"])
            folder = Path(result["folder"])
            there = {file.name for file in folder.iterdir()}
            assert {"README.md", "plan.json", "pictures.json", "predict.py", "parity.json", "SHA256SUMS"} <= there
            told = {"adapter": {"adapter_model.safetensors", "history.json", "model.py"}, "int8": {"model.onnx"}}
            assert told.get(form, {"model.safetensors", "model.py", "model.json"}) <= there
            assert "## How to use it" in (folder / "README.md").read_text("utf-8")
            for file in folder.iterdir():
                assert str(run.home).encode() not in file.read_bytes(), file.name
                assert str(bundled_folder()).encode() not in file.read_bytes(), file.name
        assert Path(taken["adapter"]["path"]).suffix == ".zip"
        events, _ = read(run.home / "runs" / "export-onnx-int8" / "events.jsonl")
        assert [event.outcome for event in events if isinstance(event, Compared)] == ["proven"]

    def test_the_program_runs_with_nothing_of_ours(self, run: Made, taken: dict[str, dict[str, Any]], tmp_path: Path) -> None:
        picture, said = picture_of(run, tmp_path / "a picture.png"), {}
        for form, result in taken.items():
            folder = result["folder"]
            base = [str(bundled_folder())] if form == "adapter" else []
            command = [sys.executable, "-B", "predict.py", *base, str(picture)]
            done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            said[form] = json.loads(done.stdout.splitlines()[-1])
            assert said[form]["picture"] == str(picture)
        assert said["merged"]["things"], "it finds something"
        boxes = {form: np.array([thing["box"] for thing in one["things"]]) for form, one in said.items()}
        assert np.allclose(boxes["merged"], boxes["adapter"], atol=0.02)
        assert len(boxes["int8"]), "it finds something in eight bits, too"

    def test_the_graph_takes_any_number_of_pictures_and_knows_its_labels(self, taken: dict[str, dict[str, Any]]) -> None:
        import onnxruntime

        session: Any = onnxruntime.InferenceSession(str(Path(taken["int8"]["folder"]) / "model.onnx"))
        assert session.get_inputs()[0].shape == ["batch", 3, 64, 96]
        assert json.loads(session.get_modelmeta().custom_metadata_map["labels"]) == ["disc", "square"]
        pixels = np.random.default_rng(0).integers(0, 256, (3, 3, 64, 96)).astype(np.float32)
        together = session.run(None, {"pixels": pixels})
        for i in range(3):
            alone = session.run(None, {"pixels": pixels[i : i + 1]})
            assert np.allclose(together[1][i], alone[1][0], rtol=1e-4)

    def test_untouched_it_is_proven_again_and_changed_it_is_not(self, run: Made, taken: dict[str, dict[str, Any]]) -> None:
        del taken
        assert self._checked(run, "check-1", "export-onnx-int8")["parity"] == "proven"
        file = run.home / "exports" / RUN / "onnx-int8" / "predict.py"
        before = file.read_text("utf-8")
        file.write_text(before + "\n# a word\n", "utf-8")
        found = self._checked(run, "check-2", "export-onnx-int8")
        assert found["parity"] == "differs"
        assert found["files_changed"] == ["predict.py was changed"]
        events, _ = read(run.home / "runs" / "check-2" / "events.jsonl")
        assert [event.code for event in events if isinstance(event, Incident)] == ["export_differs"]
        file.write_text(before, "utf-8")

    @staticmethod
    def _checked(run: Made, name: str, export: str) -> dict[str, Any]:
        folder = run.home / "runs" / name
        folder.mkdir()
        return check_job.run(RunFolder(folder, CheckExportJob(run=name, of=RUN, export=export), EventLog(folder / "events.jsonl")))

    def test_it_is_not_measured_as_text_is(self, run: Made, taken: dict[str, dict[str, Any]]) -> None:
        del taken
        folder = run.home / "runs" / "measure"
        folder.mkdir()
        asked = EvaluateExportJob(run="measure", of=RUN, export="export-onnx-int8", model=str(bundled_folder()), adapter=str(run.adapter))
        log = EventLog(folder / "events.jsonl")
        with pytest.raises(UserError):
            evaluate_job.run(RunFolder(folder, asked, log))

    def test_the_facade_offers_the_same(self, run: Made) -> None:
        assert {offer.format for offer in Lab(run.home).offers(RUN)} == {"adapter", "merged", "onnx", "page"}


@needs_onnx
@pytest.mark.nightly
@pytest.mark.worker
@pytest.mark.parametrize("task", [pytest.param("classify", marks=pytest.mark.long), "segment"])
def test_from_the_command_line_it_is_made_and_checked(home: Path, task: str) -> None:
    picture_runs.made(home, task)
    command = [sys.executable, "-m", "loralab"]
    for words in (["export", RUN, "--format", "onnx", "--json"], ["verify", RUN, "--json"]):
        done = subprocess.run([*command, *words, "--home", str(home)], capture_output=True, text=True, cwd=paths.CHECKOUT, check=False)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["parity"]["outcome"] == "proven"
    done = subprocess.run(
        [*command, "export", RUN, "--format", "gguf", "--home", str(home)], capture_output=True, text=True, cwd=paths.CHECKOUT, check=False
    )
    assert done.returncode != 0
    assert "Choose one of: adapter, merged, onnx, page." in done.stdout + done.stderr
