"""Taking results away: what is in the zip, that it loads elsewhere and answers the same, and that nothing private or half done leaves."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import save_file

from loralab import exports
from loralab.core import paths
from loralab.core.errors import LabError, UserError
from loralab.core.events import Ended, Evaluated, EventLog, Measured, Previewed, RunView, Started
from loralab.core.jobs import ExportJob, TrainJob
from loralab.core.records import Sample, Score
from loralab.exports import _files, job
from loralab.models import adapter_file
from loralab.reports import card
from loralab.reports.card import Origin, model_card, origin_of
from loralab.runs import runs
from loralab.runs.run_folder import RunFolder
from loralab.tasks import parse_plan
from tests.support import tiny

pytestmark = [pytest.mark.usefixtures("one_process"), pytest.mark.worker]

SCORE = Score(
    name="loss",
    before=3.1,
    after=2.4,
    n=92,
    difference=-0.7,
    low=-0.8,
    high=-0.6,
    verdict="better",
    words="On 92 examples it never saw, the right words are 2.0 times more likely than before (loss 3.10 → 2.40).",
)
SAMPLE = Sample(prompt="Why | so?\n# not a heading", before="because", after="therefore", after_active=("default",))


@pytest.fixture
def workspace(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A workspace with one finished run on the tiny model: home, base folder, adapter folder."""
    base = tiny.model_folder(tmp_path / "base")
    home = tmp_path / "home"
    run = home / "runs" / "tiny-run"
    adapter = tiny.adapter_folder(run / "artifacts" / "adapter", base)
    plan = parse_plan({"dataset": str(tmp_path / "private" / "letters.jsonl"), "base_model": str(base), "rank": 4, "title": "My letters"})
    asked = TrainJob(run="tiny-run", plan=plan.model_dump(), model=str(base))
    paths.write_atomic(run / "job.json", asked.model_dump_json())
    log = EventLog(run / "events.jsonl")
    log(Started(pid=1))
    log(Measured(text="Learning.", n_train=828, n_heldout=92))
    log(Evaluated(split="final", loss=2.4, n=92, scores=(SCORE,)))
    log(Previewed(samples=(SAMPLE,)))
    log(Ended(outcome="finished"))
    return home, base, adapter


def export(home: Path, base: Path, adapter: Path, form: str) -> dict[str, Any]:
    folder = home / "runs" / f"export-{form}"
    folder.mkdir(parents=True, exist_ok=True)
    options = {"of": "tiny-run", "format": form, "model": str(base), "adapter": str(adapter)}
    return job.run(RunFolder(folder, ExportJob.model_validate({"run": folder.name, **options}), EventLog(folder / "events.jsonl")))


def numbers_of(weights: Path) -> bytes:
    """What follows the head of a safetensors file."""
    raw = weights.read_bytes()
    return raw[8 + int.from_bytes(raw[:8], "little") :]


def logits_in_fresh_process(code: str) -> Any:
    import torch

    program = f"import sys, torch\nfrom transformers import AutoModelForCausalLM\n{code}\nids = torch.arange(5, 60)[None]\n"
    program += "with torch.no_grad(): torch.save(model.eval()(input_ids=ids).logits, sys.stdout.buffer)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    import io

    return torch.load(io.BytesIO(done.stdout), weights_only=True)


def test_the_zip_holds_all_that_is_needed_and_its_checksums_are_true(workspace: tuple[Path, Path, Path]) -> None:
    home, base, adapter = workspace
    result = export(home, base, adapter, "adapter")
    assert Path(result["path"]) == home / "exports" / "tiny-run" / "tiny-run-adapter.zip"
    assert hashlib.sha256(Path(result["path"]).read_bytes()).hexdigest() == result["sha256"]
    with zipfile.ZipFile(result["path"]) as archive:
        content = {Path(name).name: archive.read(name) for name in archive.namelist()}
        assert {Path(name).parts[0] for name in archive.namelist()} == {"tiny-run-adapter"}
    assert set(content) == {
        "adapter_model.safetensors",
        "adapter_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "chat_template.jinja",
        "README.md",
        "plan.json",
        "history.json",
        "parity.json",
        "SHA256SUMS",
    }
    exported = Path(result["folder"]) / "adapter_model.safetensors"
    assert content[exported.name] == exported.read_bytes()
    assert numbers_of(exported) == numbers_of(adapter / exported.name)  # only the head says more
    assert adapter_file.read_summary(exported)["verdict"]["words"] == SCORE.words
    sums = {line[66:]: line[:64] for line in content["SHA256SUMS"].decode().splitlines()}
    assert sums == {name: hashlib.sha256(raw).hexdigest() for name, raw in content.items() if name != "SHA256SUMS"}


