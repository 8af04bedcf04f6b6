"""Learning to draw: through the one loop, whole, stopped and gone on with, judged, drawn with and taken away."""

from __future__ import annotations

import json
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
from loralab.core.jobs import Control, TrainJob
from loralab.exports.drawing import adapter as adapter_form
from loralab.lab import Lab
from loralab.models.drawing import drawing_entry, drawing_folder
from loralab.runs import runs
from loralab.runs.run_folder import RunFolder
from loralab.runtimes.vision.drawing import Starter, load_base, load_drawer, louder, read_card
from loralab.runtimes.vision.hashed_words import PIECES, WORDS, pieces_of
from loralab.runtimes.vision.painter import How
from loralab.runtimes.vision.sampling import noise, with_trigger
from loralab.sessions import job
from loralab.sessions.drawing.session import DrawSession
from loralab.tasks import parse_plan
from tests.support import small_pictures

pytestmark = pytest.mark.worker

QUICK: dict[str, Any] = {"effective_batch": 4, "micro_batch": 4, "epochs": 2.0, "patience": 0, "eval_every": 2, "rank": 4}
QUICK |= {"drawing_steps": 2}


def folder_of(path: Path, data: Path, stop_at: int = 0, origin: Any = None, **settings: Any) -> RunFolder:
    """A run's folder in a workspace of its own; with `stop_at` somebody asks it to stop after so many updates."""
    place = path / "runs" / "one"
    place.mkdir(parents=True, exist_ok=True)
    plan = parse_plan({**QUICK, "task": "draw", "dataset": str(data), **settings}).model_dump()
    asked = TrainJob(run="one", plan=plan, model=str(drawing_folder()), origin=origin)
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


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_pictures.captioned(tmp_path_factory.mktemp("drawn") / "discs.zip")


@pytest.fixture(scope="module")
def trained(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lab, str]:
    """A run through a real worker."""
    lab = Lab(tmp_path_factory.mktemp("home"))
    profile = lab.profile(data)
    assert (profile.task, profile.n_kept) == ("draw", 12)
    proposal = lab.propose(profile, **{name: value for name, value in QUICK.items() if name != "micro_batch"})
    assert proposal.plan["base_model"] == "drawing-starter"
    assert proposal.reasons.keys() >= proposal.plan.keys()
    run = lab.start(proposal)
    view = lab.wait(run)
    assert view.state == "finished", (runs.folder(lab.home, run) / "worker.log").read_text("utf-8")[-2000:]
    return lab, run


# ---- words and the model -----------------------------------------------------------------------------------------------------


def test_words_are_hashed_alike_everywhere_and_none_is_unknown() -> None:
    assert pieces_of("a Red apple!") == pieces_of("a red  APPLE")
    assert pieces_of("cat")[0][:3] == [5905, 5905, 5905], "CRC-32, the same on every machine: the starter's table depends on it"
    assert pieces_of("") == [[0]] * WORDS
    assert all(0 < piece < PIECES for piece in pieces_of("Übermut 猫 mystyle")[2])
    assert len(pieces_of(" ".join(["word"] * 50))) == WORDS


def test_the_trigger_word_stands_once_and_where_it_is_asked_for() -> None:
    assert with_trigger("a cat", "mystyle") == "mystyle a cat"
    assert with_trigger("a cat in Mystyle", "mystyle") == "a cat in Mystyle"
    assert with_trigger("a cat in [trigger]", "mystyle") == "a cat in mystyle"


def test_the_starter_is_small_and_what_the_catalogue_says() -> None:
    entry, file = drawing_entry("drawing-starter"), drawing_folder() / "model.safetensors"
    assert entry is not None
    assert file.stat().st_size < 16 << 20
    assert sum(value.numel() for value in load_file(file).values()) == entry.parameters
    assert json.loads((drawing_folder() / "config.json").read_text("utf-8"))["side"] == entry.side


def test_the_starter_obeys_words() -> None:
    """Colours that were asked for are there: red is redder where red was said than where blue was."""
    starter = Starter(load_base(drawing_folder()))
    drawn = starter.draw(["red heart"] * 2 + ["blue heart"] * 2, [1, 2, 1, 2], How(8, 3.0, (32, 32))).astype(float)
    red, blue = (part.mean((0, 1, 2)) for part in (drawn[:2], drawn[2:]))
    assert red[0] - red[2] > blue[0] - blue[2] + 40


def test_a_damaged_starter_is_an_error_in_words(tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"nothing")
    with pytest.raises(LabError):
        load_base(tmp_path)
    with pytest.raises(UserError, match="no model that draws"):
        load_base(tmp_path / "elsewhere")


