"""Templates: which there are, found by describing a task; a run saved as one, and one that was given taken in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from loralab.core import disk
from loralab.core.errors import LabError, UserError
from loralab.core.jobs import ExportJob, TrainJob
from loralab.datasets.images.door import is_pictures
from loralab.datasets.profile import profile_dataset
from loralab.lab.results import Results
from loralab.tasks import parse_plan
from loralab.templates import shared, zoo
from loralab.templates.recipe import Form
from loralab.templates.zoo import Template

ROWS_SHOWN = 3


class Templated(Results):
    """A workspace with templates."""

    def templates(self, words: str = "") -> tuple[Template, ...]:
        """Those that come along and those of the workspace. `words`: a task in plain words, English or German; the best first."""
        return zoo.matching(words, zoo.templates(self.home))

    def template(self, name: str) -> Template:
        """The template of a name. Raises UserError with the names there are."""
        return zoo.template(name, self.home)

    def save_template(self, run: str, out: Path | str, *, data: bool = False) -> Path:
        """Write a run as a template: one file, .yaml, or with `data` its examples in it, .zip. Raises UserError: it has not ended yet."""
        job, view = self.job(run), self.view(run)
        if not isinstance(job, TrainJob) or job.imported or not view.trained:
            raise UserError("This run has not learned anything yet.", "Let it finish first.", code="no_adapter")
        source = Path(str(job.plan.get("dataset", "")))
        made = [(one.format, one.variant) for one in map(self.job, self.names()) if isinstance(one, ExportJob) and one.of == run]
        trained = shared.Trained(
            title=job.title,
            plan=job.plan,
            usual=parse_plan({"task": job.plan.get("task", "text")}).model_dump(),
            verdict=view.conclusion,
            minutes=((view.ended or 0) - (view.started or 0)) / 60,
            exports=[Form(format=form, variant=variant) for form, variant in dict.fromkeys(made)],
            rows=self._first_rows(source, job),
        )
        recipe = shared.of_run(trained, data=data)
        with disk.writing(Path(out).expanduser().resolve().parent):
            return shared.write(recipe, Path(out).expanduser().resolve(), source if data else None)

    def add_template(self, file: Path | str) -> Template:
        """Take a template into the workspace from a file of it. Raises UserError where it is none."""
        disk.check_writable(self.home)
        with disk.writing(self.home):
            return shared.add(Path(file).expanduser(), self.home)

    def remove_template(self, name: str) -> None:
        """Take a template out of the workspace; those that come along stay."""
        with disk.writing(self.home):
            shared.remove(name, self.home)

    def _first_rows(self, source: Path, job: TrainJob) -> list[dict[str, str]]:
        """The first rows of a table as they stand in it; none of pictures, nor where it cannot be read any more."""
        if not source.is_file() or is_pictures(source):
            return []
        roles: dict[str, Any] = dict(job.plan.get("roles") or {})
        try:
            found = profile_dataset(source, Path(job.model), roles=roles or None, home=self.home)
        except LabError:
            return []
        return [dict(zip(found.columns, cells, strict=False)) for cells in found.cells[:ROWS_SHOWN]]
