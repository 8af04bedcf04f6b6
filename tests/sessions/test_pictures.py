"""Training on pictures: three kinds of questions through the one loop, whole, stopped and gone on with, judged, saved and loaded anew."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from loralab.core.errors import UserError
from loralab.core.events import EventLog, Noted, Stepped
from loralab.core.jobs import Control, TrainJob, Trial
from loralab.datasets.images.kept_marks import kept
from loralab.lab import Lab
from loralab.models.vision import bundled_folder
from loralab.runs import runs
from loralab.runs.run_folder import RunFolder
from loralab.runtimes.vision.picture_model import load_trained, read_card
from loralab.serve.looking import Eye
from loralab.sessions import job
from loralab.sessions.pictures.quick_look import TOLD_S
from loralab.sessions.pictures.session import PictureSession
from loralab.tasks import parse_plan, tasks
from tests.support import small_pictures

pytestmark = pytest.mark.worker

QUICK: dict[str, Any] = {
    "image_size": 64,
    "effective_batch": 8,
    "micro_batch": 8,
    "heldout_share": 0.3,
    "epochs": 2.0,
    "probe_rounds": 40,
    "patience": 0,
    "eval_every": 5,
    "rank": 4,
    "alpha": 4.0,
}
KINDS = {"classify": small_pictures.shapes, "segment": small_pictures.discs, "detect": small_pictures.things}


def folder_of(path: Path, kind: str, data: Path, stop_at: int = 0, origin: Any = None, **settings: Any) -> RunFolder:
    """A run's folder in a workspace of its own; with `stop_at` somebody asks it to stop after so many updates."""
    place = path / "runs" / "one"
    place.mkdir(parents=True, exist_ok=True)
    plan = parse_plan({**QUICK, "task": kind, "dataset": str(data), **settings}).model_dump()
    asked = TrainJob(run="one", plan=plan, model=str(bundled_folder()), origin=origin)
    folder = RunFolder(place, asked, EventLog(place / "events.jsonl"))
    emit = folder.emit

    def stopping(event: Any) -> Any:
        if isinstance(event, Stepped) and event.step == stop_at:
            (place / "stop").touch()
        return emit(event)

    folder.emit = stopping  # type: ignore[method-assign]
    return folder


def session_of(folder: RunFolder) -> PictureSession:
    plan = parse_plan(folder.job.plan)
    return tasks()[plan.task].open(plan, folder)


@pytest.fixture(scope="module", params=sorted(KINDS))
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, RunFolder, dict[str, Any]]:
    """A whole run of each kind."""
    place = tmp_path_factory.mktemp(request.param)
    folder = folder_of(place, request.param, KINDS[request.param](place / "data.zip"))
    return request.param, folder, job.run(folder)


def test_each_kind_learns_what_is_drawn(trained: tuple[str, RunFolder, dict[str, Any]]) -> None:
    kind, folder, result = trained
    final = [event for event in folder_events(folder) if event["type"] == "evaluated" and event["split"] == "final"]
    assert len(final) == 1
    main = final[0]["scores"][0]
    assert main["name"] == {"classify": "accuracy", "segment": "dice", "detect": "map50"}[kind]
    assert main["after"] > {"classify": 0.85, "segment": 0.6, "detect": 0.3}[kind]
    assert main["after"] > main["before"]
    assert final[0]["conclusion"]["learned"] in ("yes", "unknown")
    assert (Path(result["adapter"]) / "README.md").read_text("utf-8").startswith("---\nlibrary_name: peft")


def test_what_it_marks_while_it_learns_is_kept_to_be_drawn(trained: tuple[str, RunFolder, dict[str, Any]]) -> None:
    kind, folder, _ = trained
    looks = [event for event in folder_events(folder) if event["type"] == "previewed" and event["share"] is not None]
    assert [event["share"] for event in looks][-1] == 1.0
    names = [sample["drawn"] for event in looks for sample in event["samples"]]
    if kind == "classify":
        assert set(names) == {""}
        return
    found = [kept(folder.artifacts, name) for name in names]
    last, sizes = found[-len(looks[-1]["samples"]) :], small_pictures.SIDE
    assert all((what.mask is not None) == (kind == "segment") for what in found)
    assert any(what.boxes or (what.mask is not None and what.mask.any()) for what in last), "trained, it marks something"
    assert all(what.mask.shape == (sizes, sizes) for what in last if what.mask is not None)


