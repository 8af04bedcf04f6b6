"""What the catalogue says must be true of itself, and any folder or name must get a plain and right answer."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import shutil
from pathlib import Path

import jinja2
import pytest

from loralab.core.errors import UserError
from loralab.core.paths import DATA
from loralab.models import model_folder
from loralab.models.catalog import MARKER, Catalog, catalogue, template_for
from tests.support.paper_model import LLAMA, paper_model


@pytest.fixture
def catalog(home):
    return Catalog(home)


def codes(check):
    return {problem.code for problem in check.problems if problem.severity == "error"}


@pytest.mark.parametrize("entry", catalogue(), ids=lambda e: e.name)
def test_parameters_of_an_entry_follow_from_its_measures(entry):
    assert entry.shape.parameters == pytest.approx(entry.parameters, rel=0.015)


@pytest.mark.parametrize("entry", [e for e in catalogue() if e.hub_id], ids=lambda e: e.name)
def test_an_entry_says_what_a_download_needs(entry):
    assert re.fullmatch(r"[\w.-]+/[\w.-]+", entry.hub_id)
    assert entry.licence
    assert entry.words
    if entry.package:
        assert 0.5 < entry.download_bytes / entry.parameters < 1.1, "a squeezed file"
        assert entry.download_bytes == entry.package.bytes
        assert re.fullmatch("[0-9a-f]{64}", entry.package.sha256)
        return
    assert 1.9 < entry.download_bytes / entry.parameters < 4.6, "2 bytes a weight in half precision, 4 in fp32, and the tokenizer"
    assert entry.architecture in model_folder.known_architectures()


def test_the_catalogue_spans_the_sizes_people_ask_for():
    entries = catalogue()
    assert len(entries) >= 15
    assert len({e.name for e in entries}) == len({e.hub_id for e in entries}) == len(entries)
    assert [e.parameters for e in entries] == sorted(e.parameters for e in entries)
    wanted = {"starter", "distilgpt2", "smollm2-135m", "qwen3-0.6b", "falcon-rw-1b", "llama-3-8b", "mistral-7b", "tinyllama-1.1b"}
    assert wanted <= {e.name for e in entries}


def test_every_architecture_is_known_to_the_installed_transformers():
    found = importlib.util.find_spec("transformers")
    assert found is not None
    assert found.origin is not None
    source = (Path(found.origin).parent / "models" / "auto" / "modeling_auto.py").read_text("utf-8")
    start = source.index("MODEL_FOR_CAUSAL_LM_MAPPING_NAMES")
    table = source[start : source.index("\n)\n", start)]
    assert {a for a in model_folder.known_architectures() if f'"{a}"' not in table} == set()


def test_names_hub_ids_and_folders_are_found(catalog, home, tmp_path):
    assert catalog.folder("starter") == DATA / "starter" / "text"
    assert catalog.folder("gpt2") == home / "models" / "openai-community--gpt2"
    assert catalog.folder("qwen/QWEN3-0.6B") == catalog.folder("qwen3-0.6b")
    assert catalog.folder("someone/their-model") == home / "models" / "someone--their-model"
    mine = paper_model(tmp_path / "mine")
    assert catalog.folder(str(mine)) == mine


def test_a_misspelt_name_is_answered_with_the_nearest(catalog):
    with pytest.raises(UserError, match="smollm2-135m"):
        catalog.folder("smolm2-135m")
    check = catalog.check("smolm2-135m")
    assert not check.ok
    assert codes(check) == {"unknown_model"}
    assert codes(catalog.check("./not/there")) == {"no_folder"}
    assert codes(catalog.check("")) == {"unknown_model"}


def test_a_model_that_is_not_here_says_its_size_and_the_next_step(catalog):
    check = catalog.check("smollm2-135m")
    assert codes(check) == {"not_downloaded"}
    assert "93 MB" in check.words
    assert check.shape is not None
    assert check.parameters == 134515008
    gated = catalog.check("llama-3.2-1b")
    assert "accept" in gated.words
    assert "huggingface.co/meta-llama" in gated.words
    with pytest.raises(UserError) as error:
        catalog.tokenizer_folder("gpt2")
    assert error.value.problem.code == "not_downloaded"


def test_a_whole_folder_can_be_trained_and_is_measured_exactly(catalog, tmp_path):
    check = catalog.check(str(paper_model(tmp_path / "m")))
    assert check.ok
    assert check.template
    assert check.attention_linear == 2 * (32 * 32 + 2 * 16 * 32 + 32 * 32)
    assert check.mlp_linear == 2 * 3 * 32 * 64
    assert check.parameters == check.linear + 96 * 32 + 5 * 32
    assert check.dtype_bytes == 2
    assert check.shape is not None
    assert check.context == 512
    assert check.shape.adapter_dims("all-linear") == check.shape.adapter_dims("attention") + check.shape.adapter_dims("mlp")
    assert check.shape.adapter_dims("q_proj, v_proj") == 2 * (64 + 48)


CONFIG_SPOILT = {
    "unknown_architecture": {"architectures": ["BertForMaskedLM"]},
    "needs_remote_code": {"architectures": ["OwnForCausalLM"], "auto_map": {"AutoModelForCausalLM": "own.OwnForCausalLM"}},
    "already_quantised": {"quantization_config": {"quant_method": "gptq", "bits": 4}},
}


def spoil(folder, what):
    """Do one thing to a whole folder that makes it unfit."""
    weights = folder / "model.safetensors"
    match what:
        case "no_config":
            (folder / "config.json").unlink()
        case "pickle_weights":
            weights.rename(folder / "pytorch_model.bin")
        case "no_weights":
            weights.unlink()
        case "no_tokenizer":
            (folder / "tokenizer.json").unlink()
        case "incomplete_download":
            index = {"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}
            weights.rename(folder / "model-00001-of-00002.safetensors")
            (folder / "model.safetensors.index.json").write_text(json.dumps(index))
        case "damaged_model":
            weights.write_bytes(weights.read_bytes()[:-100])
        case "is_adapter":
            (folder / "config.json").rename(folder / "adapter_config.json")
        case "gguf_only":
            shutil.rmtree(folder)
            folder.mkdir()
            (folder / "model-q4.gguf").write_bytes(b"GGUF")


@pytest.mark.parametrize(
    "what",
    [
        "no_config",
        "unknown_architecture",
        "needs_remote_code",
        "already_quantised",
        "pickle_weights",
        "no_weights",
        "no_tokenizer",
        "incomplete_download",
        "damaged_model",
        "is_adapter",
        "gguf_only",
    ],
)
def test_an_unfit_folder_is_refused_with_its_reason(catalog, tmp_path, what):
    folder = paper_model(tmp_path / "m", **CONFIG_SPOILT.get(what, {}))
    spoil(folder, what)
    check = catalog.check(str(folder))
    assert not check.ok
    assert codes(check) == {what}
    assert all(problem.todo for problem in check.problems)


def test_a_damaged_json_file_is_an_answer_and_not_a_crash(catalog, tmp_path):
    folder = paper_model(tmp_path / "m")
    (folder / "config.json").write_text("{not json")
    assert codes(catalog.check(str(folder))) == {"damaged_model"}


def test_own_code_beside_a_known_architecture_is_not_run_and_not_refused(catalog, tmp_path):
    assert catalog.check(str(paper_model(tmp_path / "m", auto_map={"AutoConfig": "own.Config"}))).ok


def test_the_template_is_the_models_own_or_the_plain_one(catalog, tmp_path):
    folder = paper_model(tmp_path / "m")
    assert template_for(folder) == "{{ messages[0]['content'] }}"
    (folder / "tokenizer_config.json").write_text(
        json.dumps({"chat_template": [{"name": "tool", "template": "x"}, {"name": "default", "template": "y"}]})
    )
    assert template_for(folder) == "y"
    (folder / "chat_template.jinja").write_text("z")
    assert template_for(folder) == "z"
    (folder / "chat_template.jinja").unlink()
    (folder / "tokenizer_config.json").write_text("{}")
    assert template_for(folder) == (DATA / "templates" / "plain.jinja").read_text("utf-8")
    check = catalog.check(str(folder))
    assert check.ok
    assert not check.template
    assert [p.code for p in check.problems] == ["no_template"]


def rendered(name, messages, *, ask):
    """A template's text with the learned part in brackets."""
    source = (DATA / "templates" / name).read_text("utf-8")
    source = re.sub(r"\{%-?\s*generation\s*-?%\}", lambda m: m[0].replace("generation", "if true") + "[", source)
    source = re.sub(r"\{%-?\s*endgeneration\s*-?%\}", lambda m: "]" + m[0].replace("endgeneration", "endif"), source)
    return jinja2.Environment(autoescape=False).from_string(source).render(messages=messages, add_generation_prompt=ask, eos_token="</s>")


