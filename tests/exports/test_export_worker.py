"""A GGUF export as a person makes it: from the command line, by a real worker, judged in llama.cpp; green, and red with a fault inside."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from loralab.cli.export_commands import card
from loralab.core import paths
from loralab.core.events import Ended, EventLog, Incident, Saved, Started, read
from loralab.core.jobs import TrainJob
from loralab.core.parity import Parity
from loralab.core.paths import CHECKOUT
from loralab.core.records import Artifact
from loralab.tasks import parse_plan
from tests.support import damage, gguf_models, tiny

pytestmark = pytest.mark.worker

runs_here = pytest.mark.skipif(
    not any(importlib.util.find_spec(name) for name in ("xllamacpp", "llama_cpp")), reason="llama.cpp is not installed here"
)


def trained(home: Path) -> None:
    base = damage.model_folder(home / "base")
    run = home / "runs" / "tiny-run"
    adapter = gguf_models.adapter_folder(run / "artifacts" / "adapter", base)
    plan = parse_plan({"dataset": str(tiny.examples_file(home / "rows.jsonl", 40)), "base_model": str(base), "rank": 4})
    asked = TrainJob(run=run.name, plan=plan.model_dump(), model=str(base))
    paths.write_atomic(run / "job.json", asked.model_dump_json())
    log = EventLog(run / "events.jsonl")
    for event in (Started(pid=1), Saved(artifact=Artifact(kind="adapter", path=str(adapter))), Ended(outcome="finished")):
        log(event)


def export(home: Path, form: str, *more: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "loralab", "export", "tiny-run", "--format", form, "--variant", "q8_0", "--home", str(home), *more]
    told = {"LORALAB_PLUGINS": "loralab.exports:tests.support.spoiled_format", "PYTHONPATH": str(CHECKOUT)}
    return subprocess.run(command, capture_output=True, text=True, env={**os.environ, **told}, cwd=CHECKOUT, timeout=300, check=False)


@pytest.mark.worker
@runs_here
def test_a_real_worker_proves_a_good_file_and_names_a_bad_one_unproven(home: Path) -> None:
    trained(home)
    done = export(home, "gguf")
    assert done.returncode == 0, done.stderr
    assert "GREEN: it was opened in its own program" in done.stdout
    assert all(f"\n{name} " in done.stdout for name in ("loads", "texts", "template", "stops", "logits", "loss"))
    assert next((home / "exports" / "tiny-run" / "gguf-q8_0").glob("*.gguf")).stat().st_size > 10_000

    done = export(home, "spoiled", "--json")
    assert done.returncode == 3
    said = json.loads(done.stdout)
    assert said["parity"]["outcome"] == "differs"
    assert "RED: it does not answer" in done.stderr
    assert "the token that ends an answer is not marked as one" in done.stderr.casefold()
    assert "Do not use this file." in done.stderr
    folder = home / "exports" / "tiny-run" / "spoiled-q8_0-unproven"
    assert next(folder.glob("*.gguf")).stat().st_size > 10_000, "the file is kept"
    assert not folder.with_name("spoiled-q8_0").exists()
    events, _ = read(home / "runs" / said["run"] / "events.jsonl")
    assert [event.code for event in events if isinstance(event, Incident)] == ["export_differs"]


def test_what_nobody_could_try_is_not_called_ready() -> None:
    lines = card(Parity(outcome="untried", words="Not proven: llama.cpp is not installed here.", todo="Install it."))
    assert lines[1].startswith("NOT PROVEN")
    assert lines[-1] == "Install it."
