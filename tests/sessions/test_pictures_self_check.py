"""What a run on pictures saved is what it trained, and what was frozen stays; a head left out and a weight that moves are seen."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from loralab.core.paths import CHECKOUT
from loralab.runtimes.vision.backbone import load_backbone
from loralab.runtimes.vision.picture_model import CARD, PictureCard, PictureModel, head_for
from loralab.sessions.pictures.model import attach, trained_file
from loralab.sessions.pictures.self_check import frozen_marks, moved, not_saved
from loralab.tasks.pictures import PicturePlan

BASE = CHECKOUT / "data" / "starter" / "vision"
PIXELS = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Path]:
    """A model whose head and adapter are no longer as they began, and its folder."""
    folder = tmp_path_factory.mktemp("adapter")
    model = attach(PictureModel(load_backbone(BASE), head_for("classify", 2)), PicturePlan(rank=2, alpha=2))
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.add_(0.01)
    model.save_pretrained(str(folder), safe_serialization=True)
    card = PictureCard(task="classify", labels=("a", "b"), width=32, height=32)
    (folder / CARD).write_text(card.model_dump_json(), "utf-8")
    return model, folder


def test_what_was_saved_whole_is_left_alone(saved: tuple[Any, Path]) -> None:
    assert not_saved(saved[0], BASE, saved[1], PIXELS, 7) is None


def test_a_head_that_is_left_out_is_seen_and_named(saved: tuple[Any, Path]) -> None:
    model, folder = saved
    file = trained_file(folder)
    whole = load_file(file)
    try:
        save_file({name: value for name, value in whole.items() if "head" not in name}, file)
        found = not_saved(model, BASE, folder, PIXELS, 7)
    finally:
        save_file(whole, file)
    assert found is not None
    assert found.code == "reload_differs"
    assert all("head" in name for name in found.data["missing"])
    assert found.step == 7


def test_weights_that_were_written_otherwise_are_seen(saved: tuple[Any, Path]) -> None:
    model, folder = saved
    file = trained_file(folder)
    whole = load_file(file)
    try:
        save_file({name: 1.5 * value for name, value in whole.items()}, file)
        found = not_saved(model, BASE, folder, PIXELS, 7)
    finally:
        save_file(whole, file)
    assert found is not None
    assert found.data["missing"] == []
    assert found.data["difference"] > 0.01


def test_a_frozen_weight_that_moves_is_seen_and_one_that_learns_is_not(saved: tuple[Any, Path]) -> None:
    model = saved[0]
    before = frozen_marks(model)
    assert before
    learns = next(p for p in model.parameters() if p.requires_grad)
    still = next(p for name, p in model.named_parameters() if not p.requires_grad and "backbone." in name)
    with torch.no_grad():
        learns.add_(1.0)
        assert moved(before, model, 3) is None
        learns.sub_(1.0)
        still.add_(1.0)
        found = moved(before, model, 3)
        still.sub_(1.0)
    assert found is not None
    assert found.code == "base_moved"
    assert len(found.data["names"]) == 1
    assert found.text.startswith("1 part of the model that was to stay")