def test_the_plain_template_marks_the_answer_with_its_end_and_asks_in_the_same_words():
    talk = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello."}]
    assert rendered("plain.jinja", talk, ask=False) == "Be brief.\n\nUser: Hi\nAssistant:[ Hello.</s>]\n"
    asked = rendered("plain.jinja", talk[:2], ask=True)
    assert asked == "Be brief.\n\nUser: Hi\nAssistant:"
    assert rendered("plain.jinja", talk, ask=False).replace("[", "").startswith(asked)


def remember(folder, size, when):
    folder.mkdir(parents=True)
    (folder / MARKER).write_text("{}")
    (folder / "model.safetensors").write_bytes(b"0" * size)
    os.utime(folder / MARKER, (when, when))


def test_clean_up_removes_the_least_recently_used_and_never_a_persons_own(catalog, home):
    models = home / "models"
    remember(models / "a--old", 1000, 1000)
    remember(models / "b--older-but-used", 1000, 500)
    remember(models / "c--new", 1000, 3000)
    paper_model(models / "my-own")
    job = home / "runs" / "r1" / "job.json"
    job.parent.mkdir(parents=True)
    job.write_text(json.dumps({"options": {"model": str(models / "b--older-but-used")}}))
    assert catalog.cache_bytes() == 3006
    assert catalog.clean_up(2500) == ["a--old"]
    assert catalog.clean_up(0, keep=["b/older-but-used"]) == ["c--new"]
    assert (models / "b--older-but-used").is_dir()
    assert (models / "my-own" / "config.json").is_file()
    assert catalog.clean_up(0) == ["b--older-but-used"]


def test_measures_are_read_across_the_spellings_of_families():
    gpt2 = model_folder.shape_of(
        {"architectures": ["GPT2LMHeadModel"], "n_embd": 768, "n_layer": 6, "n_head": 12, "n_positions": 1024, "vocab_size": 50257}
    )
    assert (gpt2.hidden, gpt2.layers, gpt2.intermediate, gpt2.context, gpt2.mlp_matrices, gpt2.tied) == (768, 6, 3072, 1024, 2, True)
    falcon = model_folder.shape_of(
        {
            "architectures": ["FalconForCausalLM"],
            "hidden_size": 4544,
            "num_hidden_layers": 32,
            "num_attention_heads": 71,
            "multi_query": True,
            "vocab_size": 65024,
        }
    )
    assert falcon.kv_heads == 1
    assert model_folder.shape_of(dict(LLAMA)).kv_dim == 16