# ---- the loop ----------------------------------------------------------------------------------------------------------------


def test_a_stopped_run_goes_on_as_if_it_never_had(tmp_path: Path, data: Path) -> None:
    whole = job.run(folder_of(tmp_path / "whole", data))
    part = folder_of(tmp_path / "part", data, stop_at=2)
    assert job.run(part)["outcome"] == "stopped"
    (part.path / "stop").unlink()
    again = job.run(folder_of(tmp_path / "part", data))
    assert again["steps"] == whole["steps"] > 2
    first, second = (load_file(Path(one["adapter"]) / "adapter_model.safetensors") for one in (whole, again))
    assert all(torch.allclose(first[name], second[name], atol=1e-6) for name in first), "but for the order of sums inside a convolution"


def test_how_many_at_once_changes_nothing_but_memory(tmp_path: Path, data: Path) -> None:
    sums: list[tuple[float, torch.Tensor]] = []
    for at_once in (4, 3):
        session = session_of(folder_of(tmp_path / str(at_once), data, micro_batch=at_once))
        torch.manual_seed(0)
        for name, parameter in session.state().items():
            if "lora_B" in name:
                parameter.data.normal_(0, 0.02)
        total = torch.zeros(())
        for batch in next(session.steps(0)):
            loss, n = session.loss(batch)
            loss.backward()
            total += loss.detach()
            assert n == len(batch.rows)
        gradient = torch.cat([p.grad.flatten() for p in session.state().values() if p.grad is not None])
        sums.append((float(total), gradient))
    assert sums[0][0] == pytest.approx(sums[1][0], rel=1e-4)
    assert torch.nn.functional.cosine_similarity(sums[0][1], sums[1][1], dim=0) > 0.9999


def test_it_can_learn_one_picture_by_heart(tmp_path: Path, data: Path) -> None:
    session = session_of(folder_of(tmp_path, data, blank_captions=0.0, rank=16))
    one = session.train_examples[:1]
    before = session.denoising(one, trained=False)[0]
    learner = torch.optim.AdamW(session.state().values(), 3e-3)
    for epoch in range(40):
        loss, _ = session.loss(session._batch(one, epoch))
        learner.zero_grad()
        loss.backward()
        learner.step()
    assert session.denoising(one, trained=True)[0] < 0.5 * before
    assert session.denoising(one, trained=False)[0] == pytest.approx(before, rel=1e-5), "the base is as it was"


def test_a_control_learns_from_other_captions(tmp_path: Path, data: Path) -> None:
    plain, control = (session_of(folder_of(tmp_path / str(at), data, origin=(at and Control(of="another")) or None)) for at in (0, 1))
    assert [one.row for one in control.train_examples] == [one.row for one in plain.train_examples]
    assert sorted(one.text for one in control.train_examples) == sorted(one.text for one in plain.train_examples)
    assert [one.text for one in control.train_examples] != [one.text for one in plain.train_examples]


# ---- what came of it ---------------------------------------------------------------------------------------------------------


def measured(lab: Lab, run: str) -> dict[str, float]:
    """What each measure is after training."""
    final = [look for look in lab.view(run).evaluations if look.split == "final"]
    return {score.name: score.after for score in final[-1].scores}


def test_the_whole_way_is_judged_and_shown(trained: tuple[Lab, str]) -> None:
    lab, run = trained
    report, view = lab.report(run), lab.view(run)
    assert (report["task"], view.conclusion and view.conclusion.usable) == ("draw", "you_decide")
    assert list(measured(lab, run)) == ["look", "loss"]
    shares = [answer.share for answer in view.questions[0].answers]
    assert (shares[0], shares[-1]) == (0.0, 1.0), "drawn before the first update and at the end"
    names = [answer.text for question in view.questions for answer in question.answers]
    names += [name for sample in view.samples for name in (sample.before, sample.after)]
    for name in names:
        assert lab.drawing(run, name).startswith(b"\x89PNG")
    assert lab.drawing(run, "../job.json") == b"" == lab.drawing(run, "drawn/0000000000000000.png")
    assert all(question.prompt.startswith("mystyle a ") for question in view.questions)
    card = (Path(report["adapter"]) / "README.md").read_text("utf-8")
    assert "`mystyle`" in card
    assert "by heart" in card
    assert json.loads((Path(report["adapter"]) / "adapter_config.json").read_text("utf-8"))["lora_alpha"] == 4 == QUICK["rank"]


def test_it_is_judged_again_to_the_same_numbers(trained: tuple[Lab, str]) -> None:
    lab, run = trained
    again = lab.evaluate(run)
    lab.wait(again)
    assert measured(lab, again) == pytest.approx(measured(lab, run), rel=1e-4)


