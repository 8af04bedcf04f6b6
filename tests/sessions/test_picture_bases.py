"""Larger bases for pictures, tiny ones from real configs: chosen, trained, saved, loaded by a fresh process, merged, judged; and every trap
that lies in them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from loralab.core.errors import UserError
from loralab.core.events import EventLog
from loralab.core.jobs import ExportJob, TrainJob
from loralab.exports import job as exporting
from loralab.exports.offers import offers
from loralab.exports.pictures import smaller
from loralab.runs.run_folder import RunFolder
from loralab.runtimes.vision.fresh import FreshProcess
from loralab.runtimes.vision.picture_model import load_trained, read_card
from loralab.runtimes.vision.reload import told_now
from loralab.serve.looking import Eye
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


@pytest.fixture(scope="module")
def fresh() -> Iterator[FreshProcess]:
    """A process that has seen nothing but the folders it is given."""
    with closing(FreshProcess()) as process:
        yield process


@dataclass(frozen=True)
class Trained:
    home: Path
    base: Path
    adapter: Path
    folder: RunFolder


@pytest.fixture(
    scope="module", params=grid(BASES, [("dinov2_with_registers", "classify"), ("d_fine", "detect"), ("eomt", "segment")], "long")
)
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    family, task = request.param
    home = tmp_path_factory.mktemp(family)
    base = tiny(home / family, family)
    folder, result = run_on(home, base, task)
    return Trained(home, base, Path(result["adapter"]), folder)


def test_what_learned_is_saved_and_says_the_same_in_a_fresh_process_and_merged(trained: Trained, fresh: FreshProcess) -> None:
    assert not events(trained.folder, "incident"), "what was saved answers as what is in memory, and nothing frozen moved"
    final = [event for event in events(trained.folder, "evaluated") if event["split"] == "final"]
    assert len(final) == 1
    assert (trained.adapter / "README.md").is_file()
    card = read_card(trained.adapter)
    assert card.base == json.loads((trained.base / "config.json").read_text("utf-8"))["model_type"]

    pixels = np.random.default_rng(1).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    model, _ = load_trained(trained.base, trained.adapter)
    told = told_now(model, pixels)
    fresh.reload(trained.base, trained.adapter)
    assert all(np.allclose(one, other, atol=1e-4) for one, other in zip(told, fresh.outputs(pixels), strict=True))
    merged, _ = load_trained(trained.base, trained.adapter, merged=True)
    assert all(np.allclose(one, other, atol=2e-3) for one, other in zip(told, told_now(merged, pixels), strict=True))
    with model.disable_adapter():
        assert any(not np.allclose(one, other, atol=1e-4) for one, other in zip(told, told_now(model, pixels), strict=True))
    assert all(np.isfinite(one).all() for one in told)


@pytest.mark.nightly
def test_what_learned_is_taken_away_and_tried(trained: Trained, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every form passes the gate: used by its own program in a fresh process, it says what was trained."""
    monkeypatch.setattr(smaller, "FEWEST", 500)  # of a tiny model no weight is large
    refused = {
        (offer.format, offer.variant): offer.problem
        for offer in offers(trained.home / "runs", "one", str(trained.base), str(trained.adapter))
    }
    sizes: dict[str, int] = {}
    for form, variant in (("adapter", ""), ("merged", ""), ("onnx", "fp32"), ("onnx", "int8")):
        name = f"export-{form}{variant}"
        place = trained.home / "runs" / name
        place.mkdir()
        asked = ExportJob(run=name, of="one", format=form, variant=variant, model=str(trained.base), adapter=str(trained.adapter))
        (place / "job.json").write_text(asked.model_dump_json(), "utf-8")
        log = EventLog(place / "events.jsonl")
        result = exporting.run(RunFolder(place, asked, log))
        assert result["parity"] == "proven", [line for line in (place / "events.jsonl").read_text("utf-8").splitlines() if "parity" in line]
        sizes[variant] = int(result.get("file_bytes", 0))
    assert not any(refused.values())
    assert sizes["int8"] < 0.8 * sizes["fp32"]


def test_what_learned_is_tried_on_a_picture(trained: Trained) -> None:
    random = np.random.default_rng(3)
    photo = Image.fromarray(random.integers(0, 256, (90, 120, 3), dtype=np.uint8))
    eye = Eye(trained.base, trained.adapter)
    for learned in (True, False):
        said, mask = eye.look(photo, trained=learned)
        if eye.card.task == "segment":
            assert mask is not None
            assert mask.shape == (90, 120)
        elif eye.card.task == "classify":
            assert sum(said["chances"]) == pytest.approx(1, abs=1e-4)
            with pytest.raises(UserError, match="cannot be shown where it looks"):
                eye.why(photo)
        else:
            assert all(0 <= left <= right <= 120 for _, (left, _, right, _), _ in said["boxes"])
