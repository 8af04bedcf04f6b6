"""Comparing anything with anything: a run, its checkpoints and its exports, each measured on the run's own examples in a real worker."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from loralab.core.errors import UserError
from loralab.lab import Lab
from loralab.reports.subjects import subject
from loralab.runs import runs
from tests.conftest import ended
from tests.support.learned import Learned


@pytest.fixture(scope="module")
def trained(learned: Learned, tmp_path_factory: pytest.TempPathFactory) -> tuple[Lab, str]:
    """A run of two short epochs with checkpoints."""
    lab = Lab(tmp_path_factory.mktemp("subjects"))
    return lab, learned.copy(lab.home)


def done(lab: Lab, work: str) -> Any:
    view = ended(lab.home, work)
    assert view.state == "finished", view.ending
    return view


@pytest.mark.worker
def test_checkpoints_are_measured_and_compared(trained: tuple[Lab, str]) -> None:
    lab, run = trained
    steps = sorted(int(what.checkpoint.removeprefix("step-")) for what in lab.subjects(run) if what.checkpoint)
    assert steps
    before = lab.judgement(run)
    done(lab, lab.evaluate(f"{run}@best"))
    assert lab.judgement(run) == before  # the run's own judgement is not mistaken for its checkpoint's
    same = lab.compare(run, f"{run}@best")
    assert same.scores[0].verdict == "no difference seen"
    assert max(abs(row["first"] - row["second"]) for row in same.rows) < 1e-5
    first = f"{run}@{steps[0]}"
    assert not lab.measured(first)
    with pytest.raises(UserError, match="has not been measured yet"):
        lab.compare(first, run)
    done(lab, lab.evaluate(first))
    assert lab.measured(first)
    assert lab.compare(first, run).scores[0].n == same.scores[0].n
    with pytest.raises(UserError, match="no checkpoint “9999”"):
        lab.evaluate(f"{run}@9999")
    gone = ended(lab.home, runs.start(lab.home, "evaluate", options={"of": run, "checkpoint": "step-9999", **lab._trained(run)}))
    assert gone.ending is not None
    assert gone.ending.code == "no_checkpoint"


@pytest.mark.worker
@pytest.mark.parametrize(("form", "program"), [("gguf", "llama.cpp"), ("adapter", "transformers")])
def test_an_export_is_measured_in_its_own_program(trained: tuple[Lab, str], form: str, program: str) -> None:
    pytest.importorskip("xllamacpp")
    lab, run = trained
    export = lab.export(run, form, "f16" if form == "gguf" else "")
    done(lab, export)
    assert [what.name for what in lab.subjects(run) if what.export == export] == [export]
    view = done(lab, lab.evaluate(export))
    said = next(e for e in view.evaluations if e.split == "final")
    assert f"Second: the export, in {program}" in said.words
    found = lab.compare(run, export)
    loss = next(s for s in found.scores if s.name == "bits_per_byte")
    assert loss.n >= 8
    assert abs(loss.difference) < 0.02
    assert loss.verdict != "worse"
    other = lab.compare(f"{run}", export)
    assert other.rows == found.rows


@pytest.mark.worker
def test_a_judge_is_asked_by_the_worker_and_one_that_is_not_there_is_only_told(trained: tuple[Lab, str]) -> None:
    pytest.importorskip("xllamacpp")
    lab, run = trained
    file = next(Path(done(lab, lab.export(run, "gguf", "q8_0")).ending.result["folder"]).glob("*.gguf"))
    view = done(lab, lab.evaluate(run, judge=str(file)))
    table = lab.judgement(run)["tables"]["judge"]["judge"]
    assert table["name"] == file.stem
    assert table["asked"] > 0
    assert table["silent"] == (table["flip_rate"] > 0.3 or table["flips"] == table["asked"])
    assert "llama" in table["warning"]  # it was made from the very model it judges
    before = next(e for e in view.evaluations if e.split == "final").verdict
    gone = done(lab, lab.evaluate(run, judge=str(file.with_name("gone.gguf"))))
    assert any("There is no file gone.gguf" in note.text for note in gone.notes)
    assert next(e for e in gone.evaluations if e.split == "final").verdict == before


@pytest.mark.worker
def test_an_export_whose_numbers_were_spoiled_shows_it(trained: tuple[Lab, str]) -> None:
    """The fault put in: an adapter whose learned weights are shuffled still loads and must come out as worse."""
    import torch
    from safetensors.torch import load_file, save_file

    lab, run = trained
    export = lab.export(run, "adapter")
    result = done(lab, export).ending.result
    path = Path(result["folder"]) / "adapter_model.safetensors"
    weights = {name: tensor.flip(0).contiguous() * 4 for name, tensor in load_file(path).items()}
    assert any(torch.any(t != 0) for t in weights.values())
    save_file(weights, path, metadata={"format": "pt"})
    done(lab, lab.evaluate(export))
    loss = next(s for s in lab.compare(run, export).scores if s.name == "bits_per_byte")
    assert loss.verdict == "worse"


def test_names_mean_what_they_say(tmp_path: Path) -> None:
    folder = tmp_path / "runs" / "kind-otter"
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "job.json").write_text(json.dumps({"kind": "train", "run": "kind-otter"}))
    with pytest.raises(UserError, match="no checkpoints any more"):
        subject(tmp_path, "kind-otter@best")
    for step in (30, 300):
        (folder / "checkpoints" / f"step-{step}.pt").write_bytes(b"")
    (folder / "checkpoints" / "step-x.pt").write_bytes(b"")
    assert subject(tmp_path, "kind-otter").options == {"of": "kind-otter"}
    assert subject(tmp_path, "kind-otter@best").options == {"of": "kind-otter", "checkpoint": "best"}
    assert subject(tmp_path, "kind-otter@300").options == subject(tmp_path, "kind-otter@step-300").options
    with pytest.raises(UserError, match="There are: best, last, 30, 300"):
        subject(tmp_path, "kind-otter@31")
    with pytest.raises(UserError, match="no run called"):
        subject(tmp_path, "../etc@best")