def test_words_are_drawn_before_and_now_and_the_strength_counts(trained: tuple[Lab, str]) -> None:
    lab, run = trained
    try:
        one, again, none, loud = (lab.draw(run, "a red disc", 3, strength) for strength in (1.0, 1.0, 0.0, 1.5))
        assert one.caption == "mystyle a red disc"
        assert one.after == again.after != one.before
        assert none.after == none.before == one.before
        assert loud.after not in (one.after, one.before)
        assert lab.draw(run, "a red disc", 4).before != one.before
        assert all(address.startswith("data:image/webp;base64,") for address in one.shown)
        for words, seed, strength in ((" ", 0, 1.0), ("a", 0, 9.0), ("a", -1, 1.0)):
            with pytest.raises(UserError):
                lab.draw(run, words, seed, strength)
    finally:
        lab.hand.close()


def test_the_adapter_can_be_made_louder_and_is_put_back(trained: tuple[Lab, str]) -> None:
    lab, run = trained
    painter, card = load_drawer(drawing_folder(), Path(str(lab.report(run)["adapter"])))
    model = painter.net
    x, times = noise(1)[None], torch.tensor([0.5])
    said = [card.caption("a disc")]
    with torch.no_grad():
        whole = model(x, times, said)
        with louder(model, 0.0):
            silent = model(x, times, said)
        assert torch.equal(model(x, times, said), whole)
        assert torch.allclose(silent, load_base(drawing_folder())(x, times, said), atol=1e-5)
    assert not torch.allclose(silent, whole, atol=1e-5)


def test_what_is_taken_away_draws_the_same_by_its_own_program(trained: tuple[Lab, str]) -> None:
    lab, run = trained
    export = lab.export(run, "adapter")
    view = lab.wait(export)
    assert view.ending is not None
    assert view.ending.result["parity"] == "proven", view.ending.result
    with ZipFile(Path(str(view.ending.result["path"]))) as packed:
        inside = {Path(name).name: packed.read(name).decode("utf-8", "replace") for name in packed.namelist()}
    assert {"draw.py", "drawing.json", "README.md", "plan.json", "adapter_model.safetensors"} <= inside.keys()
    assert "loralab" not in inside["draw.py"]


def test_a_spoiled_folder_is_not_called_proven(trained: tuple[Lab, str], tmp_path: Path) -> None:
    from loralab.exports import job as export_job
    from loralab.exports.drawing import making

    lab, run = trained
    source = export_job.open_source(lab.home / "runs", run, str(drawing_folder()), str(lab.report(run)["adapter"]))
    making.merged(source, tmp_path, lambda words: None)
    assert making.proven_merged(source, tmp_path, lambda words: None).outcome == "proven"
    program = tmp_path / "draw.py"
    program.write_text(program.read_text("utf-8").replace("plain + guidance", "plain - guidance"), "utf-8")
    found = making.proven_merged(source, tmp_path, lambda words: None)
    assert found.outcome == "differs"


def test_what_learned_from_patients_is_not_handed_on(trained: tuple[Lab, str], tmp_path: Path) -> None:
    from dataclasses import replace

    from loralab.exports import job as export_job

    lab, run = trained
    source = export_job.open_source(lab.home / "runs", run, str(drawing_folder()), str(lab.report(run)["adapter"]))
    assert adapter_form.refuse(source) is None
    for file in source.adapter.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    card = read_card(source.adapter).model_copy(update={"medical": True})
    (tmp_path / "drawing.json").write_text(card.model_dump_json(), "utf-8")
    refused = adapter_form.refuse(replace(source, adapter=tmp_path))
    assert refused is not None
    assert refused.code == "draws_patients"


def test_a_picture_is_fitted_whole_on_its_own_ground() -> None:
    from loralab.sessions.drawing.easel import squared

    wide = np.full((10, 40, 3), 200, np.uint8)
    wide[3:7, 15:25] = 10
    drawn = squared(Image.fromarray(wide), 32)
    assert drawn.shape == (32, 32, 3)
    assert (drawn[0] == 200).all()
    assert (drawn[-1] == 200).all()
    assert drawn.min() < 40


def test_the_command_line_draws_into_a_file(trained: tuple[Lab, str], tmp_path: Path) -> None:
    from typer.testing import CliRunner

    from loralab.cli.app import app

    lab, run = trained
    done = CliRunner().invoke(app, ["draw", "a red disc", run, "--home", str(lab.home), "--out", str(tmp_path / "a.png"), "--json"])
    assert json.loads(done.stdout)["caption"] == "mystyle a red disc", done.output
    assert Image.open(tmp_path / "a.png").size == (32, 32)
