"""Owns a run as a file for other trackers: a table, lines, TensorBoard's, MLflow's or Trackio's own form.

Invariant: the numbers are those of the run's log, undone updates left out; a folder is whole under its name or not there.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import math
import os
import secrets
import shutil
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, NamedTuple

from loralab.core.errors import UserError
from loralab.core.events import RunView
from loralab.core.jobs import Job, TrainJob
from loralab.core.paths import model_name, write_atomic
from loralab.core.strict_json import plain
from loralab.reports.incidents import adjustment

STEP = ("loss", "grad_norm", "learning_rate", "tokens", "tokens_per_second", "memory_bytes", "epoch")
OWN = ("run", "adapters", "parts", "title")  # settings that say nothing to another tracker


class Told(NamedTuple):
    """A run, ready to be written: `rows` by update, `settings` flat, `words` for people."""

    run: str
    rows: list[dict[str, Any]]
    settings: dict[str, str]
    words: str
    began: float  # seconds since 1970
    ended: float
    state: str


def told(view: RunView, job: Job) -> Told:
    """What other trackers take of a run. Raises UserError for one that has made no update."""
    rows = sorted([*_steps(view), *_looks(view)], key=lambda row: (row["time"], row["step"]))
    if not rows:
        raise UserError("This run has made no update yet.", "Choose one that has learned something.", code="nothing_yet")
    plan = job.plan if isinstance(job, TrainJob) else {}
    known = {name: value for name, value in plan.items() if isinstance(value, str | int | float) and name not in OWN}
    settings = {name: model_name(str(value)) for name, value in known.items() if value != ""}  # no path of this computer goes along
    ended = view.ending.time if view.ending else rows[-1]["time"]
    return Told(view.run, rows, settings, _words(view), view.started or rows[0]["time"], ended, view.state)


def _steps(view: RunView) -> Iterator[dict[str, Any]]:
    for step in view.steps:
        yield {"time": step.time, "step": step.step} | {name: getattr(step, name) for name in STEP}


def _looks(view: RunView) -> Iterator[dict[str, Any]]:
    for look in view.evaluations:
        found: dict[str, Any] = {"time": look.time, "step": look.step, f"{look.split}_loss": look.loss}
        for score in look.scores:
            found |= {f"{score.name}_before": score.before, f"{score.name}_after": score.after}
        yield found


def _words(view: RunView) -> str:
    verdict = view.conclusion
    lines = [verdict.learned_words, verdict.usable_words] if verdict else []
    lines += [f"Update {incident.step:,}: {incident.text}" for incident in view.incidents]
    return "\n\n".join([*lines, *(adjustment(change) for change in view.adjustments)])


# ---- one writer for each ---------------------------------------------------------------------------------------------------


def _csv(run: Told, into: Path) -> None:
    names = list(dict.fromkeys(name for row in run.rows for name in row))
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, names)
    table.writeheader()
    table.writerows(run.rows)
    write_atomic(into, text.getvalue())


def _jsonl(run: Told, into: Path) -> None:
    write_atomic(into, "".join(json.dumps(plain(row), ensure_ascii=False) + "\n" for row in run.rows))


def _tensorboard(run: Told, into: Path, _: Path) -> None:
    from tensorboardX import SummaryWriter

    with SummaryWriter(str(into / run.run), write_to_disk=True) as writer:
        for step, name, value, when in _numbers(run):
            writer.add_scalar(name, value, step, when)
        settings = "\n".join(f"| {name} | {value} |" for name, value in run.settings.items())
        writer.add_text("settings", f"| setting | value |\n|---|---|\n{settings}", 0, run.began)
        if run.words:
            writer.add_text("what happened", run.words, run.rows[-1]["step"], run.ended)


def _mlflow(run: Told, into: Path, final: Path) -> None:
    """MLflow's file store: a folder an experiment, in it a folder a run; a file a metric (“time value step” a line), a setting, a tag."""
    experiment, number = into / "1", uuid.uuid5(uuid.NAMESPACE_OID, run.run).hex
    folder = experiment / number
    for name in ("metrics", "params", "tags", "artifacts"):
        (folder / name).mkdir(parents=True)
    about = {"artifact_location": (final / "1").as_uri(), "experiment_id": "1", "lifecycle_stage": "active", "name": "LoRALab"}
    (experiment / "meta.yaml").write_text(_yaml(about | {"creation_time": _ms(run.began), "last_update_time": _ms(run.ended)}), "utf-8")
    status = {"finished": 3, "failed": 4, "stopped": 5, "killed": 5}.get(run.state, 1)
    meta = {
        "artifact_uri": (final / "1" / number / "artifacts").as_uri(),
        "experiment_id": "1",
        "lifecycle_stage": "active",
        "run_id": number,
    }
    meta |= {"run_name": run.run, "run_uuid": number, "status": status, "start_time": _ms(run.began), "end_time": _ms(run.ended)}
    meta |= {"source_name": "", "source_type": 4, "source_version": "", "entry_point_name": "", "user_id": "loralab"}
    (folder / "meta.yaml").write_text(_yaml(meta), "utf-8")
    for step, name, value, when in _numbers(run):
        with (folder / "metrics" / name).open("a", encoding="utf-8") as file:
            file.write(f"{_ms(when)} {value!r} {step}\n")
    for name, value in run.settings.items():
        (folder / "params" / name).write_text(value[:500], "utf-8")
    (folder / "tags" / "mlflow.runName").write_text(run.run, "utf-8")
    (folder / "tags" / "mlflow.note.content").write_text(run.words, "utf-8")