def test_no_path_of_this_computer_leaves_it(workspace: tuple[Path, Path, Path], tmp_path: Path) -> None:
    result = export(*workspace, "adapter")
    for file in Path(result["folder"]).iterdir():
        assert str(tmp_path).encode() not in file.read_bytes(), file.name
    plan = json.loads((Path(result["folder"]) / "plan.json").read_text())
    assert (plan["dataset"], plan["base_model"]) == ("letters.jsonl", "base")
    assert parse_plan(plan).model_dump()["rank"] == 4  # it can be used again as it is


def test_the_adapter_answers_the_same_in_a_fresh_process(workspace: tuple[Path, Path, Path]) -> None:
    import torch
    from peft import PeftModel

    from loralab.runtimes.base_model import load_base

    home, base, adapter = workspace
    folder = export(home, base, adapter, "adapter")["folder"]
    ids = torch.arange(5, 60)[None]
    with torch.no_grad():
        model = PeftModel.from_pretrained(load_base(base, "fp32", torch.device("cpu")), str(adapter)).eval()
        here = model(input_ids=ids).logits
        with model.disable_adapter():
            bare = model(input_ids=ids).logits
    load = f"AutoModelForCausalLM.from_pretrained({str(base)!r}, dtype=torch.float32)"
    there = logits_in_fresh_process(f"from peft import PeftModel\nmodel = PeftModel.from_pretrained({load}, {folder!r})")
    assert (here - there).abs().max() <= 1e-6
    assert (here - bare).abs().max() > 0.1


def test_the_merged_model_answers_like_base_plus_adapter_without_peft(workspace: tuple[Path, Path, Path]) -> None:
    import torch
    from peft import PeftModel

    from loralab.runtimes.base_model import load_base

    home, base, adapter = workspace
    result = export(home, base, adapter, "merged")
    assert result["max_logit_difference"] < 1e-4
    with torch.no_grad():
        model = PeftModel.from_pretrained(load_base(base, "fp32", torch.device("cpu")), str(adapter)).eval()
        here = model(input_ids=torch.arange(5, 60)[None]).logits
    code = f"model = AutoModelForCausalLM.from_pretrained({result['folder']!r})\nassert 'peft' not in sys.modules"
    assert (here - logits_in_fresh_process(code)).abs().max() < 1e-4
    assert "library_name: transformers" in (Path(result["folder"]) / "README.md").read_text()


def test_the_same_export_gives_the_same_zip_and_replaces_the_old_one(workspace: tuple[Path, Path, Path]) -> None:
    first = export(*workspace, "adapter")
    (Path(first["folder"]) / "stray.txt").write_text("left over")
    second = export(*workspace, "adapter")
    assert first["sha256"] == second["sha256"]
    left = {p.name for p in Path(second["folder"]).parent.iterdir()}
    assert left == {"adapter", "tiny-run-adapter.zip"}
    assert not (Path(second["folder"]) / "stray.txt").exists()


def test_an_export_that_fails_leaves_the_old_one(workspace: tuple[Path, Path, Path]) -> None:
    import torch
    from safetensors.torch import load_file, save_file

    home, base, adapter = workspace
    before = export(home, base, adapter, "adapter")
    weights = load_file(adapter / "adapter_model.safetensors")
    weights[next(iter(weights))].view(-1)[0] = torch.nan
    save_file(weights, adapter / "adapter_model.safetensors")
    with pytest.raises(UserError, match="not finite"):
        export(home, base, adapter, "adapter")
    assert hashlib.sha256(Path(before["path"]).read_bytes()).hexdigest() == before["sha256"]
    assert {p.name for p in Path(before["folder"]).parent.iterdir()} == {"adapter", "tiny-run-adapter.zip"}


def test_a_full_disk_is_told_before_anything_is_written(tmp_path: Path) -> None:
    place = tmp_path / "exports"
    place.mkdir()
    with pytest.raises(UserError, match="GB") as told:
        job.check_disk(place, 1 << 60)
    assert told.value.problem.code == "disk_full"
    assert list(place.iterdir()) == []


