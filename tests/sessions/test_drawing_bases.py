"""Bases from diffusers, tiny ones with the real configs: trained through the one loop, gone on with, loaded anew, merged, taken away."""

from __future__ import annotations

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from loralab.core.errors import LabError, UserError
from loralab.core.events import EventLog, Stepped
from loralab.core.jobs import TrainJob
from loralab.core.paths import write_atomic
from loralab.exports import job as export_job
from loralab.exports.drawing import making
from loralab.lab import Lab
from loralab.runs.run_folder import RunFolder
from loralab.runtimes.vision.drawing import load_drawer, louder, open_painter
from loralab.runtimes.vision.painter import How
from loralab.sessions import job
from loralab.sessions.drawing.session import DrawSession
from loralab.tasks import parse_plan
from tests.support import drawing_models

pytestmark = [
    pytest.mark.worker,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of the library's own use of numpy
    pytest.mark.skipif(importlib.util.find_spec("diffusers") is None, reason="the optional part diffusers is not installed here"),
]

KINDS = ("sd", "sdxl", "klein")
IN_TURN = ("sd", *(pytest.param(kind, marks=pytest.mark.long) for kind in KINDS[1:]))  # the others take the same way, and CI has its limit
SIDE = 128  # pixels: small, and room for more than one shape
QUICK: dict[str, Any] = {"effective_batch": 4, "micro_batch": 2, "epochs": 2.0, "patience": 0, "eval_every": 2, "rank": 4}
QUICK |= {"drawing_steps": 2, "image_size": SIDE, "learning_rate": 1e-2}
HOW = How(2, 3.0, (64, 64))


@pytest.fixture(scope="module")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    place = tmp_path_factory.mktemp("bases")
    return {kind: drawing_models.made(kind, place / kind) for kind in KINDS}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve pictures in three shapes, with captions."""
    path, random = tmp_path_factory.mktemp("drawn") / "shapes.zip", np.random.default_rng(0)
    with ZipFile(path, "w") as packed:
        for number in range(12):
            size = ((96, 96), (180, 60), (60, 170))[number % 3]
            picture = Image.fromarray(random.integers(0, 255, (*size[::-1], 3), dtype=np.uint8))
            with packed.open(f"{number:02}.png", "w") as file:
                picture.save(file, "PNG")
            packed.writestr(f"{number:02}.txt", f"a thing in [trigger], number {number}\n")
    return path


def folder_of(path: Path, data: Path, base: Path, stop_at: int = 0, **settings: Any) -> RunFolder:
    """A run's folder in a workspace of its own; with `stop_at` somebody asks it to stop after so many updates."""
    place = path / "runs" / "one"
    place.mkdir(parents=True, exist_ok=True)
    plan = parse_plan({**QUICK, "task": "draw", "dataset": str(data), "base_model": str(base), **settings}).model_dump()
    asked = TrainJob(run="one", plan=plan, model=str(base))
    write_atomic(place / "job.json", asked.model_dump_json())
    folder = RunFolder(place, asked, EventLog(place / "events.jsonl"))
    emit = folder.emit

    def stopping(event: Any) -> Any:
        if isinstance(event, Stepped) and event.step == stop_at:
            (place / "stop").touch()
        return emit(event)

    folder.emit = stopping  # type: ignore[method-assign]
    return folder


def session_of(folder: RunFolder) -> DrawSession:
    plan: Any = parse_plan(folder.job.plan)
    return DrawSession(plan, folder)


