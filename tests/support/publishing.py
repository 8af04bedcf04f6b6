"""Owns an export that is ready to be published, the imitation of the Hub it goes to, and the job that brings it there."""

from __future__ import annotations

import hashlib
import json
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from loralab.core.events import Ended, EventLog, Saved, Started
from loralab.core.jobs import ExportJob, PublishJob
from loralab.core.parity import Parity
from loralab.core.records import Artifact
from loralab.lab import Lab
from loralab.runs.run_folder import RunFolder
from loralab.sharing.hub import publish_job
from tests.support.writing_hub import TOKEN, writing_hub

PROVEN = Parity(outcome="proven", words="It answers the same.")


@pytest.fixture
def hub(monkeypatch):
    """The imitation, with the hub library of this process and of the workers pointed at it; the library's waits are short."""
    from huggingface_hub import constants
    from huggingface_hub.utils import _http

    with writing_hub() as found:
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        monkeypatch.setenv("HF_ENDPOINT", found.url)
        monkeypatch.setattr(constants, "ENDPOINT", found.url)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", found.url + "/{repo_id}/resolve/{revision}/{filename}")
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        monkeypatch.setattr(_http, "time", SimpleNamespace(sleep=lambda seconds: None, time=time.time, monotonic=time.monotonic))
        yield found


@pytest.fixture
def here(learned, home):
    """A workspace with the run and an export of it as its worker leaves it, and somebody who is signed in."""
    learned.copy(home)
    lab = Lab(home)
    exported(home, learned.run)
    lab.hub_account.file.parent.mkdir()
    lab.hub_account.file.write_text(json.dumps({"token": TOKEN}), "utf-8")
    return SimpleNamespace(lab=lab, home=home, run=learned.run, export=f"{learned.run}-away")


def exported(home: Path, run: str, parity: Parity = PROVEN, more: dict[str, bytes] | None = None) -> Path:
    """The adapter taken away, with what lies beside it."""
    folder, adapter = home / "exports" / run / "adapter", home / "runs" / run / "artifacts" / "adapter"
    folder.mkdir(parents=True, exist_ok=True)
    files = {name: (adapter / name).read_bytes() for name in ("adapter_model.safetensors", "tokenizer.json") if (adapter / name).is_file()}
    settings = json.loads((adapter / "adapter_config.json").read_bytes()) | {"base_model_name_or_path": "base"}
    files |= {"adapter_config.json": json.dumps(settings).encode(), "history.json": b'{"samples": "private"}'}
    files |= {"README.md": Lab(home).card(run).encode(), "parity.json": parity.model_dump_json().encode(), **(more or {})}
    for name, raw in files.items():
        (folder / name).write_bytes(raw)
    sums = {name: hashlib.sha256(raw).hexdigest() for name, raw in files.items() if name not in ("README.md", "parity.json")}
    work = home / "runs" / f"{run}-away"
    work.mkdir(exist_ok=True)
    job = Lab(home).job(run)
    asked = ExportJob(run=work.name, of=run, model=job.model, adapter=str(adapter))
    (work / "job.json").write_text(asked.model_dump_json(), "utf-8")
    (work / "events.jsonl").unlink(missing_ok=True)
    result = {"of": run, "format": "adapter", "variant": "", "path": str(folder), "folder": str(folder), "sums": sums}
    log = EventLog(work / "events.jsonl")
    for event in (Started(pid=1), Saved(artifact=Artifact(kind="export", path=str(folder))), Ended(outcome="finished", result=result)):
        log(event)
    return folder


def publish(here, repo="colours", stop=False, **asked):
    """The job as a worker does it, in this process: its result, or what it raised."""
    place = here.home / "runs" / f"publish-{time.time_ns()}"
    place.mkdir(parents=True)
    job = PublishJob(run=place.name, of=here.run, export=here.export, repo=repo, **asked)
    (place / "job.json").write_text(job.model_dump_json(), "utf-8")
    folder = RunFolder(place, job, EventLog(place / "events.jsonl"))
    if stop:
        (place / "stop").touch()
    here.folder = place
    return publish_job.run(folder)
