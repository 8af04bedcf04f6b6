"""GGUF files answer in llama.cpp as the model does in torch, family by family; what llama.cpp would run differently is refused."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from loralab.core.errors import LabError
from loralab.exports.gguf import families, tokens
from tests.support import gguf_models
from tests.support.tiers import grid

pytestmark = pytest.mark.worker


@pytest.mark.parametrize("family", grid(gguf_models.FAMILIES, {"llama", "qwen3", "gpt2"}))
def test_a_family_answers_as_in_torch(tmp_path: Path, family: str) -> None:
    folder = gguf_models.model_folder(tmp_path / "base", family)
    assert families.refused(json.loads((folder / "config.json").read_text())) is None
    model, encoder, _ = gguf_models.written(folder, tmp_path / "m.gguf")
    facts = gguf_models.compared(tmp_path / "m.gguf", model, encoder)
    assert facts["max_logit_difference"] < (gguf_models.TABLE if family in gguf_models.TABLED else gguf_models.EXACT)
    assert facts["top1_agreement"] == 1.0
    assert facts["answers_equal"]
    assert facts["texts_differ"] == []
    assert facts["chats_equal"] == facts["chats"]


@pytest.mark.parametrize(("variant", "far", "divergence"), [("f16", gguf_models.HALF, 1e-5), ("bf16", 0.1, 1e-3), ("q8_0", 0.5, 5e-3)])
def test_sixteen_and_eight_bits_stay_close(tmp_path: Path, variant: str, far: float, divergence: float) -> None:
    model, encoder, _ = gguf_models.written(gguf_models.model_folder(tmp_path / "base"), tmp_path / "m.gguf", variant)
    facts = gguf_models.compared(tmp_path / "m.gguf", model, encoder, variant)
    assert facts["max_logit_difference"] < far
    assert facts["divergence"] < divergence


def test_each_smaller_type_is_smaller_and_further_off(tmp_path: Path) -> None:
    folder = gguf_models.model_folder(tmp_path / "base", hidden_size=256, intermediate_size=512)
    sizes, divergences = [], []
    for variant in ("f16", "q8_0", "q6_k", "q5_k_m", "q4_k_m"):
        model, encoder, choices = gguf_models.written(folder, tmp_path / "m.gguf", variant)
        assert all(choice.kind == choice.wanted for choice in choices.values())
        facts = gguf_models.compared(tmp_path / "m.gguf", model, encoder, variant)
        sizes.append((tmp_path / "m.gguf").stat().st_size)
        divergences.append(facts["rounding_divergence"])
    assert sizes == sorted(sizes, reverse=True)
    assert divergences == sorted(divergences)
    assert divergences[-1] < 0.5


# ---- the proof goes red ----------------------------------------------------------------------------------------------------


def test_rows_in_the_wrong_order_are_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(families.FAMILIES, "llama", replace(families.FAMILIES["llama"], permuted=False))
    model, encoder, _ = gguf_models.written(gguf_models.model_folder(tmp_path / "base"), tmp_path / "m.gguf")
    with pytest.raises(LabError, match="numbers are off"):
        gguf_models.compared(tmp_path / "m.gguf", model, encoder)


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
        gguf_models.compared(tmp_path / "m.gguf", model, encoder)


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
