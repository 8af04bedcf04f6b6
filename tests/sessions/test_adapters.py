"""Kinds of adapters, rates of their matrices and optimisers that average: each the published thing, each plain LoRA on the disk."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, MissConfig, PeftModel, get_peft_model
from torch import Tensor
from transformers import AutoModelForCausalLM

from loralab.core.errors import UserError
from loralab.evaluations import switched
from loralab.sessions import job, ranks
from loralab.sessions.lora import attach_adapter, groups
from loralab.sessions.text import TextSession
from loralab.tasks import parse_plan
from loralab.tasks.text import TextPlan
from loralab.train import checkpoint, loop
from loralab.train.optim import named
from tests.support import models
from tests.support.faults import difference

pytestmark = [pytest.mark.usefixtures("short_answers"), pytest.mark.worker]

WHOLE = loop.evaluate_and_save
IDS = torch.arange(4, 40)[None]
SETTINGS: list[dict[str, Any]] = [
    {"adapter": "pissa", "lora_plus": 4.0, "optimizer": "schedule_free_adamw", "schedule": "constant"},
    {"adapter": "dora", "rank_schedule": "progressive", "optimizer": "schedule_free_radam", "schedule": "constant"},
    {"rank_schedule": "adaptive", "rank": 8, "lora_plus": 4.0},
]


def loud(model: Any) -> Any:
    """Trained a little, as far as its numbers tell."""
    torch.manual_seed(3)
    with torch.no_grad():
        for p in model.parameters():
            if p.requires_grad:
                p.add_(torch.randn_like(p) * 0.05)
    return model.eval()


def base(folder: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)


@torch.no_grad()
def logits(model: Any) -> Tensor:
    return model(input_ids=IDS).logits


# ---- kinds -----------------------------------------------------------------------------------------------------------------


def test_plans_of_before_say_the_kind() -> None:
    assert [parse_plan({"task": "text", "use_dora": old}).model_dump()["adapter"] for old in (True, "true", False)] == [
        "dora",
        "dora",
        "lora",
    ]
    both = parse_plan({"use_dora": True, "use_rslora": True})
    assert isinstance(both, TextPlan)
    assert (both.adapter, both.use_rslora) == ("dora", True)


@torch.no_grad()
def with_a_spectrum(family: str) -> Any:
    """A model whose matrices have strong and weak directions, as trained ones do; in fresh ones all are about alike."""
    model = models.model(family)
    for p in model.parameters():
        if p.dim() == 2 and min(p.shape) < 100:
            u, s, v = torch.linalg.svd(p, full_matrices=False)
            p.copy_(u * (s[0] * 0.7 ** torch.arange(len(s))) @ v)
    return model


@pytest.mark.parametrize(("family", "stabilised"), [("llama", True), ("gpt2", False)])
def test_pissa_begins_as_pefts_does_and_leaves_the_base_alone(family: str, stabilised: bool, tmp_path: Path) -> None:
    """What is taken out of the base is what PEFT's exact decomposition takes out, so what learns begins with the same product."""
    plan = models.plan(tmp_path, adapter="pissa", use_rslora=stabilised)
    wanted = logits(with_a_spectrum(family))
    model: Any = attach_adapter(with_a_spectrum(family), plan).eval()
    assert torch.allclose(logits(model), wanted, atol=1e-5)
    theirs: Any = get_peft_model(
        with_a_spectrum(family),
        LoraConfig(
            r=plan.rank,
            lora_alpha=int(plan.alpha),
            target_modules="all-linear",
            init_lora_weights="pissa",
            use_rslora=stabilised,
            task_type="CAUSAL_LM",
        ),
    )
    for name, layer in ranks.layers(model).items():
        ours = layer.lora_B["default"].weight[:, : plan.rank] @ layer.lora_A["default"].weight[: plan.rank] * layer.scaling["default"]
        other = ranks.layers(theirs)[name].get_delta_weight("default")
        assert torch.allclose(ours.T if layer.fan_in_fan_out else ours, other, atol=1e-4), name
    with switched(loud(model), adapter=False):
        assert torch.equal(logits(model), wanted)


def test_what_pissa_took_out_is_held_still(tmp_path: Path, llama: Path, data: Path) -> None:
    plan = models.plan(data, adapter="pissa", weight_decay=0.5, max_steps=3)
    session = TextSession(plan, models.run_folder(tmp_path / "run", plan, llama))
    before = {name: p.detach().clone() for name, p in session.state().items()}
    loop.train(session, plan, session.folder)
    for name, p in session.state().items():
        held, moved = (
            ((p[4:], before[name][4:]), (p[:4], before[name][:4]))
            if ".lora_A." in name
            else ((p[:, 4:], before[name][:, 4:]), (p[:, :4], before[name][:, :4]))
        )
        assert torch.equal(*held), name
        assert not torch.equal(*moved), name


