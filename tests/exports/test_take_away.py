"""Formats for other programs: the Ollama and LM Studio folders, the plain .pt, and the merge that goes from file to file."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections import namedtuple
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loralab.core import parity, parts, paths
from loralab.core.digest import digest
from loralab.core.errors import UserError
from loralab.core.events import Ended, EventLog, Started
from loralab.core.jobs import CheckExportJob, ExportJob, TrainJob
from loralab.exports import _merge, job, lm_studio, merged, ollama
from loralab.exports.offers import offers
from loralab.exports.parity import check_job
from loralab.runs.run_folder import RunFolder
from loralab.tasks import parse_plan
from tests.support import gguf_models

pytestmark = pytest.mark.worker

Workspace = tuple[Path, Path, Path]
SYSTEM = 'Answer with one colour.\nSay """please"""?'
FAKE = """#!{python}
import json, os, sys
from pathlib import Path
told = {{"arguments": sys.argv[1:], "folder": os.getcwd(), "files": sorted(p.name for p in Path().iterdir())}}
Path({record!r}).write_text(json.dumps(told))
print("\\x1b[?25lError: it is \\x1b[1mnot\\x1b[0m running", file=sys.stderr)
sys.exit({rc})
"""


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """A workspace with one run on a tiny Llama; every one of its examples begins with the same instruction."""
    place = tmp_path_factory.mktemp("away")
    base = gguf_models.model_folder(place / "base", hidden_size=256, intermediate_size=512, head_dim=64)
    home = place / "home"
    adapter = gguf_models.adapter_folder(home / "runs" / "tiny-run" / "artifacts" / "adapter", base, use_rslora=True)
    write_run(home, base, rows(place / "rows.jsonl", [SYSTEM]))
    return home, base, adapter


def rows(path: Path, systems: list[str]) -> Path:
    """Conversations that begin with one instruction after the other."""
    lines = [
        {
            "messages": [
                {"role": "system", "content": systems[i % len(systems)]},
                {"role": "user", "content": f"Grass {i}?"},
                {"role": "assistant", "content": "green"},
            ]
        }
        for i in range(12)
    ]
    path.write_text("\n".join(map(json.dumps, lines)), "utf-8")
    return path


def write_run(home: Path, base: Path, dataset: Path) -> None:
    run = home / "runs" / "tiny-run"
    plan = parse_plan({"dataset": str(dataset), "base_model": str(base), "rank": 4, "title": "My colours", "max_length": 512})
    asked = TrainJob(run="tiny-run", plan=plan.model_dump(), model=str(base))
    paths.write_atomic(run / "job.json", asked.model_dump_json())
    log = EventLog(run / "events.jsonl")
    log(Started(pid=1))


def export(workspace: Workspace, form: str, variant: str = "", *, install: bool = False, stop: bool = False) -> dict[str, Any]:
    home, base, adapter = workspace
    folder = home / "runs" / f"export-{form}-{variant}-{install}-{stop}"
    folder.mkdir(parents=True, exist_ok=True)
    if stop:
        (folder / "stop").touch()
    options = {"of": "tiny-run", "format": form, "variant": variant, "model": str(base), "adapter": str(adapter), "install": install}
    return job.run(RunFolder(folder, ExportJob.model_validate({"run": folder.name, **options}), EventLog(folder / "events.jsonl")))


def fake_ollama(folder: Path, monkeypatch: pytest.MonkeyPatch, rc: int = 0) -> Path:
    """An `ollama` on the PATH that writes down how it was called; returns that record's place."""
    record, program = folder / "called.json", folder / "bin" / "ollama"
    program.parent.mkdir()
    program.write_text(FAKE.format(python=sys.executable, record=str(record), rc=rc))
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}{os.pathsep}{os.environ['PATH']}")
    return record


def source_of(workspace: Workspace) -> Any:
    home, base, adapter = workspace
    return job.open_source(home / "runs", "tiny-run", str(base), str(adapter))


# ---- Ollama ----------------------------------------------------------------------------------------------------------------


