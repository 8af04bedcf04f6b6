"""What learned to draw from pictures of patients is not handed on in any way, and what learned from others is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from loralab.core.errors import LabError
from loralab.core.events import Ended, EventLog, Saved, Started
from loralab.core.jobs import TrainJob
from loralab.core.paths import write_atomic
from loralab.core.records import Artifact
from loralab.exports import formats
from loralab.exports.job import open_source
from loralab.lab import Lab
from loralab.models.drawing import draws_patients
from loralab.sharing.patients import clinical, require_no_patients


def planted(home: Path, card: str | None, task: str = "draw") -> Path:
    """A run that ended, with an adapter and what lies beside it; the adapter's folder."""
    place = home / "runs" / "one"
    adapter = place / "artifacts" / "adapter"
    adapter.mkdir(parents=True)
    plan = {"task": task, "dataset": str(home / "pictures.zip"), "base_model": "drawing-starter"}
    write_atomic(place / "job.json", TrainJob(run="one", plan=plan, model=str(home)).model_dump_json())
    for name in ("adapter_model.safetensors", "adapter_config.json"):
        (adapter / name).write_text("{}", "utf-8")
    if card is not None:
        (adapter / ("drawing.json" if task == "draw" else "pictures.json")).write_text(card, "utf-8")
    log = EventLog(place / "events.jsonl")
    log(Started(pid=1))
    log(Saved(artifact=Artifact(kind="adapter", path=str(adapter))))
    log(Ended(outcome="finished", result={"adapter": str(adapter)}))
    return adapter


def refused(way: Any) -> str:
    """The code of what stands in the way; empty where nothing does that is about patients."""
    try:
        way()
    except LabError as error:
        return error.problem.code if error.problem.code == "draws_patients" else ""
    return ""


@pytest.mark.parametrize("medical", [True, False])
def test_no_form_and_no_way_of_sharing_takes_a_generator_of_patients(home: Path, medical: bool) -> None:
    adapter = planted(home, f'{{"trigger": "x", "medical": {str(medical).lower()}}}')
    lab = Lab(home)
    assert clinical(home, "one") is medical
    expected = "draws_patients" if medical else ""
    source = open_source(home / "runs", "one", str(home), str(adapter))
    known = formats("draw")
    assert known.keys() == {"adapter", "kohya", "merged"}
    (home / "model_index.json").write_text('{"_class_name": "StableDiffusionPipeline"}', "utf-8")
    for form in known.values():
        problem = form.refuse(source)
        assert (problem.code if problem and problem.code == "draws_patients" else "") == expected, form.name
    assert refused(lambda: lab.keep("one", home / "kept.zip")) == expected
    assert (home / "kept.zip").is_file() is not medical
    assert refused(lambda: lab.deploy("one")) == expected
    assert refused(lambda: require_no_patients(home, "one")) == expected


@pytest.mark.parametrize("card", [None, "nothing", "[]", "{}"])
def test_what_does_not_say_that_it_saw_no_patients_is_not_exported(tmp_path: Path, card: str | None) -> None:
    problem = draws_patients(planted(tmp_path, card))
    assert problem is not None
    assert problem.code == "draws_patients"


def test_what_sees_patients_may_be_kept(home: Path) -> None:
    planted(home, '{"medical": true}', task="classify")
    assert clinical(home, "one")
    require_no_patients(home, "one")
