"""Bases that draw: an entry without what people must know is refused, only what is needed is fetched, and what is missing is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from loralab.core import parts
from loralab.lab import Lab
from loralab.models.drawing import DrawingEntry, drawing_entry, drawing_models, pipeline_files
from tests.conftest import until
from tests.support.fake_hub import fake_hub
from tests.support.paper_model import paper_model

SD = "stable-diffusion-v1-5/stable-diffusion-v1-5"


@pytest.mark.parametrize(
    "field", ["licence", "benchmark", "benchmark_source", "parameters", "side", "megabytes_at_one", "download_bytes", "beside"]
)
def test_an_entry_that_lacks_what_people_must_know_is_refused(field: str) -> None:
    entry = drawing_entry("stable-diffusion-1.5")
    assert entry is not None
    empty: Any = "" if isinstance(getattr(entry, field), str) else 0
    with pytest.raises(ValidationError):
        DrawingEntry.model_validate(entry.model_dump() | {field: empty})


def test_the_list_holds_the_bases_that_are_promised() -> None:
    assert [entry.name for entry in drawing_models()][1:] == ["stable-diffusion-1.5", "stable-diffusion-xl", "flux2-klein-base-4b"]
    assert [entry.name for entry in drawing_models() if entry.experimental] == ["flux2-klein-base-4b"]
    assert drawing_entry(SD) == drawing_entry("stable-diffusion-1.5")


def test_only_what_a_training_needs_is_fetched_in_half_precision_where_all_of_it_is_there() -> None:
    plain = ["unet/diffusion_pytorch_model.safetensors", "vae/diffusion_pytorch_model.safetensors", "text_encoder/model.safetensors"]
    half = [name.replace(".safetensors", ".fp16.safetensors") for name in plain]
    small = ["model_index.json", "unet/config.json", "tokenizer/merges.txt", "scheduler/scheduler_config.json"]
    junk = ["v1-5-pruned.safetensors", "unet/diffusion_pytorch_model.bin", "unet/diffusion_pytorch_model.non_ema.safetensors"]
    junk += ["safety_checker/model.safetensors", "feature_extractor/preprocessor_config.json", "README.md"]
    assert set(pipeline_files([*plain, *half, *small, *junk])) == {*small, *half}
    assert set(pipeline_files([*plain, *half[:2], *small, *junk])) == {*small, *plain}
    assert pipeline_files([*plain, *small])[-3:] == sorted(plain), "the large files come last"


@pytest.mark.worker
def test_a_base_is_fetched_whole_and_a_part_that_is_missing_is_said(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from huggingface_hub import constants

    weights = (paper_model(tmp_path / "source") / "model.safetensors").read_bytes()
    named = {"_class_name": "StableDiffusionPipeline", "safety_checker": [None, None]}
    named |= {part: ["diffusers", "X"] for part in ("unet", "vae", "text_encoder")}
    files = {"model_index.json": json.dumps(named).encode(), "v1-5-pruned.ckpt": b"no", "unet/config.json": b"{}"}
    files |= {f"{part}/model.safetensors": weights for part in ("unet", "vae", "text_encoder")}
    with fake_hub({SD: files}) as found:
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        monkeypatch.setenv("HF_ENDPOINT", found.url)
        monkeypatch.setattr(constants, "ENDPOINT", found.url)
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        lab = Lab(home)
        assert lab.check_model("stable-diffusion-1.5").problems[0].code == "not_downloaded"
        run = lab.download("stable-diffusion-1.5")
        view = until(lambda: not lab.view(run).active and lab.view(run), 90)
    assert view.state == "finished", view.ending
    folder = home / "models" / SD.replace("/", "--")
    assert {file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file()} - {".lab-download.json"} == {
        *files.keys() - {"v1-5-pruned.ckpt"}
    }
    monkeypatch.setattr(parts, "_is_here", lambda part: part.name != "diffusers")
    check = lab.check_model("stable-diffusion-1.5")
    assert [(problem.code, problem.part) for problem in check.problems] == [("no_diffusers", "diffusers")]
    monkeypatch.setattr(parts, "_is_here", lambda part: True)
    assert lab.check_model("stable-diffusion-1.5").ok
    (folder / "vae" / "model.safetensors").unlink()
    assert [problem.code for problem in lab.check_model("stable-diffusion-1.5").problems] == ["incomplete_download"]