def test_unknown_formats_and_missing_adapters_are_told_in_words(workspace: tuple[Path, Path, Path]) -> None:
    home, base, adapter = workspace
    with pytest.raises(UserError, match="adapter, gguf, gguf_adapter, lm_studio, merged, ollama, onnx, page, pt"):
        export(home, base, adapter, "floppy")
    (adapter / "adapter_config.json").unlink()
    with pytest.raises(LabError, match="incomplete"):
        export(home, base, adapter, "adapter")


@pytest.mark.worker
def test_the_worker_exports(workspace: tuple[Path, Path, Path]) -> None:
    home, base, adapter = workspace
    options = {"of": "tiny-run", "format": "adapter", "model": str(base), "adapter": str(adapter)}
    run = runs.start(home, ExportJob.model_validate(options))
    limit = time.monotonic() + 120
    while runs.view(home, run).active and time.monotonic() < limit:
        time.sleep(0.2)
    view = runs.view(home, run)
    assert view.state == "finished", view.ending
    assert view.ending is not None
    assert zipfile.is_zipfile(view.ending.result["path"])
    assert view.artifacts[-1].kind == "export"


# ---- the card --------------------------------------------------------------------------------------------------------------


def test_the_card_says_what_was_measured_and_how_to_load_it() -> None:
    view = RunView(
        run="r",
        samples=(SAMPLE,),
        evaluations=(Evaluated(split="final", loss=2.4, n=92, scores=(SCORE,)),),
        measured=Measured(n_train=828, n_heldout=92),
    )
    text = model_card("r", parse_plan({"title": "A | b"}).model_dump(), Origin(name="x", hub_id="owner/x", licence="MIT"), view)
    assert text.startswith("---\nbase_model: owner/x\nlibrary_name: peft\n")
    assert "| loss | 3.10 | 2.40 | −0.70 (−0.80 to −0.60) | 92 | better |" in text
    assert SCORE.words in text
    assert "828 examples learned from, 92 kept aside" in text
    assert 'PeftModel.from_pretrained(base, "this-folder")' in text
    assert "licence: MIT" in text
    assert "\n> \\# not a heading" in text  # a sample cannot become part of the page
    assert "# A \\| b" in text


def test_an_unjudged_adapter_claims_nothing() -> None:
    text = model_card("r", parse_plan({}).model_dump(), Origin(name="x"), RunView(run="r"))
    assert "nothing is claimed" in text
    assert "base_model:" not in text.split("# r")[0]
    assert text.count("not known: ask before you publish") == 2


def test_the_base_is_known_by_the_catalogue_the_hub_id_or_the_folder(tmp_path: Path) -> None:
    assert origin_of("starter", tmp_path) == Origin(name="starter", hub_id="", licence=card.hub_entry("starter").licence)  # type: ignore[union-attr]
    assert origin_of("someone/some-model", tmp_path).reference == "someone/some-model"
    assert origin_of(str(tmp_path), tmp_path) == Origin(name=tmp_path.name)
    (tmp_path / ".lab-download.json").write_text('{"bits": 4}')
    squeezed = origin_of("smollm2-135m", tmp_path)
    assert squeezed.bits == 4
    assert "squeezed to 4 bits" in model_card("r", parse_plan({"title": "A"}).model_dump(), squeezed, RunView(run="r"))


def test_formats_are_found_and_the_list_needs_no_torch() -> None:
    assert list(exports.formats()) == ["adapter", "gguf", "gguf_adapter", "lm_studio", "merged", "ollama", "onnx", "page", "pt"]
    code = "import sys; from loralab.exports import formats; from loralab.evaluations import evaluations; formats(); evaluations()"
    done = subprocess.run([sys.executable, "-c", f"{code}; sys.exit('torch' in sys.modules)"], check=False)
    assert done.returncode == 0


def test_what_was_exported_may_be_read_by_whom_the_user_lets_read(tmp_path: Path) -> None:
    building = tmp_path / "building"
    building.mkdir()
    save_file({"a": np.zeros(3)}, building / "model.safetensors")  # for the user alone
    (building / "README.md").write_text("hello")
    usual = (building / "README.md").stat().st_mode
    _files.put_in_place(building, tmp_path / "done")
    assert {path.name: path.stat().st_mode for path in (tmp_path / "done").iterdir()} == {"model.safetensors": usual, "README.md": usual}


def test_a_zip_is_whole_or_absent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "content"
    folder.mkdir()
    (folder / "a.txt").write_text("a" * 1000)

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(_files.shutil, "copyfileobj", full)
    with pytest.raises(OSError, match="No space"):
        _files.zip_folder(folder, tmp_path / "out.zip", "top")
    assert not list(tmp_path.glob("*out.zip*"))
