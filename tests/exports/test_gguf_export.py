"""The GGUF formats as a person meets them: files, facts, papers, adapters over their base, and what is said when something is missing."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loralab.core import paths
from loralab.core.errors import LabError, Unavailable, UserError
from loralab.core.events import EventLog, Started
from loralab.core.jobs import ExportJob, TrainJob
from loralab.exports import gguf_model as format_gguf
from loralab.exports import job
from loralab.exports.gguf import lora, recipe
from loralab.exports.parity import reference
from loralab.runs.run_folder import RunFolder
from loralab.runtimes.llama import parent
from loralab.runtimes.llama.gguf_file import check, field
from loralab.tasks import parse_plan
from tests.support import gguf_models

pytestmark = pytest.mark.worker

# ---- adapters --------------------------------------------------------------------------------------------------------------

PATTERNS = {"rank_pattern": {"q_proj": 2, "1.mlp.up_proj": 6}, "alpha_pattern": {"v_proj": 20}}


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("llama", {}),
        ("llama", {"use_rslora": True}),
        ("llama", PATTERNS),
        ("qwen3", {"use_rslora": True, **PATTERNS}),
        ("gpt2", {}),
        ("falcon", {"use_rslora": True}),
        ("phi3", {}),
    ],
    ids=["plain", "rank stabilised", "patterns", "both", "gpt2", "falcon", "phi3"],
)
def test_an_adapter_over_its_base_answers_as_in_peft(tmp_path: Path, family: str, settings: dict[str, Any]) -> None:
    from peft import PeftModel

    base = gguf_models.model_folder(tmp_path / "base", family)
    adapter = gguf_models.adapter_folder(tmp_path / "adapter", base, **settings)
    model, encoder, _ = gguf_models.written(base, tmp_path / "base.gguf")
    bare = reference.wanted_of(model, encoder)
    layers = lora.write(tmp_path / "lora.gguf", adapter, model.config.to_dict(), "phi-3 letters")
    assert layers > 0
    facts = gguf_models.compared(
        tmp_path / "base.gguf", PeftModel.from_pretrained(model, str(adapter)).eval(), encoder, adapter=tmp_path / "lora.gguf"
    )
    assert facts["max_logit_difference"] < (gguf_models.TABLE if family in gguf_models.TABLED else gguf_models.EXACT)
    with gguf_models.running(tmp_path / "base.gguf", tmp_path / "lora.gguf") as runtime:
        assert np.abs(runtime.tail(bare.ids, 0) - reference.log_softmax(bare.logits)).max() > 0.1, "the adapter does something"


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"use_dora": True}, "DoRA"),
        ({"modules_to_save": ["lm_head"]}, "whole layers"),
        ({"bias": "all"}, "biases"),
        ({"peft_type": "IA3"}, "IA3"),
    ],
)
def test_adapters_llama_cpp_cannot_hold_are_refused(settings: dict[str, Any], words: str) -> None:
    assert lora.refused({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "bias": "none"}) is None
    problem = lora.refused({"peft_type": "LORA", "bias": "none", **settings})
    assert problem is not None
    assert words in problem.what
    assert "merged in" in problem.todo


def test_an_adapter_of_another_family_is_a_sentence(tmp_path: Path) -> None:
    gguf_models.written(gguf_models.model_folder(tmp_path / "llama"), tmp_path / "llama.gguf")
    other = gguf_models.model_folder(tmp_path / "qwen2", "qwen2")
    adapter = gguf_models.adapter_folder(tmp_path / "adapter", other)
    lora.write(tmp_path / "lora.gguf", adapter, json.loads((other / "config.json").read_text()), "other")
    with pytest.raises(LabError), gguf_models.running(tmp_path / "llama.gguf", tmp_path / "lora.gguf"):
        pass


# ---- the whole export ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    place = tmp_path_factory.mktemp("export")
    base = gguf_models.model_folder(place / "base", hidden_size=256, intermediate_size=512, head_dim=64)
    home = place / "home"
    run = home / "runs" / "tiny-run"
    adapter = gguf_models.adapter_folder(run / "artifacts" / "adapter", base)
    plan = parse_plan({"dataset": "letters.jsonl", "base_model": str(base), "rank": 4, "title": "My Phi-3 letters!"})
    asked = TrainJob(run="tiny-run", plan=plan.model_dump(), model=str(base))
    paths.write_atomic(run / "job.json", asked.model_dump_json())
    log = EventLog(run / "events.jsonl")
    log(Started(pid=1))
    return home, base, adapter


def export(workspace: tuple[Path, Path, Path], form: str, variant: str = "") -> dict[str, Any]:
    home, base, adapter = workspace
    folder = home / "runs" / f"export-{form}-{variant}"
    folder.mkdir(parents=True, exist_ok=True)
    options = {"of": "tiny-run", "format": form, "variant": variant, "model": str(base), "adapter": str(adapter)}
    return job.run(RunFolder(folder, ExportJob.model_validate({"run": folder.name, **options}), EventLog(folder / "events.jsonl")))


def test_the_usual_export_is_q4_k_m_proven_and_complete(workspace: tuple[Path, Path, Path]) -> None:
    result = export(workspace, "gguf")
    folder = Path(result["folder"])
    assert (result["variant"], result["file"]) == ("q4_k_m", "base-my-phi-3-letters-Q4_K_M.gguf")
    assert {p.name for p in folder.iterdir()} == {result["file"], "README.md", "plan.json", "parity.json", "SHA256SUMS"}
    sums = {line[66:]: line[:64] for line in (folder / "SHA256SUMS").read_text().splitlines()}
    assert sums[result["file"]] == hashlib.sha256((folder / result["file"]).read_bytes()).hexdigest()
    assert result["checked_with"].startswith("llama.cpp")
    assert result["texts_differ"] == []
    assert result["chats_equal"] == result["chats"]
    assert 0 <= result["divergence"] < 0.5
    assert f"llama-server -m {result['file']}" in (folder / "README.md").read_text()
    reader = check(folder / result["file"])
    assert field(reader, "general.name") == "base-my-ph_i-3-letters"
    assert field(reader, "tokenizer.ggml.add_bos_token") is False
    assert (field(reader, "general.file_type"), field(reader, "tokenizer.ggml.eos_token_id")) == (15, 3)
    assert "im_start" in field(reader, "tokenizer.chat_template")


def test_variants_lie_side_by_side_and_the_smallest_is_llama_cpps_own(workspace: tuple[Path, Path, Path]) -> None:
    kept = export(workspace, "gguf", "f16")
    smallest = export(workspace, "gguf", "q2_k")
    assert Path(kept["folder"]).is_dir()
    assert smallest["bytes"] < kept["bytes"] / 3
    kinds = {tensor.tensor_type.name for tensor in check(Path(smallest["folder"]) / smallest["file"]).tensors}
    assert kinds == {"F32", "Q2_K", "Q3_K", "Q6_K"}


def test_the_adapter_alone_is_proven_over_its_base(workspace: tuple[Path, Path, Path]) -> None:
    result = export(workspace, "gguf_adapter")
    assert {p.name for p in Path(result["folder"]).iterdir()} == {result["file"], "README.md", "plan.json", "parity.json", "SHA256SUMS"}
    assert result["layers"] == 14
    assert result["max_logit_difference"] < 0.1
    assert "--lora" in (Path(result["folder"]) / "README.md").read_text()


def test_without_llama_cpp_a_file_is_made_and_said_to_be_untried(
    workspace: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parent, "BACKENDS", ())
    result = export(workspace, "gguf", "q8_0")
    assert result["checked_with"] == ""
    assert "cannot be tried" in result["unchecked"]
    for variant in ("q2_k", "q4_k_m"):
        with pytest.raises(LabError, match="Choose q8_0"):
            export(workspace, "gguf", variant)


def test_a_library_that_keeps_its_packing_to_itself_is_not_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the wheel for Windows does: what is packed by it is refused in words, and what every computer can make is still made."""
    (tmp_path / "closed.so").write_bytes(b"no library")
    monkeypatch.setattr(format_gguf, "packing_library", lambda: str(tmp_path / "closed.so"))
    assert format_gguf._foreign(recipe.VARIANTS["q8_0"]) is None
    with pytest.raises(Unavailable, match="Q4_K_M is packed by llama") as refused:
        format_gguf._foreign(recipe.VARIANTS["q4_k_m"])
    assert "q8_0" in refused.value.problem.todo


def test_a_variant_nobody_knows_is_told_with_those_there_are(workspace: tuple[Path, Path, Path]) -> None:
    with pytest.raises(UserError, match="q4_k_m, q5_k_m") as told:
        export(workspace, "gguf", "q1")
    assert told.value.problem.code == "unknown_variant"
    with pytest.raises(UserError, match="Leave the variant out"):
        export(workspace, "adapter", "q8_0")


def test_the_lists_of_variants_agree() -> None:
    assert list(format_gguf.NAMES) == list(recipe.VARIANTS) == list(format_gguf.BITS)
    assert next(iter(format_gguf.NAMES)) == recipe.DEFAULT
