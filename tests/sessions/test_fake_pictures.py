"""There is room for what is not text: a kind of training in three files of its own goes the whole way, and what guards a run guards it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from loralab.core.events import Adjusted, Evaluated, EventLog, Incident, Noted, Stepped
from loralab.core.records import DatasetProfile, Example, Job, Preview, Region, Target
from loralab.lab import Lab
from loralab.runs import runs
from loralab.runs.run_folder import RunFolder
from loralab.sessions import job
from loralab.tasks import parse_plan
from tests.support import models
from tests.support.fake_pictures import pictures

pytestmark = pytest.mark.worker

PLAN: dict[str, Any] = {
    "task": "pictures",
    "effective_batch": 12,
    "micro_batch": 6,
    "heldout_share": 0.2,
    "epochs": 6.0,
    "patience": 0,
    "learning_rate": 0.01,
}


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LORALAB_PLUGINS", "loralab.tasks:tests.support.fake_pictures.task")


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pictures.draw(tmp_path_factory.mktemp("pictures") / "drawn")


def trained(path: Path, dataset: Path, stop_at: int = 0, **settings: Any) -> tuple[RunFolder, dict[str, Any]]:
    """A run in this process, through the job a worker does; the same folder again goes on with the same run."""
    path.mkdir(parents=True, exist_ok=True)
    plan = parse_plan({**PLAN, "dataset": str(dataset), **settings}).model_dump()
    folder = RunFolder(path, Job(kind="train", run=path.name, plan=plan), EventLog(path / "events.jsonl"))
    emit = folder.emit

    def stopping(event: Any) -> Any:
        if isinstance(event, Stepped) and event.step == stop_at:
            (path / "stop").touch()
        return emit(event)

    folder.emit = stopping  # type: ignore[method-assign]
    return folder, job.run(folder)


def weights(result: dict[str, Any]) -> dict[str, torch.Tensor]:
    return load_file(Path(result["adapter"]) / "model.safetensors")


def test_a_run_on_pictures_goes_the_whole_way_through_a_real_worker(lab: Lab, drawn: Path) -> None:
    run = lab.start({**PLAN, "dataset": str(drawn)})
    view = lab.wait(run)
    assert view.state == "finished", (runs.folder(lab.home, run) / "worker.log").read_text("utf-8")[-2000:]
    base, *during, final = view.evaluations
    assert (base.split, final.split) == ("base", "final")
    assert during[-1].loss < 0.6 * base.loss
    assert (final.verdict, final.scores[0].name, final.scores[0].n) == ("better", "accuracy", 12)
    assert len(view.steps) == 24
    assert view.steps[0].tokens == 12 * 64
    assert len(view.samples) == 3
    assert view.samples[0].prompt.endswith(".ppm")
    model = next(Path(a.path) for a in reversed(view.artifacts) if a.kind == "model")
    assert (model / "model.safetensors").is_file()
    assert not (model / "README.md").exists(), "no card of an adapter"


def test_stopped_it_goes_on_to_the_same_weights(tmp_path: Path, drawn: Path) -> None:
    _, whole = trained(tmp_path / "whole", drawn)
    folder, first = trained(tmp_path / "parts", drawn, stop_at=9)
    assert (first["outcome"], first["steps"]) == ("stopped", 9)
    (folder.path / "stop").unlink()
    _, second = trained(tmp_path / "parts", drawn)
    assert [event.step for event in models.told(folder, Stepped)] == list(range(1, 25))
    assert all(torch.equal(tensor, weights(second)[name]) for name, tensor in weights(whole).items())


def test_where_memory_runs_out_it_computes_less_at_once_and_ends_where_it_would_have(tmp_path: Path, drawn: Path) -> None:
    _, whole = trained(tmp_path / "whole", drawn)
    folder, result = trained(tmp_path / "tight", drawn, room_for=3 * 64)
    assert {incident.code for incident in models.told(folder, Incident)} == {"out_of_memory"}
    assert all("pixels" in incident.text for incident in models.told(folder, Incident))
    budgets = [change.after for change in models.told(folder, Adjusted) if change.setting == "token_budget"]
    assert budgets
    assert budgets[-1] < 6 * 64
    assert {event.n for event in models.told(folder, Evaluated) if event.split != "final"} == {12}
    assert max((tensor - weights(result)[name]).abs().max().item() for name, tensor in weights(whole).items()) < 1e-5


def test_a_picture_that_does_not_fit_alone_is_a_question_about_pictures(tmp_path: Path, drawn: Path) -> None:
    folder, result = trained(tmp_path / "none", drawn, room_for=32, eval_every=1)
    assert (result["outcome"], result["code"]) == ("stopped", "does_not_fit")
    assert "pictures of at most" in result["todo"]
    assert "64 pixels" in result["what"]
    assert not any("token" in event.text for event in models.told(folder) if isinstance(event, Noted | Incident))


def test_records_of_examples_hold_media_and_targets_and_still_read_what_older_versions_wrote() -> None:
    seen = Target(regions=(Region(label="cat", box=(1, 2, 30, 40)),), mask="masks/1.png")
    example = Example(row=1, media=("a/1.png",), target=seen)
    assert Example.model_validate_json(example.model_dump_json()) == example
    old = '{"row":3,"source":"a.jsonl","messages":[{"role":"user","content":"hi"}],"text":"","label":null}'
    assert Example.model_validate_json(old) == Example(row=3, source="a.jsonl", messages=({"role": "user", "content": "hi"},))  # type: ignore[arg-type]
    preview = Preview(row=1, media=("a/1.png",), cost=64, learned=1, unit="pixels")
    profile = DatasetProfile(id="x", name="a", path="a", shape="pictures", n_read=1, n_kept=1, previews=(preview,), unit="pixels")
    assert DatasetProfile.model_validate_json(profile.model_dump_json()) == profile
