"""The ONNX format as a person meets it: files, facts, the guide that runs as it is, and what is said when something is wrong."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import re
import shutil
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from loralab.core import paths
from loralab.core.errors import Unavailable, UserError
from loralab.core.events import EventLog, RunView, Started
from loralab.core.jobs import ExportJob, TrainJob
from loralab.core.parity import Parity
from loralab.exports import Source, job
from loralab.exports import onnx_model as format_onnx
from loralab.exports.onnx import graph, guide, parts
from loralab.exports.onnx.loading import open_model
from loralab.exports.parity.checks import gate
from loralab.exports.parity.reference import Wanted, wanted_of
from loralab.models.tokenize import TextEncoder
from loralab.reports.card import Origin
from loralab.runs.run_folder import RunFolder
from loralab.tasks import parse_plan
from tests.support import gguf_models, tiny

pytestmark = pytest.mark.nightly

here = pytest.mark.skipif(importlib.util.find_spec("onnxruntime") is None, reason="there is no onnxruntime for this Python")
VARIANTS = ("fp32", "int8", "uint8")  # of one graph; fp16 is traced by itself


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, dict[str, dict[str, Any]]]:
    """Base, adapter, and the results of exporting them in every variant; the graph is traced once, as that is what takes long."""
    home = tmp_path_factory.mktemp("home")
    base = tiny.model_folder(home / "base")
    run = home / "runs" / "tiny-run"
    adapter = tiny.adapter_folder(run / "artifacts" / "adapter", base)
    plan = parse_plan({"base_model": str(base), "dataset": str(home / "letters.jsonl"), "title": "My letters"})
    asked = TrainJob(run="tiny-run", plan=plan.model_dump(), model=str(base))
    paths.write_atomic(run / "job.json", asked.model_dump_json())
    log = EventLog(run / "events.jsonl")
    log(Started(pid=1))
    traced, results, real = home / "traced", {}, graph.write
    traced.mkdir()

    def once(model: Any, folder: Path) -> None:
        if not any(traced.iterdir()):
            real(model, traced)
        shutil.copytree(traced, folder, dirs_exist_ok=True)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(graph, "write", once)
        for variant in VARIANTS:
            results[variant] = _export(home, base, adapter, variant)
    return base, adapter, results


def _export(home: Path, base: Path, adapter: Path, variant: str) -> dict[str, Any]:
    (folder := home / "runs" / f"export-onnx-{variant}").mkdir(parents=True, exist_ok=True)
    options = {"of": "tiny-run", "format": "onnx", "variant": variant, "model": str(base), "adapter": str(adapter)}
    return job.run(RunFolder(folder, ExportJob.model_validate({"run": folder.name, **options}), EventLog(folder / "events.jsonl")))


def _trained(base: Path, adapter: Path) -> Any:
    import torch
    from peft import PeftModel

    from loralab.runtimes.base_model import load_base

    return PeftModel.from_pretrained(load_base(base, "fp32", torch.device("cpu")), str(adapter)).eval()


def _compared(folder: Path, encoder: TextEncoder, wanted: Wanted) -> Parity:
    return gate(lambda context: open_model(folder), encoder, wanted, "f32")


@pytest.fixture
def folder(exported: tuple[Path, Path, dict[str, Any]], tmp_path: Path) -> Path:
    """A copy of the fp32 export that may be damaged."""
    return Path(shutil.copytree(exported[2]["fp32"]["folder"], tmp_path / "copy"))


# ---- what comes out --------------------------------------------------------------------------------------------------------


@here
def test_every_variant_was_compared_with_what_was_trained(exported: tuple[Path, Path, dict[str, Any]]) -> None:
    for variant, most in (("fp32", 1e-5), ("int8", 0.5), ("uint8", 0.5)):
        facts = exported[2][variant]
        assert facts["max_logit_difference"] < most, variant
        assert facts["mean_logit_difference"] < most / 5
        assert facts["top1_agreement"] > (0.99 if variant == "fp32" else 0.7)  # of random weights, which decide by a hair
        assert (facts["cached_steps"], facts["chats_equal"], facts["texts_differ"]) == (8, 4, [])
        assert facts["checked_with"].startswith("ONNX Runtime 1.")
    assert exported[2]["fp32"]["answers_equal"]


@here
def test_eight_bits_are_about_a_quarter_of_the_size(exported: tuple[Path, Path, dict[str, Any]]) -> None:
    full, *small = (Path(exported[2][variant]["folder"]) / graph.DATA for variant in VARIANTS)
    assert all(0.2 < path.stat().st_size / full.stat().st_size < 0.3 for path in small)
    assert small[0].read_bytes() != small[1].read_bytes()


@here
def test_the_folder_is_complete_and_says_nothing_about_this_computer(
    exported: tuple[Path, Path, dict[str, Any]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    for variant, facts in exported[2].items():
        place = Path(facts["folder"])
        assert place.name == f"onnx-{variant}"
        content = {path.name: path.read_bytes() for path in place.iterdir()}
        assert set(content) == {
            "model.onnx",
            "model.onnx.data",
            "config.json",
            "generation_config.json",
            "tokenizer.json",
            "tokenizer_config.json",
            "chat_template.jinja",
            "README.md",
            "plan.json",
            "parity.json",
            "SHA256SUMS",
        }
        sums = {line[66:]: line[:64] for line in content["SHA256SUMS"].decode().splitlines()}
        assert sums == {name: hashlib.sha256(raw).hexdigest() for name, raw in content.items() if name != "SHA256SUMS"}
        for path in (tmp_path_factory.getbasetemp(), paths.CHECKOUT, Path(sys.prefix)):
            assert not any(str(path).encode() in raw for raw in content.values()), "no path of this computer leaves it"
        assert json.loads(content["generation_config.json"])["eos_token_id"] == [3]
        assert facts["file_bytes"] == len(content["model.onnx"]) + len(content["model.onnx.data"])


# Rows of three lengths, filled up in front and masked, say what each says alone.
SEVERAL = """
asked = ["Hi.", "What is the colour of grass, please?", "Tell me about the sea and the sky and the snow and a small quick answer."]
assert len({len(tokenizer.encode(question).ids) for question in asked}) == 3
assert answers(asked, 12) == [answers([question], 12)[0] for question in asked]
"""


@here
def test_what_may_have_any_size_has_a_name(exported: tuple[Path, Path, dict[str, Any]]) -> None:
    for facts in exported[2].values():
        with closing(open_model(Path(facts["folder"]))) as runtime:
            inputs = {name: found.shape for name, found in runtime._inputs.items()}
            outputs = {found.name: found.shape for found in runtime._session.get_outputs()}
        assert inputs["input_ids"] == inputs["position_ids"] == ["batch", "sequence"]
        assert inputs["attention_mask"] == ["batch", "total_sequence"]
        assert inputs["past_key_values.0.key"] == ["batch", 2, "past_sequence", 16]
        assert outputs["present.1.value"] == ["batch", 2, "total_sequence", 16]
        assert outputs["logits"][:2] == ["batch", "sequence"]


@here
@pytest.mark.parametrize("variant", ["fp32", "int8"])
def test_the_guide_runs_as_it_is_with_onnxruntime_alone(exported: tuple[Path, Path, dict[str, Any]], variant: str) -> None:
    base, adapter, results = exported
    card = (Path(results[variant]["folder"]) / "README.md").read_text("utf-8")
    found = re.search(r"```python\n(.*?)```", card, re.DOTALL)
    assert found is not None
    assert 'BEFORE, AFTER = "<|im_start|>user\\n", "<|im_end|>\\n<|im_start|>assistant\\n"' in found[1]
    assert "STOP = {3}  # <|im_end|>" in found[1]
    watched = (
        found[1]
        + (SEVERAL if variant == "fp32" else "")
        + "\nimport sys\nassert not {'torch', 'transformers', 'loralab', 'jinja2'} & set(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", watched], cwd=results[variant]["folder"], capture_output=True, check=True, text=True, timeout=100
    )
    encoder = TextEncoder(base)
    ids = encoder.prompt_ids([{"role": "user", "content": guide.QUESTION}])
    with closing(open_model(Path(results[variant]["folder"]))) as runtime:
        said = runtime.generate(ids, 200)
    assert done.stdout.rstrip("\n") == encoder.tokenizer.decode([i for i in said if i != 3]).rstrip("\n")
    if variant == "fp32":
        assert said[:40] == _greedy(_trained(base, adapter), ids, 40)
    assert "not faster" in card or variant == "fp32"


def _greedy(model: Any, ids: list[int], limit: int) -> list[int]:
    import torch

    said: list[int] = []
    with torch.no_grad():
        while len(said) < limit and 3 not in said:
            said.append(int(model(input_ids=torch.tensor([ids + said])).logits[0, -1].argmax()))
    return said


@here
@pytest.mark.parametrize(("family", "changes"), [("gpt2", {}), ("gemma2", {}), ("falcon_each", {"alibi": True, "bias": True})])
def test_other_families_answer_as_torch_does(
    tmp_path: Path, family: str, changes: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    import torch

    from loralab.runtimes.base_model import load_base

    base = gguf_models.model_folder(tmp_path / "base", family, **changes)
    encoder, model = TextEncoder(base), load_base(base, "fp32", torch.device("cpu"))
    wanted, beyond = wanted_of(model, encoder), format_onnx.past_window(model)
    assert (beyond is not None) == (family == "gemma2")
    place = Path(shutil.copytree(base, tmp_path / "onnx", ignore=shutil.ignore_patterns("*.safetensors")))
    capfd.readouterr()
    graph.write(model, place)
    assert capfd.readouterr() == ("", "")
    facts = _compared(place, encoder, wanted).facts() | format_onnx.read_past_window(place, beyond, "fp32")
    assert facts["max_logit_difference"] < 1e-4
    assert facts["answers_equal"]
    assert facts.get("past_window_max_difference", 0) < 1e-4
    with closing(open_model(place)) as runtime:
        fed = r"input_ids|attention_mask|position_ids|past_key_values\.\d+\.(key|value)"
        assert all(re.fullmatch(fed, name) for name in runtime._inputs)
        assert all(re.fullmatch(r"logits|present\.\d+\.(key|value)", name) for name in runtime._outputs)


# ---- what goes wrong -------------------------------------------------------------------------------------------------------


@here
def test_a_healthy_copy_is_not_complained_about(exported: tuple[Path, Path, dict[str, Any]], folder: Path) -> None:
    base, adapter, _ = exported
    wanted = wanted_of(_trained(base, adapter), TextEncoder(base))
    assert _compared(folder, TextEncoder(base), wanted).proven


@here
def test_files_that_are_damaged_or_missing_are_a_sentence(folder: Path) -> None:
    whole = {name: (folder / name).read_bytes() for name in (graph.FILE, graph.DATA)}
    for name, raw in whole.items():
        for content in (raw[: len(raw) // 2], b"", b"not a model" * 50):
            (folder / name).write_bytes(content)
            with pytest.raises(UserError) as told:
                open_model(folder)
            assert told.value.problem.code == "onnx_damaged"
            assert "copy the whole folder" in told.value.problem.todo
        (folder / name).unlink()
        with pytest.raises(UserError, match="is missing"):
            open_model(folder)
        (folder / name).write_bytes(raw)
    open_model(folder).close()


@here
def test_a_file_that_says_something_else_is_not_handed_out(exported: tuple[Path, Path, dict[str, Any]], folder: Path) -> None:
    base, adapter, _ = exported
    encoder = TextEncoder(base)
    wanted = wanted_of(_trained(base, adapter), encoder)
    raw = bytearray((folder / graph.DATA).read_bytes())
    raw[: len(raw) // 20] = bytes(len(raw) // 20)  # a matrix that was dropped
    (folder / graph.DATA).write_bytes(raw)
    assert _compared(folder, encoder, wanted).outcome == "differs"
    bare = wanted_of(_trained(base, adapter).unload(), encoder)
    lost = _compared(Path(exported[2]["fp32"]["folder"]), encoder, bare)  # another adapter than was trained
    assert "off by up to" in lost.words


@here
def test_another_template_is_not_handed_out(exported: tuple[Path, Path, dict[str, Any]], folder: Path) -> None:
    base, adapter, _ = exported
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text().replace("<|im_start|>assistant\n{% endif", "<|im_start|>assistant{% endif"))
    wanted = wanted_of(_trained(base, adapter), TextEncoder(base))
    assert "4 of 4 conversations" in _compared(folder, TextEncoder(base), wanted).words


def _source(base: Path, adapter: Path, variant: str = "") -> Source:
    return Source("r", {}, RunView(run="r"), base, adapter, Origin(name="x"), variant)


def test_a_family_that_was_not_compared_is_told_what_it_can_become(tmp_path: Path) -> None:
    base = tiny.model_folder(tmp_path / "base")
    source = _source(base, tiny.adapter_folder(tmp_path / "adapter", base))
    config = json.loads((base / "config.json").read_text())
    (base / "config.json").write_text(json.dumps(config | {"model_type": "bloom", "architectures": ["BloomForCausalLM"]}))
    problem = format_onnx.refuse(source)
    assert problem is not None
    assert problem.code == "no_onnx_for_this" or not importlib.util.find_spec("onnxruntime")
    assert "BloomForCausalLM" in problem.what
    assert problem.todo.startswith("It can be taken as: Adapter (PEFT folder and zip); ")
    assert parts.unfit({"model_type": "gemma3_text", "rope_parameters": {"full_attention": {"rope_type": "linear"}}}) == ""
    assert "(dynamic)" in parts.unfit({"model_type": "llama", "rope_scaling": {"type": "dynamic"}})


@here
def test_without_its_parts_the_format_says_how_to_get_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tiny.model_folder(tmp_path / "base")
    source = _source(base, tiny.adapter_folder(tmp_path / "adapter", base))
    assert format_onnx.refuse(source) is None
    monkeypatch.setattr("loralab.core.parts._is_here", lambda part: part.name != "onnx")
    problem = format_onnx.refuse(source)
    assert problem is not None
    assert (problem.code, problem.part) == ("no_onnx", "onnx")
    assert "Add the part “ONNX”" in problem.todo
    with pytest.raises(Unavailable, match="one click"):
        open_model(base)


@here
def test_too_little_memory_is_told_before_anything_is_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    base = tiny.model_folder(tmp_path / "base")
    source = _source(base, tiny.adapter_folder(tmp_path / "adapter", base))
    for total, free, refused, words in ((1 << 40, 1 << 40, False, False), (1 << 40, 1 << 20, False, True), (1 << 20, 1 << 20, True, True)):
        machine = SimpleNamespace(memory_total=total, memory_free=free)
        monkeypatch.setattr(format_onnx, "measure_machine", lambda _, machine=machine: machine)
        problem = format_onnx.refuse(source)
        assert (problem is not None and problem.code == "too_little_memory") == refused
        assert ("memory is short" in format_onnx._loading(source)) == words


def test_the_eight_bit_forms_need_more_while_they_are_made(tmp_path: Path) -> None:
    base = tiny.model_folder(tmp_path / "base")
    source = _source(base, base)
    assert format_onnx.needs_bytes(source) == format_onnx.needs_bytes(replace(source, variant="int8"))
    assert format_onnx.needs_bytes(replace(source, variant="fp16")) < format_onnx.needs_bytes(replace(source, variant="fp32"))
    assert format_onnx.needs_memory(source) > format_onnx.needs_memory(replace(source, variant="fp32"))


def test_a_question_the_template_rewrites_gets_nothing_around_it(tmp_path: Path) -> None:
    base = tiny.model_folder(tmp_path / "base")
    assert 'BEFORE, AFTER = "<|im_start|>user' in guide.program(TextEncoder(base))
    (base / "chat_template.jinja").write_text("{% for m in messages %}{{ m.content | length }}{% endfor %}")
    assert 'BEFORE, AFTER = "", ""' in guide.program(TextEncoder(base))
