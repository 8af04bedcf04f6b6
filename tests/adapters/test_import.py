"""Adapters from elsewhere become runs: as LLaMA-Factory, Unsloth, PEFT and we write them."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import load_file, save_file

from loralab.core import paths
from loralab.core.errors import UserError
from loralab.core.events import Ended, Evaluated, EventLog, Measured, Saved, Started, Stepped
from loralab.core.jobs import ExportJob, TrainJob, parse_job
from loralab.core.records import Artifact, Score
from loralab.exports import job
from loralab.lab import Lab
from loralab.models import adapter_file
from loralab.models.catalog import catalogue
from loralab.planning.duration import speeds
from loralab.runs.run_folder import RunFolder
from loralab.serve.job import open_speaker
from loralab.sessions import evaluate_job as judging
from loralab.tasks import parse_plan
from tests.support import gguf_models, tiny
from tests.support.adapters import CONFIG, WEIGHTS, left, llama_factory, unsloth

pytestmark = [pytest.mark.worker, pytest.mark.usefixtures("one_process")]


def logits(model: Any) -> Any:
    import torch

    with torch.no_grad():
        return model(input_ids=torch.arange(5, 60)[None]).logits


def answers_as(lab: Lab, run: str, adapter: Path, base: Path) -> None:
    """The run's adapter, served and judged, is PEFT's own reading of the folder that was given."""
    from peft import PeftModel

    from loralab.runtimes.base_model import load_base

    wanted = logits(PeftModel.from_pretrained(load_base(base, "fp32"), str(adapter)).eval())
    bare = logits(load_base(base, "fp32"))
    assert (logits(open_speaker(Path(lab.job(run).model), lab._adapter(run)).model) - wanted).abs().max() < 1e-6
    assert (wanted - bare).abs().max() > 0.05


def worker(lab: Lab, kind: str, run: str, **options: Any) -> dict[str, Any]:
    folder = lab.home / "runs" / f"{run}-{kind}"
    folder.mkdir()
    values = {"kind": kind, "run": folder.name, "of": run, "model": lab.job(run).model, "adapter": lab._adapter(run), **options}
    asked = parse_job(json.dumps(values).encode())
    return (job if kind == "export" else judging).run(RunFolder(folder, asked, EventLog(folder / "events.jsonl")))


# ---- good ones -------------------------------------------------------------------------------------------------------------


def test_an_adapter_of_llama_factory_is_chatted_with_judged_and_exported(lab: Lab, bases: dict[str, Path], tmp_path: Path) -> None:
    given = llama_factory(tmp_path / "saves" / "my-lora", bases["base"])
    data = tiny.examples_file(tmp_path / "rows.jsonl", 24)
    run = lab.import_adapter(given, data=str(data))
    view, plan = lab.view(run), lab.job(run).plan
    assert (view.state, view.step, [step.loss for step in view.steps]) == ("finished", 20, [3.0, 2.0])
    assert any("made with LLaMA-Factory" in note.text for note in view.notes)
    assert (plan["use_rslora"], plan["rank"], plan["dropout"], "learning_rate" in plan) == (True, 4, 0.1, False)
    assert not list((lab.home / "runs" / run).rglob("*.bin"))
    assert lab.runs()[0]["id"] == run
    card = lab.card(run)
    assert "with LLaMA-Factory and brought into LoRALab" in card
    assert "repeats the run" not in card
    answers_as(lab, run, given, bases["base"])
    judged = worker(lab, "evaluate", run)
    assert judged["n_heldout"] == 12
    assert abs(judged["adapter_loss"] - judged["base_loss"]) > 1e-3
    exported = worker(lab, "export", run, format="merged")
    assert (exported["parity"], exported["heldout_rows"]) == ("proven", 6)
    with pytest.raises(UserError, match="finished"):
        lab.resume(run)


def test_an_adapter_of_unsloth_finds_the_base_behind_a_squeezed_name(lab: Lab, bases: dict[str, Path], tmp_path: Path) -> None:
    entry = next(entry for entry in catalogue() if entry.hub_id)
    given = unsloth(tmp_path / "lora_model", bases["base"])
    with pytest.raises(UserError, match=f"Download {entry.name} first") as told:
        lab.import_adapter(given)
    assert "which is not on this computer" in told.value.problem.what
    assert left(lab) == []
    shutil.copytree(bases["base"], lab.catalog.folder(entry.name))
    archive = Path(shutil.make_archive(str(tmp_path / "lora_model"), "zip", tmp_path, "lora_model"))
    run = lab.import_adapter(archive)
    assert lab.job(run).plan["base_model"] == entry.name
    assert any("made with Unsloth" in note.text for note in lab.view(run).notes)
    answers_as(lab, run, given, bases["base"])
    assert worker(lab, "export", run, format="adapter")["parity"] == "proven"


KINDS: dict[str, dict[str, Any]] = {
    "patterns": {"rank_pattern": {"q_proj": 2, "1.mlp.up_proj": 6}, "alpha_pattern": {"v_proj": 20}, "use_rslora": True},
    "DoRA": {"use_dora": True},
    "whole layers": {"target_modules": ["q_proj", "v_proj"], "modules_to_save": ["lm_head"]},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_lora_is_read_as_peft_reads_it(lab: Lab, bases: dict[str, Path], tmp_path: Path, kind: str) -> None:
    given = gguf_models.adapter_folder(tmp_path / "given", bases["base"], **KINDS[kind])
    rows = tiny.examples_file(tmp_path / "rows.jsonl", 12)
    run = lab.import_adapter(given, data=str(rows))
    answers_as(lab, run, given, bases["base"])
    assert worker(lab, "evaluate", run)["n_heldout"] == 6
    assert worker(lab, "export", run, format="merged")["parity"] == "proven"
    problems = {offer.format: offer.problem for offer in lab.offers(run)}
    assert (problems["gguf_adapter"] is not None) is (kind != "patterns")


def test_dropped_files_and_an_old_pickle_of_nothing_but_tensors_come_in(
    lab: Lab, bases: dict[str, Path], plain: Path, tmp_path: Path
) -> None:
    import torch

    old = Path(shutil.copytree(plain, tmp_path / "old"))
    torch.save(load_file(old / WEIGHTS), old / "adapter_model.bin")
    (old / WEIGHTS).unlink()
    run = lab.import_adapter(old / CONFIG, old / "adapter_model.bin", base=str(bases["base"]))
    answers_as(lab, run, plain, bases["base"])
    assert not list((lab.home / "runs" / run).rglob("*.bin"))


# ---- our own, with its history ---------------------------------------------------------------------------------------------

SCORE = Score(
    name="loss", before=4.0, after=2.5, n=30, difference=-1.5, low=-2, high=-1, verdict="better", words="Much likelier than before."
)


@pytest.fixture(scope="module")
def ours(bases: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The zip of a run of ours, exported in another workspace."""
    from loralab.models import fingerprint

    home = tmp_path_factory.mktemp("elsewhere")
    run = home / "runs" / "sunny-otter"
    adapter = gguf_models.adapter_folder(run / "artifacts" / "adapter", bases["base"])
    values = {"dataset": str(home / "letters.jsonl"), "base_model": str(bases["base"]), "rank": 4, "epochs": 7, "title": "My letters"}
    asked = TrainJob(run=run.name, plan=parse_plan(values).model_dump(), model=str(bases["base"]))
    paths.write_atomic(run / "job.json", asked.model_dump_json())
    fingerprint.keep(run, bases["base"])
    log = EventLog(run / "events.jsonl")
    log(Started(pid=1, versions={"torch": "2.13.0"}))
    log(Measured(text=f"Reading {home / 'letters.jsonl'}", n_train=90, n_heldout=30))
    for i in (1, 2, 3):
        log(Stepped(step=i, loss=4.0 - i, grad_norm=1, learning_rate=1e-3, tokens=64, tokens_per_second=900, memory_bytes=9, total_steps=3))
    log(Evaluated(step=3, split="final", loss=2.5, n=30, scores=(SCORE,), verdict="better", words="Better: much likelier than before."))
    log(Saved(step=3, artifact=Artifact(kind="adapter", path=str(adapter))))
    log(Ended(step=3, outcome="finished", result={"steps": 3, "seconds": 12.5, "adapter": str(adapter)}))
    folder = home / "runs" / "away"
    folder.mkdir()
    options = {"of": run.name, "format": "adapter", "model": str(bases["base"]), "adapter": str(adapter)}
    with pytest.MonkeyPatch.context() as patch:
        from loralab.exports.parity import gate
        from loralab.exports.parity.checks import untried

        patch.setattr(gate, "_compared", lambda *_: untried("Later"))
        found = job.run(RunFolder(folder, ExportJob.model_validate({"run": "away", **options}), EventLog(folder / "events.jsonl")))
    return Path(found["path"])