def test_the_ollama_folder_is_complete_and_ollama_is_not_called_unasked(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = fake_ollama(tmp_path, monkeypatch)
    result = export(workspace, "ollama", "q8_0")
    folder = Path(result["folder"])
    assert {"base-my-colours-Q8_0.gguf", "Modelfile", "README.md", "plan.json", "SHA256SUMS"} <= {p.name for p in folder.iterdir()}
    lines = (folder / "Modelfile").read_text("utf-8").splitlines()
    assert "FROM ./base-my-colours-Q8_0.gguf" in lines
    assert 'PARAMETER stop "<|im_end|>"' in lines
    assert {"PARAMETER temperature 0", "PARAMETER num_ctx 512"} <= set(lines)
    assert not any(line.startswith(("TEMPLATE", "ADAPTER")) for line in lines)
    assert "\n".join(lines).endswith("SYSTEM \"\"\"Answer with one colour.\nSay '''please'''?\"\"\"")
    guide = (folder / "README.md").read_text("utf-8")
    assert "ollama create base-my-colours -f Modelfile" in guide
    assert "ollama run base-my-colours" in guide
    assert "Modelfile" in (folder / "SHA256SUMS").read_text()
    assert not record.exists()
    assert "installed" not in result


def test_when_asked_ollama_gets_the_finished_folder(workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = fake_ollama(tmp_path, monkeypatch)
    result = export(workspace, "ollama", "q8_0", install=True)
    called = json.loads(record.read_text())
    assert called["arguments"] == ["create", "base-my-colours", "-f", "Modelfile"]
    assert Path(called["folder"]) == Path(result["folder"])
    assert "Modelfile" in called["files"]
    assert result["installed"] == "ollama run base-my-colours"


def test_an_ollama_that_fails_or_is_missing_is_told_and_the_folder_stays(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_ollama(tmp_path, monkeypatch, rc=1)
    result = export(workspace, "ollama", "q8_0", install=True)
    assert result["installed"] == ""
    assert "did not take it: Error: it is not running" in result["not_installed"]
    monkeypatch.setenv("PATH", str(tmp_path))
    result = export(workspace, "ollama", "q8_0", install=True)
    assert "was not found" in result["not_installed"]
    assert "ollama.com" in result["not_installed"]
    assert Path(result["folder"], "Modelfile").is_file()


@pytest.mark.skipif(not parts.part_of("llama_cpp").present, reason="llama.cpp is not installed here")
def test_an_export_nobody_could_try_is_checked_once_its_part_is_there(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    home = workspace[0]
    with monkeypatch.context() as patch:
        patch.setattr(parts, "_is_here", lambda part: False)
        result = export(workspace, "gguf", "q8_0")
    made = Path(result["folder"])
    found = parity.read(made)
    assert found is not None
    assert (found.outcome, found.part) == ("untried", "llama_cpp")
    before = {file.name: file.read_bytes() for file in made.glob("*.gguf")}

    work = home / "runs" / "export-gguf-q8_0-False-False"
    asked = ExportJob(run=work.name, of="tiny-run", format="gguf", variant="q8_0", model=str(workspace[1]), adapter=str(workspace[2]))
    paths.write_atomic(work / "job.json", asked.model_dump_json())
    EventLog(work / "events.jsonl")(Ended(outcome="finished", result=result))
    again, folder = CheckExportJob(run="check", of="tiny-run", export=work.name), home / "runs" / "check"
    folder.mkdir()
    (folder / "stop").touch()
    stopped = check_job.run(RunFolder(folder, again, EventLog(folder / "events.jsonl")))
    assert (stopped["outcome"], parity.read(made)) == ("stopped", found), "a check that is stopped changes nothing"
    (folder / "stop").unlink()
    assert check_job.run(RunFolder(folder, again, EventLog(folder / "events.jsonl")))["parity"] == "proven"

    found = parity.read(made)
    assert found is not None
    assert (found.outcome, found.part) == ("proven", "")
    assert {file.name: file.read_bytes() for file in made.glob("*.gguf")} == before
    card = (made / "README.md").read_text("utf-8")
    assert card.count("## Compared with what was trained") == 1
    assert "not installed" not in card
    sums = dict(line.split("  ")[::-1] for line in (made / "SHA256SUMS").read_text("utf-8").splitlines())
    assert all(digest(made / name) == value for name, value in sums.items())


def test_an_offer_says_its_size_and_only_programs_that_are_here(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home, base, adapter = workspace
    with monkeypatch.context() as patch:
        patch.setenv("HOME", str(tmp_path))
        patch.setattr(ollama.shutil, "which", lambda name: None)
        offered = {(offer.format, offer.variant): offer for offer in offers(home / "runs", "tiny-run", str(base), str(adapter))}
    assert not any(offer.hand_over for offer in offered.values())
    made = next(Path(export(workspace, "gguf", "f16")["folder"]).glob("*.gguf")).stat().st_size
    assert 0.75 < offered["gguf", "f16"].bytes / made < 1.33
    fake_ollama(tmp_path, monkeypatch)
    found = offers(home / "runs", "tiny-run", str(base), str(adapter))
    assert {offer.format for offer in found if offer.hand_over} - {"lm_studio"} == {"ollama"}


@pytest.mark.parametrize(("systems", "found"), [(["Be kind."], "Be kind."), (["Be kind.", "Be brief."], ""), ([""], "")])
def test_only_an_instruction_all_examples_share_is_written(workspace: Workspace, tmp_path: Path, systems: list[str], found: str) -> None:
    home, base, adapter = workspace
    source = source_of(workspace)
    again = replace(source, plan=source.plan | {"dataset": str(rows(tmp_path / "rows.jsonl", systems))})
    assert ollama.system_prompt(again) == found
    (tmp_path / "rows.jsonl").unlink()
    assert ollama.system_prompt(again) == ""
    assert base.is_dir()
    assert adapter.is_dir()
    assert home.is_dir()


# ---- LM Studio -------------------------------------------------------------------------------------------------------------


def test_lm_studio_gets_the_file_only_when_asked_and_where_it_looks(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    result = export(workspace, "lm_studio", "q8_0", install=True)
    assert "not found" in result["not_installed"]
    assert not (tmp_path / ".lmstudio").exists()
    models = tmp_path / lm_studio.MODELS
    models.mkdir(parents=True)
    result = export(workspace, "lm_studio", "q8_0")
    assert list(models.iterdir()) == []
    assert f"lms import {result['file']} --user-repo loralab/base-my-colours -y -c" in Path(result["folder"], "README.md").read_text()

    result = export(workspace, "lm_studio", "q8_0", install=True)
    place = models / "loralab" / "base-my-colours"
    assert result["installed"] == str(place)
    assert [p.name for p in place.iterdir()] == [result["file"]]
    assert (place / result["file"]).read_bytes() == Path(result["folder"], result["file"]).read_bytes()


def test_another_disk_gets_a_copy_and_a_full_one_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_links(*_paths: Any) -> None:
        raise OSError

    file = tmp_path / "made.gguf"
    file.write_bytes(b"GGUF" * 9)
    monkeypatch.setattr(os, "link", no_links)
    lm_studio._put(file, tmp_path / "there.gguf")
    assert (tmp_path / "there.gguf").read_bytes() == file.read_bytes()
    usage = namedtuple("usage", "total used free")  # noqa: PYI024  (as shutil has it)
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(9, 9, 9))
    with pytest.raises(UserError, match="and the disk has"):
        lm_studio._put(file, tmp_path / "other.gguf")
    assert {p.name for p in tmp_path.iterdir() if p.suffix in (".gguf", ".writing")} == {"made.gguf", "there.gguf"}


# ---- one PyTorch file ------------------------------------------------------------------------------------------------------


def test_the_pt_file_loads_as_its_guide_says_and_answers_the_same(workspace: Workspace, tmp_path: Path) -> None:
    import torch
    from peft import PeftModel

    from loralab.runtimes.base_model import load_base

    result = export(workspace, "pt")
    folder = Path(result["folder"])
    assert (result["parity"], folder.name) == ("proven", "pt")
    assert not any(p.suffix == ".safetensors" for p in folder.iterdir())
    code = (folder / "README.md").read_text("utf-8").split("```python\n")[1].split("```")[0]
    code += f"\nwith torch.no_grad(): torch.save(model.eval()(torch.arange(5, 60)[None]).logits, {str(tmp_path / 'said')!r})"
    subprocess.run([sys.executable, "-c", code], cwd=folder, check=True, capture_output=True)
    _, base, adapter = workspace
    model = PeftModel.from_pretrained(load_base(base, "fp32"), str(adapter)).eval()
    with torch.no_grad():
        wanted = model(input_ids=torch.arange(5, 60)[None]).logits
        bare = model.unload()(input_ids=torch.arange(5, 60)[None]).logits
    said = torch.load(tmp_path / "said", weights_only=True)
    assert (said - wanted).abs().max() < 1e-4
    assert (bare - wanted).abs().max() > 0.1, "the adapter does something"


# ---- file to file ----------------------------------------------------------------------------------------------------------

PATTERNS = {"rank_pattern": {"q_proj": 2, "1.mlp.up_proj": 6}, "alpha_pattern": {"v_proj": 20}}


@pytest.mark.parametrize(
    ("family", "settings", "streamed"),
    [
        ("llama", {"use_rslora": True, **PATTERNS}, True),
        ("gpt2", {}, True),
        ("falcon", {}, True),
        ("phi3", {}, True),
        ("gemma2", {}, True),
        ("llama", {"use_dora": True}, False),
    ],
    ids=["patterns", "gpt2", "falcon", "phi3", "gemma2", "DoRA by PEFT"],
)
def test_file_to_file_is_what_peft_merges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, family: str, settings: dict[str, Any], streamed: bool
) -> None:
    import torch
    from peft import PeftModel

    from loralab.runtimes.base_model import load_base

    monkeypatch.setattr(_merge, "SHARD", 200_000)
    monkeypatch.setattr(merged, "SHARD", 200_000)
    base = gguf_models.model_folder(tmp_path / "base", family)
    home = tmp_path / "home"
    adapter = gguf_models.adapter_folder(home / "runs" / "tiny-run" / "artifacts" / "adapter", base, **settings)
    write_run(home, base, tmp_path / "gone.jsonl")
    result = export((home, base, adapter), "merged")
    assert result["streamed"] is streamed
    assert result["max_logit_difference"] < 1e-4
    folder = Path(result["folder"])
    assert len(list(folder.glob("model-*.safetensors"))) > 1
    wanted = PeftModel.from_pretrained(load_base(base, "fp32"), str(adapter)).merge_and_unload().state_dict()
    found = load_base(folder, "fp32").state_dict()
    assert set(found) == set(wanted)
    assert max(float((found[name] - wanted[name]).abs().max()) for name in wanted) < 1e-5
    assert not torch.equal(found[next(iter(found))], torch.zeros(1))


@pytest.mark.usefixtures("one_process")
def test_the_merged_model_stops_where_answers_end_though_its_base_names_another_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = gguf_models.model_folder(tmp_path / "base", eos_token_id=0)
    settings = json.loads((base / "tokenizer_config.json").read_text())
    (base / "tokenizer_config.json").write_text(json.dumps(settings | {"eos_token": "<|endoftext|>"}))
    home = tmp_path / "home"
    adapter = gguf_models.adapter_folder(home / "runs" / "tiny-run" / "artifacts" / "adapter", base)
    write_run(home, base, tmp_path / "gone.jsonl")
    result = export((home, base, adapter), "merged")
    assert (result["parity"], result["stops_missed"]) == ("proven", [])
    assert json.loads(Path(result["folder"], "generation_config.json").read_text())["eos_token_id"] == [0, 3]
    monkeypatch.setattr(merged, "write_ends", lambda *_: None)
    result = export((home, base, adapter), "merged")
    assert (result["parity"], result["stops_missed"]) == ("differs", ["<|im_end|>"])


def test_a_wrong_factor_does_not_pass(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    from loralab.exports.gguf import lora

    monkeypatch.setattr(lora, "scale_of", lambda *_: 9.0)
    with pytest.raises(UserError, match="does not answer like the adapter"):
        export(workspace, "merged")


def test_an_adapter_of_another_base_and_a_damaged_one_are_sentences(workspace: Workspace, tmp_path: Path) -> None:
    source = source_of(workspace)
    assert merged.refuse(source) is None
    other = gguf_models.model_folder(tmp_path / "other")
    problem = merged.refuse(replace(source, model=other))
    assert problem is not None
    assert "trained on another base model" in problem.what
    hurt = gguf_models.adapter_folder(tmp_path / "hurt", other)
    (hurt / "adapter_model.safetensors").write_bytes(b"no")
    problem = merged.refuse(replace(source, model=other, adapter=hurt))
    assert problem is not None
    assert "damaged" in problem.what


def test_a_stop_ends_it_between_two_phases_and_leaves_nothing_half(workspace: Workspace) -> None:
    result = export(workspace, "pt", stop=True)
    assert result["outcome"] == "stopped"
    assert not list((workspace[0] / "exports" / "tiny-run").glob(".*"))
