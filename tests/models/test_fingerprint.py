"""A base model that is another one than the run was trained on is noticed, by everything that uses the run; a copy of it is not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from loralab.core import paths
from loralab.core.errors import LabError, UserError
from loralab.core.events import EventLog, Started
from loralab.core.jobs import TrainJob, parse_job
from loralab.exports import formats, job
from loralab.exports.offers import offers
from loralab.models import fingerprint
from loralab.runs.run_folder import RunFolder
from loralab.serve.job import open_speaker
from loralab.sessions import evaluate_job as judging
from loralab.sessions import job as training
from loralab.tasks import parse_plan
from tests.support import tiny

pytestmark = pytest.mark.worker

Workspace = tuple[Path, Path, Path]


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A workspace with a run on the tiny model whose base was written down: home, base, adapter."""
    base, home = tiny.model_folder(tmp_path / "base"), tmp_path / "home"
    run = home / "runs" / "tiny-run"
    adapter = tiny.adapter_folder(run / "artifacts" / "adapter", base)
    plan = parse_plan({"dataset": str(tiny.examples_file(tmp_path / "rows.jsonl", 40)), "base_model": str(base), "rank": 4})
    paths.write_atomic(run / "job.json", TrainJob(run=run.name, plan=plan.model_dump(), model=str(base)).model_dump_json())
    log = EventLog(run / "events.jsonl")
    log(Started(pid=1))
    fingerprint.keep(run, base)
    return home, base, adapter


def one_tensor(base: Path) -> None:
    weights = load_file(base / "model.safetensors")
    weights["model.layers.1.mlp.up_proj.weight"][0, 0] += 1
    save_file(weights, base / "model.safetensors", {"format": "pt"})


def positions(base: Path) -> None:
    config = json.loads((base / "config.json").read_text())
    config["rope_parameters"]["rope_theta"] = 500000.0
    (base / "config.json").write_text(json.dumps(config))


def words(base: Path) -> None:
    path = base / "tokenizer.json"
    path.write_text(path.read_text("utf-8").replace('"type": "BPE"', '"type":  "BPE"'), "utf-8")


def template(base: Path) -> None:
    (base / "chat_template.jinja").write_text(tiny.TEMPLATE.replace("assistant", "helper"))


CHANGES = (
    (one_tensor, "its weights"),
    (positions, "its settings (config.json)"),
    (words, "its tokenizer"),
    (template, "its chat template"),
)


def worker(home: Path, kind: str, options: dict[str, Any]) -> RunFolder:
    folder = home / "runs" / kind
    folder.mkdir(exist_ok=True)
    asked = parse_job(json.dumps({"kind": kind.removesuffix("-again"), "run": kind, **options}).encode())
    return RunFolder(folder, asked, EventLog(folder / "events.jsonl"))


@pytest.mark.parametrize(("change", "part"), CHANGES, ids=[change.__name__ for change, _ in CHANGES])
def test_a_changed_base_is_named_part_by_part(workspace: Workspace, change: Callable[[Path], None], part: str) -> None:
    home, base, _ = workspace
    run = home / "runs" / "tiny-run"
    assert fingerprint.changed(run, base) is None
    change(base)
    problem = fingerprint.changed(run, base)
    assert problem is not None
    assert problem.code == "base_changed"
    assert f"“base” is not the one this adapter was trained on: {part} changed since." in problem.what


