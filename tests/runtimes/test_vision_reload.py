"""What was saved of a model for pictures is loaded by a fresh process, and what was lost on the way is seen."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from loralab.core.errors import LabError
from loralab.models.vision import bundled_folder
from loralab.runtimes.vision.picture_model import load_trained, read_card
from loralab.runtimes.vision.reload import reloaded_difference, told_now
from loralab.tasks import parse_plan
from tests.support import picture_runs

pytestmark = pytest.mark.worker
TENSORS = "adapter_model.safetensors"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> picture_runs.Made:
    return picture_runs.made(tmp_path_factory.mktemp("reload"), "classify")


def test_what_was_saved_is_what_is_in_memory(run: picture_runs.Made) -> None:
    model = picture_runs.planted(parse_plan(run.source().plan), read_card(run.adapter))
    pixels = np.random.default_rng(1).integers(0, 256, (2, 64, 96, 3), dtype=np.uint8)
    assert reloaded_difference(told_now(model, pixels), bundled_folder(), run.adapter, pixels) < 1e-4


def without(run: picture_runs.Made, part: str, place: Path) -> Path:
    there = Path(shutil.copytree(run.adapter, place / "adapter"))
    save_file({name: values for name, values in load_file(there / TENSORS).items() if part not in name}, there / TENSORS)
    return there


def test_a_layer_lost_on_the_way_is_seen(run: picture_runs.Made, tmp_path: Path) -> None:
    model, _ = load_trained(bundled_folder(), run.adapter)
    pixels = np.random.default_rng(1).integers(0, 256, (2, 64, 96, 3), dtype=np.uint8)
    there = without(run, "blocks.7.expand", tmp_path)
    assert reloaded_difference(told_now(model, pixels), bundled_folder(), there, pixels) > 1e-3


def test_what_cannot_be_loaded_is_an_error_in_words(run: picture_runs.Made, tmp_path: Path) -> None:
    there = without(run, ".head.", tmp_path)
    with pytest.raises(LabError, match="A fresh process that loads what was saved"):
        reloaded_difference([], bundled_folder(), there, np.zeros((1, 64, 96, 3), np.uint8))