def test_miss_is_pefts(tmp_path: Path) -> None:
    """Alpha equal to the rank is MiSS as it was published; inputs that the rank does not divide are padded."""
    plan = models.plan(tmp_path, adapter="miss", rank=6, alpha=6)
    ours: Any = loud(attach_adapter(models.model("llama"), plan))
    theirs: Any = get_peft_model(models.model("llama"), MissConfig(r=6, target_modules="all-linear", task_type="CAUSAL_LM")).eval()
    theirs.load_state_dict(
        {name.replace("lora_B.default.weight", "miss_block.default"): p.T for name, p in ours.named_parameters() if p.requires_grad},
        strict=False,
    )
    assert torch.allclose(logits(ours), logits(theirs), atol=1e-5)
    assert not torch.allclose(logits(ours), logits(models.model("llama")), atol=1e-2)


# ---- the whole way ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: " ".join(map(str, s.values())))
def test_killed_anywhere_it_ends_where_the_unbroken_run_does_and_opens_in_peft(
    tmp_path: Path, llama: Path, data: Path, settings: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed right before the ranks change and right after (of twelve updates after the third and the sixth), looked at in between."""
    plan = models.plan(data, **{"max_steps": 12, "eval_every": 4, "dropout": 0.1, "checkpoint_minutes": 1e-9, **settings})
    whole = models.run_folder(tmp_path / "whole", plan, llama)
    job.run(whole)
    broken = models.run_folder(tmp_path / "broken", plan, llama)
    for dies_after in (3, 7):
        monkeypatch.setattr(loop, "evaluate_and_save", _dying(dies_after))
        with pytest.raises(KeyboardInterrupt):
            job.run(models.run_folder(broken.path, plan, llama))
    monkeypatch.setattr(loop, "evaluate_and_save", WHOLE)
    job.run(models.run_folder(broken.path, plan, llama))
    assert models.losses(broken)[-5:] == models.losses(whole)[-5:]
    assert difference(whole, broken) == 0.0
    session = TextSession(plan, models.run_folder(tmp_path / "again", plan, llama))
    session.load_state((checkpoint.newest(whole.checkpoints) or {})["best"])
    opened = PeftModel.from_pretrained(base(llama), str(whole.artifacts / "adapter"))
    session.model.eval()
    assert torch.allclose(logits(opened.eval()), logits(session.model), atol=1e-5)
    assert not torch.allclose(logits(opened), logits(base(llama)), atol=1e-2)


def _dying(after: int) -> Any:
    healthy = WHOLE

    def dying(run: Any) -> None:
        healthy(run)
        if run.progress.step == after:
            raise KeyboardInterrupt

    return dying


# ---- ranks that change -----------------------------------------------------------------------------------------------------


def stepped(plan: TextPlan, count: int = 2) -> tuple[Any, Any]:
    """A model that learned a little, and its optimiser with notes."""
    model: Any = attach_adapter(models.model("llama"), plan).eval()
    ranks.begin(model, plan)
    optimizer = named(groups(dict(trained(model)), plan), plan)
    for _ in range(count):
        model(input_ids=IDS, labels=IDS).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    return model, optimizer


def trained(model: Any) -> list[tuple[str, Tensor]]:
    return [(name, p) for name, p in model.named_parameters() if p.requires_grad]


@pytest.mark.parametrize("optimizer", ["adamw", "schedule_free_adamw"])
def test_growing_changes_no_answer_and_keeps_the_notes(tmp_path: Path, optimizer: str) -> None:
    plan = models.plan(tmp_path, rank=8, alpha=16, rank_schedule="progressive", optimizer=optimizer)
    model, made = stepped(plan)
    assert {layer.r["default"] for layer in ranks.layers(model).values()} == {2}
    before, (name, first) = logits(model), trained(model)[0]
    kept = made.parts[0].state[first]["exp_avg_sq"].clone()
    assert "rank 8" in ranks.grow(model, plan, 0.5, made)
    assert torch.allclose(logits(model), before, atol=1e-6)
    assert first is dict(trained(model))[name]
    assert first.shape[0] == 8
    notes = made.parts[0].state[first]
    assert torch.equal(notes["exp_avg_sq"][:2], kept)
    assert not notes["exp_avg_sq"][2:].any()
    with made.averaged():  # the average of what was just added is what was added
        assert torch.allclose(logits(model), before, atol=1e-1)
    model(input_ids=IDS, labels=IDS).loss.backward()
    made.step()
    assert not torch.equal(logits(model), before)
    assert [getattr(p.grad, "shape", None) for _, p in trained(model)] == [p.shape for _, p in trained(model)]


def test_ranks_move_to_where_they_are_used_and_the_adapter_never_grows(tmp_path: Path) -> None:
    """One kind of part is made to need every rank and is pulled at hard; another has learned a single direction."""
    plan = models.plan(tmp_path, rank=8, alpha=16, rank_schedule="adaptive")
    model, optimizer = stepped(plan)
    budget = sum(p.numel() for _, p in trained(model))
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for name, layer in ranks.layers(model).items():
            b = layer.lora_B["default"].weight
            if "up_proj" in name:
                b.copy_(torch.randn(b.shape, generator=generator))
            if "q_proj" in name:
                b.copy_(torch.randn(b.shape[0], 1, generator=generator) @ torch.ones(1, 8))
    before, wanted = logits(model), {name: int(layer.r["default"]) for name, layer in ranks.layers(model).items()}
    for _ in range(3):
        assert ranks.move(model, plan, optimizer)
        assert sum(p.numel() for _, p in trained(model)) <= budget
        model(input_ids=IDS, labels=IDS).loss.backward()
        optimizer.step()  # those that were cut have no notes until they step again
        optimizer.zero_grad()
    after = {name: int(layer.r["default"]) for name, layer in ranks.layers(model).items()}
    grown = {name for name in after if after[name] > wanted[name]}
    assert {name for name in after if "up_proj" in name} <= grown
    gave = [name for name in after if after[name] < wanted[name]]
    assert gave  # one of them may have more to give than is asked for: how much depends on how the processor rounds
    assert all("q_proj" in name for name in gave)
    assert all(2 <= rank <= 16 for rank in after.values())
    assert math.isfinite(float((logits(model) - before).abs().max()))
    ranks.note(model)
    model.save_pretrained(tmp_path / "adapter")
    opened = PeftModel.from_pretrained(models.model("llama"), str(tmp_path / "adapter")).eval()
    assert torch.allclose(logits(opened), logits(model), atol=1e-5)
    assert {name: int(layer.r["default"]) for name, layer in ranks.layers(opened).items()} == after


def test_a_state_of_before_a_growth_is_gone_back_to_with_its_notes(tmp_path: Path, llama: Path, data: Path) -> None:
    """What the guard does: weights and notes of a lower rank over a model that has grown, and then growing again."""
    from loralab.train.rollback import copied

    plan = models.plan(data, rank=8, alpha=16, rank_schedule="progressive", max_steps=12)
    session = TextSession(plan, models.run_folder(tmp_path / "run", plan, llama))
    optimizer = session.optimizer()
    _update(session, optimizer)
    weights, notes = copied(session.state()), copied(optimizer.state_dict())
    grown = []
    for _ in range(2):
        session.grow(6, 0.5, 12, optimizer)
        _update(session, optimizer)
        grown.append(copied(session.state()))
        session.load_state(weights)
        optimizer.load_state_dict(copied(notes))
        assert {layer.r["default"] for layer in ranks.layers(session.model).values()} == {2}
    assert all(torch.equal(a, grown[1][name]) for name, a in grown[0].items())


def _update(session: TextSession, optimizer: Any) -> None:
    loss, _ = session.loss(session.batch(session.train_rows, [0, 1, 2], session.train_examples))
    loss.backward()
    optimizer.step()
    optimizer.zero_grad()


# ---- rates and averages ----------------------------------------------------------------------------------------------------


def test_the_second_matrix_keeps_its_ratio_whatever_happens_to_the_rate(tmp_path: Path) -> None:
    plan = models.plan(tmp_path, lora_plus=8.0, learning_rate=1e-3)
    model, optimizer = stepped(plan)
    optimizer.set_base(2e-4)
    optimizer.set_factor(0.5)
    first, second = optimizer.param_groups
    assert (first["lr"], second["lr"]) == (pytest.approx(1e-4), pytest.approx(8e-4))
    assert {id(p) for p in second["params"]} == {id(p) for name, p in trained(model) if ".lora_B." in name}
    again = named(groups(dict(trained(model)), plan), plan)
    again.load_state_dict(optimizer.state_dict())
    again.set_base(1e-3)
    assert [group["base_lr"] for group in again.param_groups] == [pytest.approx(1e-3), pytest.approx(8e-3)]


def test_looking_at_the_average_leaves_no_trace_and_the_average_is_the_published_one(tmp_path: Path) -> None:
    plan = models.plan(tmp_path, optimizer="schedule_free_adamw", learning_rate=1e-2)
    model, optimizer = stepped(plan, 5)
    y = {name: p.detach().clone() for name, p in trained(model)}
    with optimizer.averaged():
        for name, p in trained(model):
            z = optimizer.parts[0].state[p]["z"]
            assert torch.allclose(0.9 * p + 0.1 * z, y[name], atol=1e-7)  # y = beta x + (1 - beta) z
            assert not torch.equal(p, y[name]) or torch.equal(z, y[name])
    assert all(torch.equal(p, y[name]) for name, p in trained(model))
    optimizer.step()  # in the mode of training again


def test_settings_that_cannot_meet_are_told_before_the_start(tmp_path: Path) -> None:
    from loralab.planning.plan_checks import check_text

    def codes(**settings: Any) -> set[str]:
        return {problem.code for problem in check_text(models.plan(tmp_path, **settings), None)}

    assert "rank_cannot_change" in codes(adapter="pissa", rank_schedule="progressive")
    assert "ranks_would_not_move" in codes(optimizer="adamw_8bit", rank_schedule="adaptive")
    assert "not_with_trl" in codes(optimizer="schedule_free_adamw", engine="trl")
    assert "slowed_twice" in codes(optimizer="schedule_free_adamw")
    with pytest.raises(UserError):
        parse_plan({"adapter": "lokr"})
