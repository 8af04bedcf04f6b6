"""Owns the question whether a run learned from pictures of patients. Invariant: what learned to draw from them stays on this computer."""

from __future__ import annotations

from pathlib import Path

from loralab.core.errors import UserError
from loralab.core.jobs import TrainJob
from loralab.core.strict_json import load
from loralab.datasets.images.clinic.marked import is_kept as from_a_clinic
from loralab.models.drawing import PATIENTS
from loralab.runs import runs

BESIDE = ("pictures.json", "drawing.json")  # of adapters that see, and of those that draw


def clinical(home: Path, run: str) -> bool:
    """Whether a run learned from pictures of patients: as its data set's folder says, or what lies beside its weights."""
    job = runs.job(home, run)
    plan = job.plan if isinstance(job, TrainJob) else {}
    made = runs.view(home, run).made("adapter")
    beside = [file for name in BESIDE if made and (file := Path(made) / name).is_file()]
    medical = any(bool(load(file.read_bytes()).get("medical")) for file in beside)
    return medical or from_a_clinic(Path(str(plan.get("dataset") or "")))


def require_no_patients(home: Path, run: str) -> None:
    """Raise UserError where a run learned to draw from pictures of patients: what it made is not handed on."""
    job = runs.job(home, run)
    if isinstance(job, TrainJob) and job.plan.get("task") == "draw" and clinical(home, run):
        raise UserError(PATIENTS, "Use it on this computer only.", code="draws_patients")
