"""The count of a step's memory: to the byte what real tensors hold, drawn out to any depth, in every mode; quick enough to be live."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoConfig, AutoModelForCausalLM

from loralab.runtimes.base_model import DTYPES, kernel
from loralab.sessions.head import TextHead
from loralab.sessions.lora import attach_adapter
from loralab.sessions.trace import Pack, Setting, _plain, count, record, trace
from loralab.sessions.trace_ledger import Ledger
from tests.support import models
from tests.support.tiers import grid

pytestmark = pytest.mark.worker

PARTS = ("weights", "adapter", "optimiser", "activations", "head")
LONG = Pack(3, 48, 60)


def counted(family: str, pack: Pack, layers: int = 2, **settings: Any) -> tuple[dict[str, int], dict[str, int]]:
    """What the trace says of a plan, and what a real step under the books held at its worst."""
    plan = models.plan(Path("none"), **settings)
    kind, sizes = models.FAMILIES[family]
    depth = {"n_layer" if kind == "gpt2" else "num_hidden_layers": layers}
    config = AutoConfig.for_model(kind, vocab_size=300, **(models._SPECIAL | sizes | depth))
    base: Any = (
        AutoModelForCausalLM.from_config(config, dtype=DTYPES[plan.precision], attn_implementation=kernel(plan.attention))
        .requires_grad_(requires_grad=False)
        .eval()
    )
    model: Any = attach_adapter(base, plan)
    head = TextHead(base)
    head.set_mode(plan.recompute, plan.widest_rank)
    ids = torch.randint(4, 300, (pack.rows, pack.longest))
    learned = torch.zeros_like(ids, dtype=torch.bool)
    learned[:, pack.longest - pack.learned // pack.rows :] = True
    real = max(record(model, head, ids, learned, Setting(plan, pack)).values(), key=lambda p: p.total())
    return count(plan, json.loads(config.to_json_string(use_diff=False)), pack), dict(real)


def total(parts: dict[str, int]) -> int:
    return sum(parts.get(name, 0) for name in PARTS)


@pytest.mark.parametrize("family", grid(models.FAMILIES, {"llama", "gpt2"}))
@pytest.mark.parametrize("recompute", ["none", "full"])
def test_what_is_traced_without_weights_is_what_real_tensors_hold(family: str, recompute: str) -> None:
    traced, real = counted(family, LONG, recompute=recompute)
    assert total(traced) == pytest.approx(total(real), rel=1e-3)
    for part in PARTS:
        assert traced[part] == pytest.approx(real[part], rel=1e-2, abs=1024), part


@pytest.mark.parametrize(
    "settings",
    [
        {"recompute": "selective"},
        {"precision": "bf16"},
        {"precision": "bf16", "recompute": "full"},
        {"dropout": 0.1},
        {"adapter": "dora"},
        {"adapter": "pissa"},
        {"adapter": "miss", "recompute": "selective"},
        {"targets": "attention", "rank": 32},
        {"attention": "eager"},
    ],
    ids=str,
)
def test_every_setting_that_matters_is_counted(settings: dict[str, Any]) -> None:
    plain, _ = counted("llama", LONG)
    traced, real = counted("llama", LONG, **settings)
    assert total(traced) == pytest.approx(total(real), rel=1e-2)
    assert total(traced) != total(plain)


@pytest.mark.parametrize("recompute", ["none", "selective", "full"])
@pytest.mark.parametrize("family", grid(["llama", "gpt2", "gemma2"], {"llama"}))
def test_two_depths_drawn_out_are_the_whole(family: str, recompute: str) -> None:
    traced, real = counted(family, LONG, layers=7, recompute=recompute)
    assert total(traced) == pytest.approx(total(real), rel=1e-2)


def test_gradients_of_a_micro_batch_before_are_counted() -> None:
    once, _ = counted("llama", LONG)
    again, real = counted("llama", Pack(3, 48, 60, again=True))
    assert again["adapter"] > 1.5 * once["adapter"]
    assert total(again) == pytest.approx(total(real), rel=1e-2)


def test_many_learned_positions_cost_one_tile(tmp_path: Path) -> None:
    """Beyond a tile the head is computed piece by piece, and the count knows it."""
    (few, _), (many, _) = counted("llama", Pack(8, 128, 1024)), counted("llama", Pack(32, 128, 4096))
    assert many["head"] < 2 * few["head"]
    assert many["activations"] > 3 * few["activations"]


def test_the_optimisers_notes_and_4_bits_are_arithmetic() -> None:
    config = json.loads(models.model("llama").config.to_json_string(use_diff=False)) | {"hidden_size": 512, "intermediate_size": 1024}
    del config["head_dim"]
    full = count(models.plan(Path("none"), rank=16), config, LONG)
    assert full["optimiser"] == pytest.approx(2 * full["adapter"], rel=0.2) or full["optimiser"] == pytest.approx(full["adapter"], rel=0.2)
    eight = count(models.plan(Path("none"), rank=16, optimizer="adamw_8bit"), config, LONG)
    assert eight["optimiser"] == pytest.approx(full["optimiser"] / 4, rel=0.1)
    half = count(models.plan(Path("none"), rank=16, precision="bf16"), config, LONG)
    four = count(models.plan(Path("none"), rank=16, precision="nf4", compute="bf16"), config, LONG)
    linear = 2 * (2 * 512 * 512 + 2 * 512 * 256 + 3 * 512 * 1024)
    assert half["weights"] - four["weights"] == pytest.approx(linear * (2 - 0.516) - 2 * 512 * 1024, rel=0.01)
    exact = count(models.plan(Path("none"), rank=16, precision="nf4"), config | {"dtype": "bfloat16"}, LONG)
    assert full["weights"] - exact["weights"] == pytest.approx(linear * (4 - 0.516) + 2 * 2 * 300 * 512 - 4 * 512 * 1024, rel=0.01)
    assert exact["activations"] == full["activations"]
    plain = count(models.plan(Path("none"), rank=16, precision="fp4", compute="bf16", double_quantisation=False), config, LONG)
    assert plain["weights"] - four["weights"] == pytest.approx(linear * (4 / 64 - 1 / 64), rel=0.05)


@pytest.mark.parametrize("family", grid(models.FAMILIES, {"llama"}))
def test_whether_logits_are_plain_is_read_as_the_model_itself_says(family: str) -> None:
    model = models.model(family)
    assert _plain(model.config) == TextHead(model).plain


def test_a_large_model_is_traced_in_two_seconds(tmp_path: Path) -> None:
    """7 billion weights that nobody has."""
    config = AutoConfig.for_model(
        "llama",
        vocab_size=128256,
        hidden_size=4096,
        intermediate_size=14336,
        num_hidden_layers=32,
        num_attention_heads=32,
        num_key_value_heads=8,
    )
    config.save_pretrained(tmp_path)
    plan = models.plan(Path("none"), precision="bf16", rank=16, max_length=2048)
    trace(plan, tmp_path, Pack(1, 128, 64))  # warm
    begun = time.process_time()
    parts = trace(plan, tmp_path, Pack(2, 2048, 2048))
    assert time.process_time() - begun < 2.0
    assert parts["weights"] == pytest.approx(2 * 8.03e9, rel=0.1)


# ---- the books -------------------------------------------------------------------------------------------------------------


def test_a_storage_is_counted_once_and_let_go_with_its_last_view() -> None:
    with Ledger(64) as ledger:
        tensor = torch.ones(1000)
        view = tensor.view(10, 100).t()
        assert ledger.live.total() == 4032
        del tensor
        assert ledger.live.total() == 4032
        del view
    assert ledger.live.total() == 0
    assert ledger.peaks["forward"].total() == 4032