def test_where_it_looked_is_where_the_thing_is(trained: tuple[str, RunFolder, dict[str, Any]]) -> None:
    kind, folder, result = trained
    session, eye = session_of(folder), Eye(bundled_folder(), Path(result["adapter"]))
    if kind != "classify":
        with pytest.raises(UserError, match="drawn already"):
            eye.why(session.album.opened(session.heldout_examples[0]).image)
        return
    inside, share = [], []
    for example in session.heldout_examples:
        opened = session.album.opened(example).image
        said, heat = eye.why(opened)
        assert heat.shape == (opened.height, opened.width)
        assert heat.max() > 200
        if said == example.label == "disc":
            there = np.asarray(opened)[..., 1] > 200  # the disc is the brightest there is
            inside.append(heat[there].sum() / heat.sum())
            share.append(there.mean())
    assert np.mean(inside) > 1.5 * np.mean(share)


def folder_events(folder: RunFolder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder.path / "events.jsonl").read_text("utf-8").splitlines()]


def test_the_adapter_loads_on_a_fresh_base_and_says_the_same(trained: tuple[str, RunFolder, dict[str, Any]]) -> None:
    """Traps c, d and e: batch norms that moved, a head that was not saved, labels that are nowhere."""
    kind, folder, result = trained
    again = session_of(folder)
    again.load_state(load_state(again, Path(result["adapter"])))
    model, card = load_trained(bundled_folder(), Path(result["adapter"]))
    merged, _ = load_trained(bundled_folder(), Path(result["adapter"]), merged=True)
    assert (card.task, card.labels, card.size) == (kind, again.pictures.labels, again.album.size)
    shown = torch.from_numpy(np.stack([again.album.seen(one)[0].pixels for one in again.heldout_examples[:2]])).permute(0, 3, 1, 2).float()
    again.model.eval()
    with torch.no_grad():
        ours, theirs, plain = (flat(one(shown)) for one in (again.model, model, merged))
        with again.model.disable_adapter():
            before = flat(again.model(shown))
    assert torch.allclose(ours, theirs, atol=1e-4)
    assert torch.allclose(ours, plain, atol=1e-3)
    assert not torch.allclose(ours, before, atol=1e-3), "the adapter says something"


def load_state(session: PictureSession, adapter: Path) -> dict[str, torch.Tensor]:
    saved = load_file(adapter / "adapter_model.safetensors")
    found = {}
    for name in session.state():
        short = name.replace(".default", "").replace("modules_to_save.", "")
        found[name] = saved[short]
    return found


def flat(said: Any) -> torch.Tensor:
    return torch.cat([part.flatten() for part in said]) if isinstance(said, tuple) else said.flatten()


def test_a_stopped_run_goes_on_as_if_it_never_had(tmp_path: Path) -> None:
    data = small_pictures.shapes(tmp_path / "data.zip", 14)
    whole = job.run(folder_of(tmp_path / "whole", "classify", data))
    part = folder_of(tmp_path / "part", "classify", data, stop_at=3)
    assert job.run(part)["outcome"] == "stopped"
    (part.path / "stop").unlink()
    looked = (part.path / "artifacts" / "quick_look.safetensors").stat().st_mtime_ns
    again = job.run(folder_of(tmp_path / "part", "classify", data))
    assert again["steps"] == whole["steps"]
    first, second = (load_file(Path(one["adapter"]) / "adapter_model.safetensors") for one in (whole, again))
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert (part.path / "artifacts" / "quick_look.safetensors").stat().st_mtime_ns == looked, "the quick look is not taken again"


def test_how_many_at_once_changes_nothing_but_memory(tmp_path: Path) -> None:
    data = small_pictures.things(tmp_path / "data.zip", 14)
    sums: list[tuple[float, torch.Tensor]] = []
    for at_once in (8, 3):
        session = session_of(folder_of(tmp_path / str(at_once), "detect", data, micro_batch=at_once, probe_rounds=1))
        session.model.train()
        batches = next(session.steps(0))
        total = torch.zeros(())
        for batch in batches:
            loss, n = session.loss(batch)
            loss.backward()
            total += loss.detach()
            assert n == len(batch.rows)
        gradient = torch.cat([p.grad.flatten() for p in session.state().values() if p.grad is not None])
        sums.append((float(total), gradient))
    assert sums[0][0] == pytest.approx(sums[1][0], rel=1e-4)
    assert torch.nn.functional.cosine_similarity(sums[0][1], sums[1][1], dim=0) > 0.9999


def test_what_is_watched_is_neither_learned_nor_judged(tmp_path: Path) -> None:
    session = session_of(folder_of(tmp_path, "classify", small_pictures.shapes(tmp_path / "data.zip", 14), probe_rounds=0))
    sides = [{one.row for one in side} for side in (session.train_examples, session.watched, session.heldout_examples)]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 42
    assert all(sides)
    assert {row for batch in session.heldout() for row in batch.rows} == sides[1]


