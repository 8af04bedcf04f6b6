"""Jobs: one type for each kind, and job.json as the first version wrote it (with `options`) means what it meant."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from advisor.repair import tries
from loralab.core import paths
from loralab.core.events import Ended, Saved, Started, append
from loralab.core.jobs import (
    AfterTrials,
    Control,
    DownloadJob,
    EvaluateExportJob,
    EvaluateJob,
    ExportJob,
    Job,
    Retry,
    ServeJob,
    TrainJob,
    Trial,
    is_control,
    parse_job,
)
from loralab.core.records import Artifact, Predicted, Provenance
from loralab.lab import Lab
from loralab.runs import runs

PLAN: dict[str, Any] = {"task": "text", "dataset": "a.csv", "title": "Mine"}
RETRY = {
    "of": "a",
    "first": "a",
    "number": 1,
    "rule": "diverged",
    "words": "Smaller.",
    "settings": {"rank": 4},
    "remembered": [],
    "data": "",
}
PILOT = {"group": "g", "setting": "learning_rate", "value": 0.1, "usual": True, "plan": PLAN, "follow": True}
SAID = {
    "memory": {"closed form": 10},
    "weights": 4,
    "process": 3,
    "step": {"closed form": 3},
    "stage": "closed form",
    "key": "cpu | Llama | fp32 none",
    "device": "cpu",
    "pace": "modelled",
    "seconds": 2.0,
    "disk": 7,
}
GUESS = Predicted(
    key=SAID["key"],
    device="cpu",
    pace="modelled",
    memory={"closed form": 10},
    step={"closed form": 3},
    weights=4,
    process=3,
    seconds=2.0,
    disk=7,
)
RETRIED = Retry(of="a", first="a", number=1, rule="diverged", words="Smaller.", settings={"rank": 4})
OLD: list[tuple[str, dict[str, Any], Job]] = [
    ("train", {"model": "/m", "predicted": SAID}, TrainJob(run="r", plan=PLAN, model="/m", predicted=GUESS)),
    ("train", {}, TrainJob(run="r", plan=PLAN)),
    ("train", {"model": "/m", "retry": RETRY}, TrainJob(run="r", plan=PLAN, model="/m", origin=RETRIED)),
    ("train", {"model": "/m", "retry": "damaged"}, TrainJob(run="r", plan=PLAN, model="/m")),
    (
        "train",
        {"model": "/m", "pilot": PILOT, "measures": ["loss"]},
        TrainJob(run="r", plan=PLAN, model="/m", measures=("loss",), origin=Trial.model_validate(PILOT)),
    ),
    (
        "train",
        {"model": "/m", "tested": "g", "because": "It did best."},
        TrainJob(run="r", plan=PLAN, model="/m", origin=AfterTrials(group="g", words="It did best.")),
    ),
    # made by “Prove it” of a run that was a retry: everything was copied
    (
        "train",
        {"model": "/m", "retry": RETRY, "predicted": SAID, "control": "shuffled_answers", "of": "b"},
        TrainJob(run="r", plan=PLAN, model="/m", origin=Control(of="b")),
    ),
    (
        "train",
        {"model": "/m", "imported": {"by": "Unsloth", "from": "mine.zip", "run": ""}},
        TrainJob(run="r", plan=PLAN, model="/m", imported=Provenance(by="Unsloth", source="mine.zip")),
    ),
    ("evaluate", {"of": "a", "model": "/m", "adapter": "/a"}, EvaluateJob(run="r", of="a", model="/m", adapter="/a")),
    (
        "evaluate",
        {"of": "a", "checkpoint": "best", "model": "/m", "judge": "j.gguf"},
        EvaluateJob(run="r", of="a", checkpoint="best", model="/m", judge="j.gguf"),
    ),
    (
        "evaluate",
        {"of": "a", "export": "e", "model": "/m", "adapter": "/a"},
        EvaluateExportJob(run="r", of="a", export="e", model="/m", adapter="/a"),
    ),
    (
        "export",
        {"of": "a", "format": "gguf", "variant": "q8_0", "install": True, "model": "/m", "adapter": "/a"},
        ExportJob(run="r", of="a", format="gguf", variant="q8_0", install=True, model="/m", adapter="/a"),
    ),
    ("download", {"model": "Qwen/x", "folder": "/f"}, DownloadJob(run="r", model="Qwen/x", folder="/f")),
    ("download", {"model": "Qwen/x", "file": "q.gguf", "folder": "/f"}, DownloadJob(run="r", model="Qwen/x", folder="/f", file="q.gguf")),
    ("serve", {"model": "/m", "adapter": "", "stamp": "s"}, ServeJob(run="r", model="/m", stamp="s")),
]


@pytest.mark.parametrize(("kind", "options", "meant"), OLD)
def test_a_job_as_the_first_version_wrote_it_opens_and_is_written_anew_without_loss(kind: str, options: dict[str, Any], meant: Job) -> None:
    old = {"kind": kind, "run": "r", "plan": PLAN if kind == "train" else {}, "options": options}
    found = parse_job(json.dumps(old).encode())
    assert found == meant
    assert parse_job(found.model_dump_json().encode()) == meant


@pytest.mark.parametrize(
    "job", [{"kind": "train", "colour": "red"}, {"kind": "dream"}, {"kind": "export", "of": "a", "plan": {}}, [], {"kind": "download"}]
)
def test_what_is_no_job_is_refused(job: Any) -> None:
    with pytest.raises(ValidationError):
        parse_job(json.dumps(job).encode())


def test_a_control_is_one_of_its_run() -> None:
    job = TrainJob(run="c", origin=Control(of="a"))
    assert is_control(job)
    assert is_control(job, "a")
    assert not is_control(job, "b")
    assert not is_control(ExportJob(of="a"))


def put(lab: Lab, run: str, job: TrainJob, outcome: str) -> None:
    folder = lab.home / "runs" / run
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(job.model_copy(update={"run": run}).model_dump_json())
    adapter = Saved(artifact=Artifact(kind="adapter", path=str(folder / "artifacts" / "adapter")))
    append(folder / "events.jsonl", Started(pid=1, time=1), adapter, Ended(time=2, outcome=outcome))  # type: ignore[arg-type]


def test_a_control_of_a_retried_run_is_no_try_of_the_chain(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    put(lab, "a", TrainJob(plan=PLAN, model="/m"), "failed")
    put(lab, "b", TrainJob(plan=PLAN, model="/m", origin=RETRIED, measures=("loss",)), "finished")
    begun: list[TrainJob] = []
    monkeypatch.setattr(runs, "start", lambda home, job: begun.append(job) or "c")
    lab.prove("b")
    put(lab, "c", begun[0], "finished")
    assert tries.chain(lab, "a") == ("a", "b")
    assert begun[0].origin == Control(of="b")
    assert begun[0].measures == (), "a control is judged by all that its run could be judged by"
    (old := lab.home / "runs" / "c" / "job.json").write_text(
        json.dumps({"kind": "train", "run": "c", "plan": PLAN, "options": {"retry": RETRY, "control": "shuffled_answers", "of": "b"}})
    )
    assert tries.chain(lab, "a") == ("a", "b"), "also one that the first version began"
    assert Path(old).is_file()


@pytest.mark.parametrize("checkout", ["/an/old/place/LoRALab/", "/data/old/", "C:\\Users\\me\\LoRALab\\", "D:\\data\\x\\"])
def test_what_ships_with_loralab_is_found_again_where_the_checkout_was_moved(checkout: str) -> None:
    then = [
        f"{checkout}{way}".replace("/", "\\") if "\\" in checkout else checkout + way for way in ("data/starter/vision", "data/samples")
    ]
    old = {"kind": "train", "run": "r", "plan": PLAN | {"dataset": f"{then[1]}/customer_messages.csv"}, "model": then[0]}
    job = parse_job(json.dumps(old).encode())
    assert isinstance(job, TrainJob)
    assert job.model == str(paths.DATA / "starter" / "vision")
    assert job.plan["dataset"] == str(paths.SAMPLES / "customer_messages.csv")
    other = parse_job(json.dumps({"kind": "export", "run": "e", "of": "r", "model": then[0].replace("vision", "text")}).encode())
    assert isinstance(other, ExportJob)
    assert other.model == str(paths.STARTER)


def test_what_is_a_persons_own_is_never_taken_for_something_that_ships(tmp_path: Path) -> None:
    own = tmp_path / "data" / "starter" / "vision"
    own.mkdir(parents=True)
    for model in (str(own), "/gone/models/dinov2", "/gone/data/starter/unknown", "/gone/data/models/text", "owner/name", ""):
        job = parse_job(json.dumps({"kind": "train", "run": "r", "plan": PLAN, "model": model}).encode())
        assert isinstance(job, TrainJob)
        assert job.model == model
