"""Larger bases for pictures, tiny ones from real configs: chosen, trained, saved, loaded by a fresh process, merged, judged; and every trap
that lies in them.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from loralab.core.events import EventLog
from loralab.core.jobs import TrainJob
from loralab.runs.run_folder import RunFolder
from loralab.runtimes.vision.picture_model import load_trained
from loralab.runtimes.vision.reload import reloaded_difference, told_now
from loralab.sessions import job
from loralab.tasks import parse_plan
from tests.support import small_pictures
from tests.support.seeing_models import tiny
from tests.support.tiers import grid

pytestmark = pytest.mark.worker

DRAWN = {"classify": small_pictures.shapes, "segment": small_pictures.discs, "detect": small_pictures.things}
BASES = [(family, "classify") for family in ("dinov2_with_registers", "dinov2", "siglip")]
BASES += [("dinov2_with_registers", "segment"), ("dinov2_with_registers", "detect"), ("siglip", "segment")]
BASES += [("rf_detr", "detect"), ("d_fine", "detect"), ("eomt", "segment")]
SHORT: dict[str, Any] = {"image_size": 64, "effective_batch": 8, "micro_batch": 8, "heldout_share": 0.3, "max_steps": 4, "probe_rounds": 2}
SHORT |= {"patience": 0, "eval_every": 2, "rank": 4, "alpha": 4.0, "learning_rate": 3e-3}


def run_on(place: Path, base: Path, task: str, **settings: Any) -> tuple[RunFolder, dict[str, Any]]:
    """A whole run on a base, as the worker makes it."""
    data = DRAWN[task](place / "drawn.zip", each=12)
    folder = place / "runs" / "one"
    folder.mkdir(parents=True)
    plan = parse_plan({**SHORT, "task": task, "dataset": str(data), "base_model": str(base), **settings})
    asked = TrainJob(run="one", plan=plan.model_dump(), model=str(base))
    (folder / "job.json").write_text(asked.model_dump_json(), "utf-8")
    opened = RunFolder(folder, asked, EventLog(folder / "events.jsonl"))
    return opened, job.run(opened)


def events(folder: RunFolder, kind: str) -> list[dict[str, Any]]:
    lines = (folder.path / "events.jsonl").read_text("utf-8").splitlines()
    return [event for event in map(json.loads, lines) if event["type"] == kind]


@pytest.mark.parametrize("what", grid(BASES, [("dinov2_with_registers", "classify"), ("d_fine", "detect"), ("eomt", "segment")]))
def test_what_learned_is_saved_and_says_the_same_in_a_fresh_process_and_merged(tmp_path: Path, what: tuple[str, str]) -> None:
    family, task = what
    base = tiny(tmp_path / family, family)
    folder, result = run_on(tmp_path, base, task)
    adapter = Path(result["adapter"])
    assert not events(folder, "incident"), "what was saved answers as what is in memory, and nothing frozen moved"
    final = [event for event in events(folder, "evaluated") if event["split"] == "final"]
    assert len(final) == 1
    assert (adapter / "README.md").is_file()

    pixels = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    model, _ = load_trained(base, adapter)
    told = told_now(model, pixels)
    assert reloaded_difference(told, base, adapter, pixels) < 1e-4
    merged, _ = load_trained(base, adapter, merged=True)
    assert all(np.allclose(one, other, atol=2e-3) for one, other in zip(told, told_now(merged, pixels), strict=True))
    with model.disable_adapter():
        assert any(not np.allclose(one, other, atol=1e-4) for one, other in zip(told, told_now(model, pixels), strict=True))
    assert not any(torch.isnan(torch.from_numpy(one)).any() for one in told)