def _trackio(run: Told, into: Path, _: Path) -> None:
    """Through Trackio itself, where the person has it (its form is a database of its own), in a process of its own: it asks for its
    folder only when it is imported.
    """
    if importlib.util.find_spec("trackio") is None:
        raise UserError("Trackio is not on this computer.", "Choose TensorBoard's form, which Trackio can take in, too.", code="no_trackio")
    table = into / ".run.csv"
    _csv(run._replace(rows=[{**row, "timestamp": _iso(row["time"])} for row in run.rows]), table)
    code = "import sys, trackio; trackio.import_csv(sys.argv[1], project='loralab', name=sys.argv[2])"
    call = [sys.executable, "-c", code, str(table), run.run]
    try:
        subprocess.run(call, env=os.environ | {"TRACKIO_DIR": str(into)}, check=True, capture_output=True, timeout=120)
    except subprocess.SubprocessError as error:
        todo = "Choose TensorBoard's form, which Trackio can take in, too."
        raise UserError("Trackio did not take the run.", todo, code="trackio") from error
    finally:
        table.unlink(missing_ok=True)


def _iso(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, timezone.utc).isoformat()


def _numbers(run: Told) -> Iterator[tuple[int, str, float, float]]:
    """Update, name, value, time of every number there is."""
    for row in run.rows:
        for name, value in row.items():
            if name not in ("time", "step") and value is not None and not (isinstance(value, float) and math.isnan(value)):
                yield row["step"], name, float(value), row["time"]


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _yaml(values: dict[str, Any]) -> str:
    """Flat settings: JSON's own strings and numbers are YAML's, too."""
    return "".join(f"{name}: {json.dumps(value)}\n" for name, value in values.items())


FILES: dict[str, Callable[[Told, Path], None]] = {"csv": _csv, "jsonl": _jsonl}
FOLDERS: dict[str, Callable[[Told, Path, Path], None]] = {"tensorboard": _tensorboard, "mlflow": _mlflow, "trackio": _trackio}
FORMATS = (*FILES, *FOLDERS)


def write(view: RunView, job: Job, form: str, out: Path) -> Path:
    """Write a run for another tracker; where it lies. `out` is a file for csv and jsonl, else a folder that is not there yet or empty.

    Raises UserError for a form there is none of, a run without updates, a place that is taken.
    """
    if form not in FORMATS:
        raise UserError(f"There is no form called “{form}”.", f"Choose one of: {', '.join(FORMATS)}.", code="no_form")
    run = told(view, job)
    try:
        if form in FILES:
            FILES[form](run, out)
            return out
        _whole(lambda place: FOLDERS[form](run, place, out), out)
    except OSError as error:
        raise UserError(f"{out.name} could not be written: {error.strerror}.", "Choose another place.", code="not_written") from error
    return out


def _whole(make: Callable[[Path], None], out: Path) -> None:
    """Make a folder beside its place and move it there."""
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out.name} is there already.", "Choose a new or an empty folder.", code="not_empty")
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = out.parent / f".{out.name}.{secrets.token_hex(8)}"
    beside.mkdir()
    try:
        make(beside)
        if out.is_dir():
            out.rmdir()
        os.replace(beside, out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
