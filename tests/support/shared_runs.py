"""Finished runs that can be shared, made in a moment: a tiny real base, a real adapter, examples, and the log a worker leaves."""

from __future__ import annotations

import json
from pathlib import Path

from loralab.core import paths
from loralab.core.events import Ended, EventLog, Measured, Saved, Started
from loralab.core.jobs import ExportJob, TrainJob
from loralab.core.records import Artifact
from loralab.models import fingerprint
from loralab.tasks import parse_plan
from tests.support import tiny

RUN = "shared-run"


def planted(home: Path, name: str = RUN, answer: str = "", strength: float = 0.5) -> Path:
    """A finished text run in a workspace; the folder of its base, which all runs there share."""
    base = home / "models" / "base"
    if not base.is_dir():
        tiny.model_folder(base)
    data = tiny.examples_file(home / f"{name}.jsonl", 24)
    if answer:
        rows = [json.loads(line) | {"completion": answer} for line in data.read_text("utf-8").splitlines()]
        data.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    run = home / "runs" / name
    adapter = tiny.adapter_folder(run / "artifacts" / "adapter", base, strength)
    plan = parse_plan({"dataset": str(data), "base_model": str(base), "max_length": 64, "rank": 4, "title": "Colours"})
    paths.write_atomic(run / "job.json", TrainJob(run=name, plan=plan.model_dump(), model=str(base)).model_dump_json())
    fingerprint.keep(run, base)
    log = EventLog(run / "events.jsonl")
    made = Artifact(kind="adapter", path=str(adapter))
    for event in (Started(pid=1), Measured(text="Learning.", n_train=20, n_heldout=4), Saved(artifact=made), Ended(outcome="finished")):
        log(event)
    return base


def exported_gguf(home: Path, name: str = RUN) -> Path:
    """The base of a run as a GGUF, as if it were the run's export."""
    from tests.support.gguf_models import written

    folder = home / "exports" / name / "gguf"
    folder.mkdir(parents=True)
    written(home / "models" / "base", folder / "model.gguf", "f32")
    work = home / "runs" / f"made-gguf-{name}"
    paths.write_atomic(work / "job.json", ExportJob(run=work.name, of=name, format="gguf").model_dump_json())
    log = EventLog(work / "events.jsonl")
    log(Started(pid=1))
    log(Ended(outcome="finished", result={"folder": str(folder), "path": str(folder), "parity": "proven"}))
    return folder / "model.gguf"
