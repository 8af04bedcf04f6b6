"""What is said of larger bases for pictures before they are fetched: memory as counted, fits or not, and settings with reasons."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from benchmarks.picture_bases import NETS, counted
from loralab.core import parts
from loralab.lab import Lab
from loralab.models.seeing import seeing_of
from loralab.models.vision import vision_entry, vision_models
from loralab.planning import pictures
from loralab.planning.calibration import Experience
from tests.planning.test_pictures import profile
from tests.support.seeing_models import tiny

KINDS = {"Dinov2WithRegistersModel": "dinov2_with_registers", "SiglipVisionModel": "siglip_vision_model"}


@pytest.mark.parametrize("name", ["dinov2-small", "dinov2-base", "siglip2-base"])
def test_the_closed_form_of_a_transformer_is_what_was_counted_of_the_real_one(name: str) -> None:
    kind, config, _, (side, _) = NETS[name]
    entry, found = vision_entry(name), seeing_of({**config, "model_type": KINDS[kind]})
    assert entry is not None
    assert found is not None
    assert found.cost.bytes(side**2) == pytest.approx(entry.cost.bytes(side**2), rel=0.05)
    assert found.cost.operations(side**2) == pytest.approx(entry.cost.operations(side**2), rel=0.1)


@pytest.mark.worker
def test_the_closed_form_is_what_torch_keeps(tmp_path: Path) -> None:
    from loralab.runtimes.vision.picture_model import seeing_model
    from loralab.sessions.pictures.model import attach
    from loralab.tasks.pictures import PicturePlan

    base = tiny(tmp_path / "base", "dinov2", hidden_size=192, num_attention_heads=3)
    model = attach(seeing_model(base, "classify", 2, (224, 224)), PicturePlan(rank=4, alpha=4))
    kept = counted(model, torch.rand(1, 3, 224, 224) * 255)[1]
    found = seeing_of({"model_type": "dinov2", "hidden_size": 192, "num_hidden_layers": 4, "patch_size": 14, "mlp_ratio": 2})
    assert found is not None
    assert found.cost.bytes(224**2) == pytest.approx(kept, rel=0.15)


@pytest.mark.parametrize("entry", [one for one in vision_models() if one.source == "hub"], ids=lambda entry: entry.name)
def test_memory_at_one_picture_is_what_the_planner_says(home: Path, entry: object) -> None:
    lab = Lab(home)
    task = entry.good_for[0]  # type: ignore[attr-defined]
    check = lab.check_model(entry.name)  # type: ignore[attr-defined]
    own = entry.seeing.own_head  # type: ignore[attr-defined]
    side = entry.sizes[1] if own and entry.model_type != "rf_detr" else {"rf-detr-nano": 384, "rf-detr-small": 512}.get(entry.name, 224)  # type: ignore[attr-defined]
    about = profile(20, task=task, side=32)
    plan = lab.typed({"task": task, "dataset": "/a", "image_size": side, "effective_batch": 1, "micro_batch": 1, "token_budget": side**2})
    needs = pictures.footprint(plan, check, lab.machine(), about, Experience())  # type: ignore[arg-type]
    assert needs.memory_bytes == pytest.approx(1e6 * entry.megabytes_at_one, rel=0.1)  # type: ignore[attr-defined]


def test_each_base_is_planned_with_its_own_size_and_what_cannot_be_is_said(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab(home)
    found = pictures.propose(profile(task="detect", side=900), lab.check_model("rf-detr-nano"), lab.machine(), {})
    assert (found.plan["image_size"], found.plan["probe_rounds"]) == (512, 0)
    assert "no quick look" in found.reasons["probe_rounds"]
    assert [problem.code for problem in found.problems if problem.severity == "error"] == ["not_downloaded"]
    sees = pictures.propose(profile(side=40), lab.check_model("dinov2-small"), lab.machine(), {})
    assert (sees.plan["image_size"], sees.plan["probe_rounds"]) == (224, 20)
    wrong = pictures.propose(profile(), lab.check_model("eomt-small"), lab.machine(), {})
    assert "other_kind" in [problem.code for problem in wrong.problems]
    monkeypatch.setattr(parts, "_is_here", lambda part: part.name != "scipy")
    missing = pictures.propose(profile(task="detect"), lab.check_model("d-fine-small"), lab.machine(), {})
    assert [problem.part for problem in missing.problems if problem.code == "no_scipy"] == ["scipy"]


def test_cards_are_those_that_learn_such_pictures_and_say_what_does_not_fit(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lab = Lab(home)
    cards = lab.model_choices(profile(task="segment"))
    assert cards[0].name == "vision-starter"
    assert {"dinov2-small", "eomt-small", "eomt-base", "siglip2-base"} <= {card.name for card in cards}
    assert not {"rf-detr-nano", "d-fine-small"} & {card.name for card in cards}
    assert all(card.licence and card.benchmark and (card.here or card.download_bytes) for card in cards)
    small = lab.machine().model_copy(update={"memory_free": 1_100_000_000})
    monkeypatch.setattr(lab, "_experienced", lambda: (small, Experience()))
    monkeypatch.setattr(lab._cards, "_experienced", lambda: (small, Experience()))
    tight = {card.name: card.fits for card in lab.model_choices(profile(task="segment"), {"seed": 5})}
    assert tight["eomt-base"] is False
