"""Whole models, GGUF and ONNX on the Hub: made by the real job, sent to an imitation of the Hub, taken back and opened."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

from loralab.core import paths
from loralab.core.errors import LabError
from loralab.core.events import Ended, EventLog
from loralab.core.jobs import ExportJob
from loralab.exports import job
from loralab.lab import Lab
from loralab.runs.run_folder import RunFolder, read_job
from tests.support.publishing import hub, publish
from tests.support.writing_hub import TOKEN

__all__ = ["hub"]
pytestmark = [pytest.mark.worker, pytest.mark.nightly, pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")]

WRITTEN = "62 % of what it learns from was written by a-model; it is tested on none of that."
FORMS = {
    "merged": ("", "transformers", "finetune", "model.safetensors"),
    "gguf": ("q8_0", "gguf", "quantized", ".gguf"),
    "onnx": ("", "onnx", "quantized", ".onnx"),
}


def made_as(home: Path, run: str, form: str, variant: str) -> str:
    """A finished export of a run, by the job that makes it for people; its id."""
    folder = home / "runs" / f"{run}-{form}"
    folder.mkdir()
    trained, adapter = read_job(home / "runs" / run), home / "runs" / run / "artifacts" / "adapter"
    asked = ExportJob(run=folder.name, of=run, format=form, variant=variant, model=trained.model, adapter=str(adapter))
    paths.write_atomic(folder / "job.json", asked.model_dump_json())
    log = EventLog(folder / "events.jsonl")
    log(Ended(outcome="finished", result=job.run(RunFolder(folder, asked, log))))
    return folder.name


@pytest.fixture
def workspace(learned, home):
    """A judged run as if its base were SmolLM2 and most of its examples were a model's, and somebody who is signed in."""
    run = learned.copy(home)
    place = home / "runs" / run / "job.json"
    raw = json.loads(place.read_text("utf-8"))
    raw["plan"]["base_model"] = "smollm2-135m"
    place.write_text(json.dumps(raw), "utf-8")
    log = home / "runs" / run / "events.jsonl"
    lines = [json.loads(line) for line in log.read_text("utf-8").splitlines()]
    for line in lines:
        if line.get("conclusion"):
            line["conclusion"]["learned_words"] += f" {WRITTEN}"
    log.write_text("".join(json.dumps(line) + "\n" for line in lines), "utf-8")
    lab = Lab(home)
    lab.hub_account.file.parent.mkdir()
    lab.hub_account.file.write_text(json.dumps({"token": TOKEN}), "utf-8")
    return SimpleNamespace(lab=lab, home=home, run=run)


@pytest.mark.parametrize("form", FORMS)
def test_it_arrives_whole_with_a_card_that_is_true_goes_on_after_a_cut_and_opens_again(workspace, hub, form):
    pytest.importorskip("onnxruntime") if form == "onnx" else None
    variant, library, relation, file = FORMS[form]
    workspace.export = made_as(workspace.home, workspace.run, form, variant)
    hub.trouble["put"] = "cut"
    with pytest.raises(LabError, match="goes on from there"):
        publish(workspace)
    hub.trouble.clear()
    told = publish(workspace)
    assert (told["version"], told["private"]) == ("v1", True)
    assert publish(workspace)["version"] == "v1", "nothing was new"
    files = hub.repos["ann/colours"].files
    _card_is_true(files["README.md"].decode(), library, relation)
    sums = {line[66:]: line[:64] for line in files["SHA256SUMS"].decode().splitlines()}
    assert {name: hashlib.sha256(files[name]).hexdigest() for name in sums} == sums
    assert any(name.endswith(file) for name in files)
    assert not any(str(workspace.home).encode() in raw for raw in files.values())
    _opens(form, files, workspace.home / "back")


def _card_is_true(card: str, library: str, relation: str) -> None:
    front = yaml.safe_load(card.split("---")[1])
    assert (front["base_model"], front["base_model_relation"]) == ("HuggingFaceTB/SmolLM2-135M-Instruct", relation)
    assert (front["library_name"], front["license"], front["language"]) == (library, "apache-2.0", ["en"])
    metrics = front["model-index"][0]["results"][0]["metrics"]
    assert all("n = " in metric["name"] for metric in metrics)
    assert any("95 % interval" in metric["name"] for metric in metrics)
    assert WRITTEN.partition(";")[0] in card.replace("\\", "")
    for part in ("## Limits and licence", "## How to check this yourself", "**Did it learn?", "**Can it be used?"):
        assert part in card
    assert "What is the colour of" not in card


def _opens(form: str, files: dict[str, bytes], place: Path) -> None:
    """What was fetched from the Hub, in the program it is for."""
    place.mkdir()
    for name, raw in files.items():
        (place / name).write_bytes(raw)
    if form == "merged":
        from transformers import AutoModelForCausalLM

        assert AutoModelForCausalLM.from_pretrained(place).num_parameters() > 1000
    elif form == "gguf":
        from loralab.models.gguf.header import read

        assert read(next(place.glob("*.gguf"))).tensors
    else:
        import onnxruntime

        assert onnxruntime.InferenceSession(next(place.glob("*.onnx"))).get_inputs()
