"""GGUF files answer in llama.cpp as the model does in torch, family by family; what cannot be written is refused in words."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from loralab import paths
from loralab.encode import TextEncoder
from loralab.errors import LabError, Unavailable, UserError
from loralab.events import EventLog, Started
from loralab.exports import gguf as format_gguf
from loralab.exports import job
from loralab.exports._gguf import families, lora, proof, tokens, writer
from loralab.exports._gguf.file import check, field
from loralab.exports._llama import parent
from loralab.records import Job
from loralab.tasks import parse_plan
from loralab.train.run import RunFolder
from tests import gguf_models, tiny

EXACT, TABLE, HALF = 5e-5, 8e-3, 2e-2  # logits: fp32 throughout; GELU from llama.cpp's table of halves; sixteen-bit weights


def compared(path: Path, model: Any, encoder: TextEncoder, kind: str = "f32", adapter: Path | None = None) -> dict[str, Any]:
    wanted = proof.wanted_of(model, encoder)
    with gguf_models.running(path, adapter) as runtime:
        return proof.prove(runtime, encoder, wanted, kind)


@pytest.mark.parametrize("family", gguf_models.FAMILIES)
def test_a_family_answers_as_in_torch(tmp_path: Path, family: str) -> None:
    folder = gguf_models.model_folder(tmp_path / "base", family)
    assert families.refused(json.loads((folder / "config.json").read_text())) is None
    model, encoder, _ = gguf_models.written(folder, tmp_path / "m.gguf")
    facts = compared(tmp_path / "m.gguf", model, encoder)
    assert facts["max_logit_difference"] < (TABLE if family in gguf_models.TABLED else EXACT)
    assert facts["top1_agreement"] == 1.0
    assert facts["answers_equal"]
    assert facts["texts_differ"] == []
    assert facts["chats_equal"] == facts["chats"]


@pytest.mark.parametrize(("variant", "far", "divergence"), [("f16", HALF, 1e-5), ("bf16", 0.1, 1e-3), ("q8_0", 0.5, 5e-3)])
def test_sixteen_and_eight_bits_stay_close(tmp_path: Path, variant: str, far: float, divergence: float) -> None:
    model, encoder, _ = gguf_models.written(gguf_models.model_folder(tmp_path / "base"), tmp_path / "m.gguf", variant)
    facts = compared(tmp_path / "m.gguf", model, encoder, variant)
    assert facts["max_logit_difference"] < far
    assert facts["divergence"] < divergence


def test_each_smaller_type_is_smaller_and_further_off(tmp_path: Path) -> None:
    folder = gguf_models.model_folder(tmp_path / "base", hidden_size=256, intermediate_size=512)
    sizes, divergences = [], []
    for variant in ("f16", "q8_0", "q6_k", "q5_k_m", "q4_k_m"):
        model, encoder, choices = gguf_models.written(folder, tmp_path / "m.gguf", variant)
        assert all(choice.kind == choice.wanted for choice in choices.values())
        facts = compared(tmp_path / "m.gguf", model, encoder, variant)
        sizes.append((tmp_path / "m.gguf").stat().st_size)
        divergences.append(facts["divergence"])
    assert sizes == sorted(sizes, reverse=True)
    assert divergences == sorted(divergences)
    assert divergences[-1] < 0.5


# ---- the proof goes red ----------------------------------------------------------------------------------------------------


def test_rows_in_the_wrong_order_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(families.FAMILIES, "llama", replace(families.FAMILIES["llama"], permuted=False))
    model, encoder, _ = gguf_models.written(gguf_models.model_folder(tmp_path / "base"), tmp_path / "m.gguf")
    with pytest.raises(LabError, match="numbers are off"):
        compared(tmp_path / "m.gguf", model, encoder)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (lambda v: replace(v, template=v.template.replace("assistant", "Assistant")), "conversations"),
        (lambda v: replace(v, add_bos=True, specials={**v.specials, "bos": 0}), "conversations"),
        (lambda v: replace(v, merges=v.merges[:40]), "other tokens"),
    ],
    ids=["template", "double beginning", "merges"],
)
def test_a_wrong_tokenizer_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: Any, words: str) -> None:
    read = tokens.read
    monkeypatch.setattr(tokens, "read", lambda encoder, size: fault(read(encoder, size)))
    model, encoder, _ = gguf_models.written(gguf_models.model_folder(tmp_path / "base"), tmp_path / "m.gguf")
    with pytest.raises(LabError, match=words):
        compared(tmp_path / "m.gguf", model, encoder)


# ---- tokenizers ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["prepend", "metaspace", "bare"])
def test_sentencepiece_tokenizers_split_the_same(tmp_path: Path, kind: str) -> None:
    encoder = TextEncoder(gguf_models.sentencepiece(tmp_path / "base", kind))
    vocabulary = tokens.read(encoder, encoder.tokenizer.get_vocab_size() + 5)
    assert (vocabulary.model, vocabulary.add_bos, vocabulary.space_prefix) == ("llama", True, kind != "bare")
    assert vocabulary.kinds[-5:] == (5, 5, 5, 5, 5)
    proof._only_tokens(vocabulary, tmp_path / "m.gguf")
    with gguf_models.running(tmp_path / "m.gguf") as runtime:
        differ = [text for text in proof.TEXTS + proof.ODD if runtime.tokenize(text, added=False) != proof.plain_ids(encoder, text)]
        assert set(differ) <= (set(proof.ODD) if kind == "metaspace" else set())
        assert runtime.tokenize("a b") == encoder.text_ids("a b")
        assert [runtime.chat_ids(chat) for chat in proof.CHATS] == [encoder.prompt_ids(chat) for chat in proof.CHATS]


def test_a_beginning_the_template_does_not_write_is_not_added(tmp_path: Path) -> None:
    folder = gguf_models.sentencepiece(tmp_path / "base")
    template = folder / "chat_template.jinja"
    template.write_text(template.read_text().replace("{{ bos_token }}", ""))
    encoder = TextEncoder(folder)
    vocabulary = tokens.read(encoder, encoder.tokenizer.get_vocab_size())
    assert vocabulary.add_bos is False
    proof._only_tokens(vocabulary, tmp_path / "m.gguf")
    with gguf_models.running(tmp_path / "m.gguf") as runtime:
        assert runtime.chat_ids(proof.CHATS[2]) == encoder.prompt_ids(proof.CHATS[2])


def test_training_marks_leave_the_template_and_unnamed_tokens_stay_empty(tmp_path: Path) -> None:
    folder = gguf_models.model_folder(tmp_path / "base")
    (folder / "chat_template.jinja").write_text("{{ bos_token }}" + tiny.TEMPLATE)
    encoder = TextEncoder(folder)
    made = tokens.read(encoder, encoder.tokenizer.get_vocab_size())
    assert "generation" not in made.template.replace("add_generation_prompt", "")
    assert made.template.startswith("{%- set bos_token = '' -%}")
    assert made.specials == {"eos": 3, "padding": 1}
    proof._only_tokens(made, tmp_path / "m.gguf")
    with gguf_models.running(tmp_path / "m.gguf") as runtime:
        assert [runtime.chat_ids(chat) for chat in proof.CHATS] == [encoder.prompt_ids(chat) for chat in proof.CHATS]


def test_word_splittings_are_recognised_by_their_rule() -> None:
    def rule(*steps: dict[str, Any], **model: Any) -> dict[str, Any]:
        return {"pre_tokenizer": {"type": "Sequence", "pretokenizers": list(steps)}, "model": {"merges": ["a b"], **model}}

    def split(pattern: str) -> dict[str, Any]:
        return {"type": "Split", "pattern": {"Regex": pattern}}

    own, bare = {"type": "ByteLevel", "use_regex": True}, {"type": "ByteLevel", "use_regex": False}
    single = next(iter(tokens._SINGLE_DIGITS))
    assert tokens.recognised(rule(own)) == "gpt-2"
    assert tokens.recognised(rule({"type": "Digits", "individual_digits": True}, own)) == "smollm"
    assert tokens.recognised(rule({"type": "Punctuation"}, own, {"type": "Digits"}, split("[0-9][0-9][0-9]"))) == "falcon"
    assert tokens.recognised(rule(split(tokens._MODERN % "{1,3}"), bare, ignore_merges=True)) == "llama-bpe"
    assert tokens.recognised(rule(split(tokens._MODERN % "{1,3}"), bare)) == "smaug-bpe"
    assert tokens.recognised(rule(split(tokens._MODERN % ""), bare)) == "qwen2"
    assert tokens.recognised(rule(split(single), bare)) == "gpt-2"
    assert tokens.recognised(rule(split(single), bare, merges=["1 2"])) == ""
    assert tokens.recognised(rule(split("something else"), bare)) == ""
    assert tokens.recognised(rule({**own, "add_prefix_space": True})) == ""


def test_a_name_cannot_make_llama_cpp_take_the_tokenizer_for_another() -> None:
    for name in ("my-phi-3-chat", "PHI3", "jina tests", "phi-phi-3", "modern-bert"):
        assert not re.search("phi-?3|jina|modern-bert", writer.safe_name(name).lower())
    assert writer.safe_name("letters") == "letters"
    assert "phi-3" in writer.safe_name("letters", strips=True)


# ---- adapters --------------------------------------------------------------------------------------------------------------

PATTERNS = {"rank_pattern": {"q_proj": 2, "1.mlp.up_proj": 6}, "alpha_pattern": {"v_proj": 20}}


def adapter_folder(folder: Path, base: Path, **settings: Any) -> Path:
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(11)
    wish = LoraConfig(**{"task_type": "CAUSAL_LM", "r": 4, "lora_alpha": 8, "target_modules": "all-linear", **settings})
    model: Any = get_peft_model(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), wish)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "lora_B" in name:
                parameter.normal_(std=0.2)
    model.save_pretrained(folder)
    return folder


@pytest.mark.parametrize(
    ("family", "settings"),
    [("llama", {}), ("llama", {"use_rslora": True}), ("llama", PATTERNS), ("qwen3", {"use_rslora": True, **PATTERNS}), ("gpt2", {}),
     ("falcon", {"use_rslora": True}), ("phi3", {})],
    ids=["plain", "rank stabilised", "patterns", "both", "gpt2", "falcon", "phi3"],
)  # fmt: skip
def test_an_adapter_over_its_base_answers_as_in_peft(tmp_path: Path, family: str, settings: dict[str, Any]) -> None:
    from peft import PeftModel

    base = gguf_models.model_folder(tmp_path / "base", family)
    adapter = adapter_folder(tmp_path / "adapter", base, **settings)
    model, encoder, _ = gguf_models.written(base, tmp_path / "base.gguf")
    bare = proof.wanted_of(model, encoder)
    layers = lora.write(tmp_path / "lora.gguf", adapter, model.config.to_dict(), "phi-3 letters")
    assert layers > 0
    facts = compared(tmp_path / "base.gguf", PeftModel.from_pretrained(model, str(adapter)).eval(), encoder, adapter=tmp_path / "lora.gguf")
    assert facts["max_logit_difference"] < (TABLE if family in gguf_models.TABLED else EXACT)
    with gguf_models.running(tmp_path / "base.gguf", tmp_path / "lora.gguf") as runtime:
        assert np.abs(runtime.logits(bare.ids) - proof.log_softmax(bare.logits)).max() > 0.1, "the adapter does something"


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"use_dora": True}, "DoRA"), ({"modules_to_save": ["lm_head"]}, "whole layers"), ({"bias": "all"}, "biases"),
     ({"peft_type": "IA3"}, "IA3")],
)  # fmt: skip
def test_adapters_llama_cpp_cannot_hold_are_refused(settings: dict[str, Any], words: str) -> None:
    assert lora.refused({"peft_type": "LORA", "r": 4, "lora_alpha": 8, "bias": "none"}) is None
    problem = lora.refused({"peft_type": "LORA", "bias": "none", **settings})
    assert problem is not None
    assert words in problem.what
    assert "merged in" in problem.todo


def test_an_adapter_of_another_family_is_a_sentence(tmp_path: Path) -> None:
    gguf_models.written(gguf_models.model_folder(tmp_path / "llama"), tmp_path / "llama.gguf")
    other = gguf_models.model_folder(tmp_path / "qwen2", "qwen2")
    adapter = adapter_folder(tmp_path / "adapter", other)
    lora.write(tmp_path / "lora.gguf", adapter, json.loads((other / "config.json").read_text()), "other")
    with pytest.raises(LabError), gguf_models.running(tmp_path / "llama.gguf", tmp_path / "lora.gguf"):
        pass


# ---- what is refused -------------------------------------------------------------------------------------------------------

LLAMA = {"model_type": "llama", "hidden_size": 64, "num_attention_heads": 4, "num_hidden_layers": 2}


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"model_type": "mamba", "architectures": ["MambaForCausalLM"]}, "MambaForCausalLM"),
        ({**LLAMA, "hidden_act": "relu"}, "relu"),
        ({**LLAMA, "rope_scaling": {"type": "dynamic", "factor": 2.0}}, "dynamic"),
        ({**LLAMA, "model_type": "falcon", "alibi": True}, "ALiBi"),
        ({**LLAMA, "model_type": "falcon", "bias": True}, "biases"),
        ({**LLAMA, "model_type": "gpt2", "scale_attn_by_inverse_layer_idx": True}, "scales"),
        ({**LLAMA, "model_type": "gemma2", "layer_types": ["full_attention"] * 2}, "order"),
        ({**LLAMA, "model_type": "gemma2", "query_pre_attn_scalar": 7}, "scales"),
        ({**LLAMA, "model_type": "gemma3_text", "rope_local_base_freq": 5000.0}, "positions"),
    ],
)
def test_models_llama_cpp_would_run_differently_are_refused(config: dict[str, Any], words: str) -> None:
    problem = families.refused(config)
    assert problem is not None
    assert words in problem.what
    assert "adapter" in problem.todo
    assert families.refused(LLAMA) is None


# ---- the whole export ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Path]:
    place = tmp_path_factory.mktemp("export")
    base = gguf_models.model_folder(place / "base", hidden_size=256, intermediate_size=512, head_dim=64)
    home = place / "home"
    run = home / "runs" / "tiny-run"
    adapter = adapter_folder(run / "artifacts" / "adapter", base)
    plan = parse_plan({"dataset": "letters.jsonl", "base_model": str(base), "rank": 4, "title": "My Phi-3 letters!"})
    asked = Job(kind="train", run="tiny-run", plan=plan.model_dump(), options={"model": str(base)})
    paths.write_atomic(run / "job.json", asked.model_dump_json())
    log = EventLog(run / "events.jsonl")
    log(Started(pid=1))
    log.close()
    return home, base, adapter


def export(workspace: tuple[Path, Path, Path], form: str, variant: str = "") -> dict[str, Any]:
    home, base, adapter = workspace
    folder = home / "runs" / f"export-{form}-{variant}"
    folder.mkdir(parents=True, exist_ok=True)
    options = {"of": "tiny-run", "format": form, "variant": variant, "model": str(base), "adapter": str(adapter)}
    return job.run(RunFolder(folder, Job(kind="export", run=folder.name, options=options), EventLog(folder / "events.jsonl")))


def test_the_usual_export_is_q4_k_m_proven_and_complete(workspace: tuple[Path, Path, Path]) -> None:
    result = export(workspace, "gguf")
    folder = Path(result["folder"])
    assert (result["variant"], result["file"]) == ("q4_k_m", "base-my-phi-3-letters-Q4_K_M.gguf")
    assert {p.name for p in folder.iterdir()} == {result["file"], "README.md", "plan.json", "SHA256SUMS"}
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
    assert {p.name for p in Path(result["folder"]).iterdir()} == {result["file"], "README.md", "plan.json", "SHA256SUMS"}
    assert result["layers"] == 14
    assert result["max_logit_difference"] < 0.1
    assert "--lora" in (Path(result["folder"]) / "README.md").read_text()


def test_without_llama_cpp_a_file_is_made_and_said_to_be_untried(
    workspace: tuple[Path, Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parent, "BACKENDS", ())
    result = export(workspace, "gguf", "q8_0")
    assert result["checked_with"] == ""
    assert "not tried" in result["unchecked"]
    with pytest.raises(Unavailable, match="q4_k_m"):
        export(workspace, "gguf", "q2_k")


def test_a_variant_nobody_knows_is_told_with_those_there_are(workspace: tuple[Path, Path, Path]) -> None:
    with pytest.raises(UserError, match="q4_k_m, q5_k_m") as told:
        export(workspace, "gguf", "q1")
    assert told.value.problem.code == "unknown_variant"
    with pytest.raises(UserError, match="Leave the variant out"):
        export(workspace, "adapter", "q8_0")


def test_the_lists_of_variants_agree() -> None:
    from loralab.exports._gguf import recipe

    assert list(format_gguf.NAMES) == list(recipe.VARIANTS) == list(format_gguf.BITS)
    assert next(iter(format_gguf.NAMES)) == recipe.DEFAULT