@pytest.fixture(scope="module", params=IN_TURN)
def trained(request: pytest.FixtureRequest, bases: dict[str, Path], data: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Of each kind: its base, its run's folder, what came of it."""
    folder = folder_of(tmp_path_factory.mktemp(request.param), data, bases[request.param])
    return bases[request.param], folder, job.run(folder)


# ---- reading -----------------------------------------------------------------------------------------------------------------


def test_a_base_says_what_it_is_and_a_damaged_one_is_an_error_in_words(bases: dict[str, Path], tmp_path: Path) -> None:
    lab = Lab(tmp_path / "home")
    check = lab.check_model(str(bases["sd"]))
    assert (check.ok, check.problems) == (True, ())
    assert check.parameters == sum(value.numel() for value in load_file(next((bases["sd"] / "unet").glob("*.safetensors"))).values())
    broken = shutil.copytree(bases["sd"], tmp_path / "broken")
    next((broken / "vae").glob("*.safetensors")).unlink()
    assert [problem.code for problem in lab.check_model(str(broken)).problems] == ["incomplete_download"]
    with pytest.raises(LabError, match="cannot be opened"):
        open_painter(broken)
    (broken / "model_index.json").write_text('{"_class_name": "KandinskyPipeline"}', "utf-8")
    assert [problem.code for problem in lab.check_model(str(broken)).problems] == ["unknown_family"]
    with pytest.raises(UserError, match="cannot be trained here"):
        open_painter(broken)


def test_captions_and_pictures_are_computed_once_and_kept_by_content(bases: dict[str, Path], data: Path, tmp_path: Path) -> None:
    first = session_of(folder_of(tmp_path, data, bases["sd"]))
    second = session_of(folder_of(tmp_path, data, bases["sd"]))
    made = [(one.painter.seen.made, one.painter.heard.made) for one in (first, second)]  # type: ignore[attr-defined]
    assert made == [(12, 25), (0, 0)], "twelve pictures; with trigger, without, and no words"
    example = first.train_examples[0]
    assert torch.equal(first.easel.canvas(example), second.easel.canvas(example))
    file = next((tmp_path / "drawing_cache").iterdir())
    file.write_bytes(b"broken")
    third = session_of(folder_of(tmp_path, data, bases["sd"]))
    assert third.painter.seen.made + third.painter.heard.made == 1  # type: ignore[attr-defined]
    with pytest.raises(UserError):
        third.painter.draw(["words that nobody said"], [1], HOW)


def test_pictures_keep_their_shapes_and_each_micro_batch_has_one(bases: dict[str, Path], data: Path, tmp_path: Path) -> None:
    session = session_of(folder_of(tmp_path, data, bases["sd"]))
    every = (*session.train_examples, *session.watched, *session.heldout_examples)
    assert {session.easel.size(one) for one in every} == {(128, 128), (192, 64), (64, 192)}
    for step in session.steps(0):
        for batch in step:
            assert batch.tensors["pictures"].shape[1:] == batch.tensors["noise"].shape[2:]
    rows = [row for step in session.steps(0) for batch in step for row in batch.rows]
    assert sorted(rows) == sorted(one.row for one in session.train_examples)


# ---- the loop ----------------------------------------------------------------------------------------------------------------


def test_it_is_trained_and_judged_through_the_one_loop(trained: Any) -> None:
    _, folder, result = trained
    assert result["steps"] == 4
    log = (folder.path / "events.jsonl").read_text("utf-8")
    assert '"you_decide"' in log
    assert len(list((folder.path / "artifacts" / "drawn").glob("*.png"))) >= 4, "drawn before the first update, while it learns, at the end"
    weights = load_file(Path(result["adapter"]) / "adapter_model.safetensors")
    assert any(bool(value.any()) for name, value in weights.items() if "lora_B" in name), "something was learned"
    assert all(bool(torch.isfinite(value).all()) for value in weights.values())


def test_a_stopped_run_goes_on_as_if_it_never_had(bases: dict[str, Path], data: Path, tmp_path: Path) -> None:
    whole = job.run(folder_of(tmp_path / "whole", data, bases["sd"]))
    part = folder_of(tmp_path / "part", data, bases["sd"], stop_at=2)
    assert job.run(part)["outcome"] == "stopped"
    (part.path / "stop").unlink()
    again = job.run(folder_of(tmp_path / "part", data, bases["sd"]))
    assert again["steps"] == whole["steps"]
    first, second = (load_file(Path(one["adapter"]) / "adapter_model.safetensors") for one in (whole, again))
    assert all(torch.allclose(first[name], second[name], atol=1e-5) for name in first)


def test_it_draws_the_same_loaded_anew_merged_and_in_a_fresh_process(trained: Any, tmp_path: Path) -> None:
    base, _, result = trained
    adapter = Path(result["adapter"])
    painter, card = load_drawer(base, adapter)
    said = [card.caption("a thing")]
    drawn = painter.draw(said, [3], HOW).astype(int)
    with louder(painter.net, 0.0):
        silent = painter.draw(said, [3], HOW).astype(int)
    with louder(painter.net, 200.0):
        loud = painter.draw(said, [3], HOW).astype(int)
    assert np.abs(loud - silent).max() > 3, "the adapter counts"
    assert np.abs(open_painter(base).draw(said, [3], HOW).astype(int) - silent).max() <= 1, "at strength 0 it is the base"
    merged, _ = load_drawer(base, adapter, merged=True)
    assert np.abs(merged.draw(said, [3], HOW).astype(int) - drawn).max() <= 3
    program = (
        "import sys, numpy as np; from pathlib import Path; from loralab.runtimes.vision.drawing import load_drawer;"
        "from loralab.runtimes.vision.painter import How; p, c = load_drawer(Path(sys.argv[1]), Path(sys.argv[2]));"
        "np.save(sys.argv[3], p.draw([c.caption('a thing')], [3], How(2, 3.0, (64, 64))))"
    )
    asked = [sys.executable, "-c", program, str(base), str(adapter), str(tmp_path / "a.npy")]
    subprocess.run(asked, check=True, timeout=600, capture_output=True)
    assert np.abs(np.load(tmp_path / "a.npy").astype(int) - drawn).max() <= 1


# ---- taken away --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["adapter", "kohya", "merged"])
def test_each_form_draws_the_same_by_the_librarys_own_loader(trained: Any, form: str, tmp_path: Path) -> None:
    base, folder, result = trained
    source = export_job.open_source(folder.path.parent, "one", str(base), result["adapter"])
    getattr(making, form)(source, tmp_path, lambda words: None)
    proof = getattr(making, f"proven_{form}")(source, tmp_path, lambda words: None)
    assert proof.outcome == "proven", proof.words


def test_a_file_with_two_layers_exchanged_is_not_called_proven(trained: Any, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    base, folder, result = trained
    source = export_job.open_source(folder.path.parent, "one", str(base), result["adapter"])
    making.kohya(source, tmp_path, lambda words: None)
    tensors = load_file(tmp_path / "lora.safetensors")
    name = next(name for name in tensors if name.endswith("lora_up.weight"))
    save_file(tensors | {name: -tensors[name] - 1}, tmp_path / "lora.safetensors")
    assert making.proven_kohya(source, tmp_path, lambda words: None).outcome == "differs"