def test_a_copy_and_another_cut_of_the_same_model_are_the_same(workspace: Workspace, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM

    home, base, _ = workspace
    copy = Path(shutil.copytree(base, tmp_path / "copy", copy_function=shutil.copy))
    assert fingerprint.changed(home / "runs" / "tiny-run", copy) is None
    AutoModelForCausalLM.from_pretrained(base).save_pretrained(copy, max_shard_size="100KB")
    (copy / "model.safetensors").unlink()
    assert len(list(copy.glob("model-*.safetensors"))) > 1
    assert fingerprint.changed(home / "runs" / "tiny-run", copy) is None


def test_every_use_of_the_run_says_so_and_none_goes_on(workspace: Workspace) -> None:
    home, base, adapter = workspace
    options = {"of": "tiny-run", "model": str(base), "adapter": str(adapter)}
    assert all(offer.problem is None or offer.problem.code != "base_changed" for offer in offers(home / "runs", *options.values()))
    open_speaker(base, str(adapter))
    one_tensor(base)
    refused = [offer.problem.code for offer in offers(home / "runs", *options.values()) if offer.problem]
    assert refused == ["base_changed"] * sum(len(form.variants) or 1 for form in formats().values())
    with pytest.raises(LabError, match="its weights changed since"):
        job.run(worker(home, "export", options | {"format": "adapter"}))
    assert not list((home / "exports").glob("*/*"))
    with pytest.raises(UserError, match="its weights changed since"):
        judging.run(worker(home, "evaluate", options))
    with pytest.raises(UserError, match="its weights changed since"):
        open_speaker(base, str(adapter))
    log = EventLog(home / "runs" / "tiny-run" / "events.jsonl")
    asked = parse_job((home / "runs" / "tiny-run" / "job.json").read_bytes())
    with pytest.raises(UserError, match="its weights changed since"):  # it would go on learning on another model
        training.run(RunFolder(home / "runs" / "tiny-run", asked, log))


def test_a_deleted_base_is_a_sentence_and_the_adapter_can_still_be_kept(workspace: Workspace) -> None:
    home, base, adapter = workspace
    options = {"of": "tiny-run", "model": str(base), "adapter": str(adapter)}
    shutil.rmtree(base)
    with pytest.raises(LabError, match="not on this computer any more"):
        judging.run(worker(home, "evaluate", options))
    with pytest.raises(LabError, match="not on this computer any more"):
        open_speaker(base, str(adapter))
    with pytest.raises(LabError, match="not on this computer any more"):
        job.run(worker(home, "export", options | {"format": "gguf"}))
    kept = job.run(worker(home, "export-again", options | {"format": "adapter"}))
    assert (kept["parity"], Path(kept["path"]).name) == ("untried", "tiny-run-adapter.zip")
    assert "not on this computer any more, so nothing could be compared" in kept["parity_words"]
    problems = {offer.format: offer.problem for offer in offers(home / "runs", *options.values())}
    assert problems.pop("adapter") is None
    assert all(problem is not None and "not on this computer" in problem.what for problem in problems.values())


def test_a_disk_that_fills_up_while_exporting_leaves_nothing_and_says_so(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from loralab.core.errors import classify

    home, base, adapter = workspace

    def full(*_given: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(job, "prove", full)
    with pytest.raises(OSError, match="No space left") as told:
        job.run(worker(home, "export", {"of": "tiny-run", "model": str(base), "adapter": str(adapter), "format": "adapter"}))
    assert classify(told.value).what == "The disk is full."
    assert not list((home / "exports" / "tiny-run").iterdir())


def test_a_run_that_saved_nothing_has_nothing_to_take_away(workspace: Workspace) -> None:
    from loralab.core.events import Ended
    from loralab.lab import Lab

    home, *_ = workspace
    log = EventLog(home / "runs" / "tiny-run" / "events.jsonl")
    log(Ended(outcome="stopped"))
    lab = Lab(home)
    for ask in (lab.export, lab.evaluate, lab.offers, lab.chat):
        with pytest.raises(UserError, match="has not made an adapter yet"):
            ask("tiny-run")


def test_a_run_from_before_and_a_damaged_base_are_no_accident(workspace: Workspace) -> None:
    home, base, _ = workspace
    run = home / "runs" / "tiny-run"
    (base / "model.safetensors").write_bytes(b"no")
    problem = fingerprint.changed(run, base)
    assert problem is not None
    assert problem.code == "damaged"
    (run / fingerprint.FILE).unlink()
    assert fingerprint.changed(run, base) is None
    with pytest.raises(UserError, match="cannot be read"):
        fingerprint.keep(run, base)
    assert not (run / fingerprint.FILE).exists()


def test_a_base_of_several_parts_has_a_print_and_each_part_counts(tmp_path: Path) -> None:
    base, run = tmp_path / "base", tmp_path / "run"
    for number, part in enumerate(("unet", "vae")):
        (base / part).mkdir(parents=True)
        (base / part / "config.json").write_text("{}", "utf-8")
        save_file({"conv_in.weight": torch.full((8, 8), float(number))}, base / part / "model.safetensors")
    (base / "model_index.json").write_text("{}", "utf-8")
    run.mkdir()
    fingerprint.keep(run, base)
    assert fingerprint.changed(run, base) is None
    raw = (base / "vae" / "model.safetensors").read_bytes()
    (base / "vae" / "model.safetensors").write_bytes((base / "unet" / "model.safetensors").read_bytes())
    problem = fingerprint.changed(run, base)
    assert problem is not None
    assert problem.code == "base_changed"
    (base / "vae" / "model.safetensors").write_bytes(raw)
    fingerprint.require_same_base(run, base)
