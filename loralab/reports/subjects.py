"""Owns what can be measured and compared, and how it is written: a run, one of its checkpoints (`run@best`, `run@last`, `run@300`), an
export by the id of the work that made it. No torch: it reads names and logs.

Invariant: every subject belongs to one training run, whose file, split and plan it is measured on.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from loralab.core import paths
from loralab.core.errors import UserError
from loralab.core.jobs import EvaluateExportJob, EvaluateJob, ExportJob, Job, parse_job
from loralab.runs import runs

_STEP = re.compile(r"step-(\d{1,15})\.pt")


@dataclass(frozen=True)
class Subject:
    """Something that can be measured. `label` says in words what it is."""

    name: str
    run: str
    label: str
    checkpoint: str = ""  # best, last or step-N
    export: str = ""  # id of the work that made it

    def measured_by(self, job: Job) -> bool:
        """Whether this is what a job measures."""
        if self.export:
            return isinstance(job, EvaluateExportJob) and (job.of, job.export) == (self.run, self.export)
        return isinstance(job, EvaluateJob) and (job.of, job.checkpoint) == (self.run, self.checkpoint)


LabelOf = Callable[[str, str], str]  # format and variant of an export -> what it is called


def _plainly(form: str, variant: str) -> str:
    return f"{form} {variant.upper()}".strip()


def subject(home: Path, name: str, label_of: LabelOf = _plainly) -> Subject:
    """What a name means. Raises UserError when there is no such thing, and says what there is."""
    run, at, part = name.partition("@")
    job = runs.job(home, run)
    if isinstance(job, ExportJob):
        return _export(home, run, job, label_of)
    if not at:
        return Subject(name, run, "as it was kept")
    steps = steps_of(runs.folder(home, run))
    known = ["best", "last", *(str(step) for step in steps)] if steps else []
    wanted = part.removeprefix("step-")
    if wanted not in known:
        what = f"The run {run} has no checkpoint “{part}”." if known else f"The run {run} has no checkpoints any more."
        raise UserError(what, f"There are: {', '.join(known)}." if known else "Compare the run itself.", code="no_checkpoint")
    labels = {"best": "the best checkpoint", "last": "the newest checkpoint"}
    kept = wanted if wanted in labels else f"step-{wanted}"
    return Subject(name, run, labels.get(wanted, f"after update {wanted}"), checkpoint=kept)


def steps_of(folder: Path) -> list[int]:
    """Updates after which the checkpoints in a run's folder were written, oldest first."""
    return sorted(int(match[1]) for path in (folder / "checkpoints").glob("step-*.pt") if (match := _STEP.fullmatch(path.name)))


def parts_of(home: Path, run: str, label_of: LabelOf = _plainly) -> Iterator[Subject]:
    """The checkpoints and finished exports of a run that can be measured."""
    for step in steps_of(runs.folder(home, run)):
        yield Subject(f"{run}@{step}", run, f"after update {step:,}", checkpoint=f"step-{step}")
    for path in sorted((paths.room("runs", home)).glob("*/job.json")):
        try:
            job = parse_job(path.read_bytes())
        except (OSError, ValidationError):
            continue
        if isinstance(job, ExportJob) and job.of == run and runs.view(home, path.parent.name).state == "finished":
            yield _export(home, path.parent.name, job, label_of)


def _export(home: Path, name: str, job: ExportJob, label_of: LabelOf) -> Subject:
    """An export. Raises UserError when its run is gone."""
    runs.folder(home, job.of)
    return Subject(name, job.of, label_of(job.format, job.variant), export=name)