def test_a_control_does_not_learn(tmp_path: Path) -> None:
    """Shuffled answers must not come out as better."""
    data = small_pictures.shapes(tmp_path / "data.zip", 20)
    folder = folder_of(tmp_path, "classify", data, origin=Control(of="another"))
    job.run(folder)
    final = next(event for event in folder_events(folder) if event["type"] == "evaluated" and event["split"] == "final")
    assert final["verdict"] != "better"
    assert final["conclusion"]["learned"] != "yes"
    assert any("control" in event["text"].lower() for event in folder_events(folder) if event["type"] == "noted")


def test_a_test_of_settings_is_judged_on_pictures_to_choose_by(tmp_path: Path) -> None:
    """The held-out ones stay unseen, so that the whole run is judged on what nothing was chosen by."""
    data = small_pictures.shapes(tmp_path / "data.zip", 20)
    trial = Trial(group="one", setting="learning_rate", value=1e-3, usual=True, plan={})
    folder = folder_of(tmp_path, "classify", data, origin=trial, epochs=0.5)
    job.run(folder)
    session = session_of(folder)
    judged = json.loads((folder.artifacts / "evaluation.json").read_text("utf-8"))["rows"]["accuracy"]
    assert {row["row"] for row in judged} == {example.row for example in session.watched}
    assert not {row["row"] for row in judged} & {example.row for example in session.heldout_examples}


def test_broken_numbers_do_not_reach_the_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The guard of the loop works for pictures as for texts: a picture that breaks the numbers is left out, and told."""
    folder = folder_of(tmp_path, "classify", small_pictures.shapes(tmp_path / "data.zip", 14))
    loss: Callable[..., Any] = PictureSession.loss

    def broken(self: PictureSession, batch: Any) -> Any:
        value, n = loss(self, batch)
        return (value * float("nan") if self.train_examples[0].row in batch.rows else value), n

    monkeypatch.setattr(PictureSession, "loss", broken)
    result = job.run(folder)
    assert any(event["type"] == "incident" for event in folder_events(folder))
    assert all(torch.isfinite(p).all() for p in load_file(Path(result["adapter"]) / "adapter_model.safetensors").values())


def test_pictures_go_the_whole_way_through_a_real_worker(lab: Lab, tmp_path: Path) -> None:
    data = small_pictures.shapes(tmp_path / "shapes.zip", 20)
    profile = lab.profile(data)
    assert (profile.task, profile.n_kept, list(profile.labels)) == ("classify", 60, ["disc", "nothing", "square"])
    settings = {name: value for name, value in QUICK.items() if name != "micro_batch"}
    proposal = lab.propose(profile, **settings)
    assert proposal.plan["base_model"] == "vision-starter"
    assert proposal.reasons.keys() >= proposal.plan.keys()
    run = lab.start(proposal)
    view = lab.wait(run)
    assert view.state == "finished", (runs.folder(lab.home, run) / "worker.log").read_text("utf-8")[-2000:]
    report = lab.report(run)
    assert report["task"] == "classify"
    assert report["learned"] == "yes"
    accuracy = report["measures"]["accuracy"]
    assert 0 <= accuracy["low"] <= accuracy["after"] <= accuracy["high"] <= 1
    assert accuracy["before"] < accuracy["after"]
    again = lab.evaluate(run)
    lab.wait(again)
    looks = [look for look in lab.view(again).evaluations if look.split == "final"]
    assert looks[-1].scores[0].after == pytest.approx(accuracy["after"])
    assert read_card(Path(report["adapter"])).labels == ("disc", "nothing", "square")


def test_pictures_of_another_kind_are_refused_in_a_sentence(tmp_path: Path) -> None:
    from loralab.core.errors import UserError

    with pytest.raises(UserError, match="another kind of training"):
        session_of(folder_of(tmp_path, "detect", small_pictures.shapes(tmp_path / "data.zip", 14)))


def test_the_quick_look_is_told_while_it_goes_on(trained: tuple[str, RunFolder, dict[str, Any]]) -> None:
    _, folder, _ = trained
    told = [
        event
        for event in folder_events(folder)
        if event["type"] == Noted.model_fields["type"].default and "quick look" in event.get("phase", "")
    ]
    assert len({event["phase"] for event in told}) == 2
    assert max(event["fraction"] for event in told) == 1.0
    times = [event["time"] for event in told]
    assert len(told) <= 3 + (times[-1] - times[0]) / TOLD_S, "the log of a long quick look stays short"