def test_our_own_brings_its_history_back(lab: Lab, bases: dict[str, Path], ours: Path) -> None:
    run = lab.import_adapter(ours, base=str(bases["base"]))
    report, view, plan = lab.report(run), lab.view(run), lab.job(run).plan
    assert [step.loss for step in view.steps] == [3.0, 2.0, 1.0]
    assert (report["base_loss"], report["adapter_loss"], report["n_heldout"], report["seconds"]) == (4.0, 2.5, 30, 12.5)
    assert report["judgement"]["words"] == "Better: much likelier than before."
    assert (plan["epochs"], plan["title"], plan["rank"]) == (7, "My letters", 4)
    assert any("sunny-otter" in note.text for note in view.notes)
    assert "Much likelier than before." in lab.card(run)
    assert speeds(lab.history.measured()) == {}, "another computer's speed teaches nothing about this one"
    with zipfile.ZipFile(ours) as archive:
        raw = b"".join(archive.read(name) for name in archive.namelist())
    assert str(ours.parents[2]).encode() not in raw
    assert b"letters.jsonl" in raw


def test_the_weights_alone_still_say_what_they_are(lab: Lab, bases: dict[str, Path], ours: Path, tmp_path: Path) -> None:
    shutil.unpack_archive(ours, tmp_path)
    folder = tmp_path / "sunny-otter-adapter"
    (folder / adapter_file.HISTORY).unlink()
    (folder / "plan.json").unlink()
    run = lab.import_adapter(folder, base=str(bases["base"]))
    assert lab.job(run).plan["title"] == "My letters"
    assert any("Better: much likelier than before." in note.text for note in lab.view(run).notes)
    other = Path(shutil.copytree(bases["base"], tmp_path / "other"))
    weights = load_file(other / "model.safetensors")
    save_file({name: tensor * 1.01 for name, tensor in weights.items()}, other / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match="its weights changed since"):  # same names, same shapes, another model
        lab.import_adapter(folder, base=str(other))


def test_judging_without_examples_is_a_sentence(lab: Lab, bases: dict[str, Path], plain: Path) -> None:
    run = lab.import_adapter(plain, base=str(bases["base"]))
    with pytest.raises(UserError, match="Nobody has said what to test it on"):
        worker(lab, "evaluate", run)
