"""What became of a run: its report, its measures, what it is compared with, and the forms it is taken away in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from loralab.core.errors import UserError
from loralab.core.events import Heard, Wondered
from loralab.core.jobs import CheckExportJob, Control, EvaluateExportJob, EvaluateJob, ExportJob, TrainJob, is_control
from loralab.core.records import Sample
from loralab.core.report import run_report
from loralab.core.verdict import Verdict
from loralab.exports import label_of
from loralab.exports.copying import copy_out
from loralab.exports.offers import Offer, offers
from loralab.lab.workspace import Workspace
from loralab.reports.card import model_card, origin_of
from loralab.reports.compare import BothAnswers, Comparison, Controls, compare, controls, judged, judgement, rests_on
from loralab.reports.five import Pick, ToJudge, revealed, to_judge
from loralab.reports.report_page import report_page
from loralab.reports.subjects import Subject, parts_of, subject
from loralab.runs import runs
from loralab.runtimes.speech.local_model import LocalModel
from loralab.serve.client import ChatServer


class Results(Workspace):
    """A workspace whose runs can be judged, compared, talked to and taken away."""

    def report(self, run: str) -> dict[str, Any]:
        """The run in numbers: run, outcome, adapter, base_loss, adapter_loss, n_heldout, steps, seconds, tokens_per_second,
        peak_memory_bytes, samples, verdict (of the loss), judgement (of all measures, in one sentence), measures, task, problem.
        """
        return run_report(self.view(run), runs.folder(self.home, run)) | {"task": str(self.job(run).plan.get("task", "text"))}

    def report_page(self, run: str, format: str = "html") -> str:  # noqa: A002  (the field's own word)
        """The run on one page to keep or to send: settings, losses, curve, time, memory, verdict and answers, as `html` or `markdown`."""
        job = self.job(run)
        return report_page(format, self.view(run), job.plan, self.machine(), job.title or run)

    def card(self, run: str) -> str:
        """The model card of a run's adapter in Markdown, as it travels with every export."""
        job = self.job(run)
        base = origin_of(str(job.plan.get("base_model", "")), Path(job.model))
        return model_card(run, job.plan, base, self.view(run))

    def evaluate(self, run: str, judge: str = "") -> str:
        """Judge a run again, or a checkpoint (`run@best`), or an export by its id; returns that work's id. `judge`: a GGUF file to ask."""
        what = self.subject(run)
        adapter = "" if what.checkpoint else self._adapter(what.run)
        job = self.job(what.run)
        if what.export:
            return self.begin(EvaluateExportJob(of=what.run, export=what.export, model=job.model, adapter=adapter))
        return self.begin(EvaluateJob(of=what.run, checkpoint=what.checkpoint, judge=judge, model=job.model, adapter=adapter))

    def subjects(self, run: str) -> tuple[Subject, ...]:
        """The checkpoints and exports of a run that can be measured and compared, each with its `name`."""
        return tuple(parts_of(self.home, run, label_of))

    def subject(self, name: str) -> Subject:
        """What a name means: a run, one of its checkpoints (`run@best`), an export by its id. Raises UserError when there is none."""
        return subject(self.home, name, label_of)

    def judgement(self, run: str) -> dict[str, Any]:
        """What the newest judging of a run, checkpoint or export measured: verdict, words, scores, tables, samples, rows by example."""
        what = self.subject(run)
        return judgement(runs.folder(self.home, what.run), what.checkpoint, what.export)

    def verdict_rests_on(self, run: str) -> dict[str, Any]:
        """The `rows` and `tables` behind a run's own verdict, of whichever kind of training; empty where there is none."""
        return rests_on(runs.folder(self.home, run))

    def five_to_judge(self, run: str) -> tuple[ToJudge, ...]:
        """Five held-out questions with both answers in an order of chance, for a person to judge; the same ones at every call."""
        return to_judge(run, self.judgement(run))

    def judged(self, run: str, picks: Mapping[int, Pick]) -> Verdict | None:
        """Keep with the run which answers, by row, a person found good; returns the verdict with it. None of an earlier version's run."""
        runs.add(self.home, run, Heard(liked=revealed(run, self.judgement(run), picks)))
        return self.view(run).conclusion

    def measured(self, run: str) -> bool:
        """Whether a run, a checkpoint or an export has been judged example by example, so that it can be compared."""
        what = self.subject(run)
        return judged(runs.folder(self.home, what.run), what.checkpoint, what.export)

    def compare(self, first: str, second: str) -> Comparison:
        """The second against the first on the examples both were judged on: runs, checkpoints, exports, also of different base models."""
        return compare(self.judgement(first), self.judgement(second))

    def prove(self, run: str) -> str:
        """Start the control of a run: the same plan on shuffled answers, which must not come out as better; returns its id."""
        job = self.job(run)
        plan = job.plan | {"title": f"Control of {job.title or run}"[:80]}
        return self.begin(TrainJob(plan=plan, model=job.model, origin=Control(of=run)))

    def controls(self, run: str) -> Controls:
        """What the controls of a run found: sides swapped 200 times (at once), and its run on shuffled answers, where there is one."""
        shuffled = next((other for other in reversed(runs.list_runs(self.home)) if is_control(self.job(other), run)), "")
        return controls(self.judgement(run), shuffled, self.view(shuffled).conclusion if shuffled else None)

    def offers(self, run: str) -> tuple[Offer, ...]:
        """Every form a run can be taken away in: size, about its time, or why not. Nothing is loaded or made."""
        return offers(self.home / "runs", run, self.job(run).model, self._adapter(run))

    def export(self, run: str, format: str = "adapter", variant: str = "", *, install: bool = False) -> str:  # noqa: A002  (the field's word)
        """Make the file to take away; returns the id of the export's own run. `variant`: one of the format's, empty for the usual one.

        `install`: give the result to its program on this computer, too (ollama, lm_studio); only ever done when asked for.
        """
        adapter = self._adapter(run)
        job = ExportJob(of=run, format=format, variant=variant, install=install, model=self.job(run).model, adapter=adapter)
        return self.begin(job)

    def copy_export(self, export: str, out: Path | str) -> Path:
        """Put what an export made (its one file, or its folder) where a person wants it; returns that place.

        Raises UserError where it is not there any more, was found to differ, or something of that name is there that is not a file.
        """
        view, place = self.view(export), Path(out).expanduser().resolve()
        return copy_out(view.ending.result if view.ending else {}, place)

    def check_export(self, export: str) -> str:
        """Check an export, named by its id, again: its checksums, then what it does against what was trained; the work's id."""
        return self.begin(CheckExportJob(of=self.subject(export).run, export=export, model=self.job(export).model))

    def export_named(self, name: str) -> str:
        """The id of the newest export that a name means: that id itself, a run it was made of, or the folder or file that came of it."""
        place = Path(name).expanduser().resolve()
        for other in runs.list_runs(self.home):
            job = self.job(other)
            if not isinstance(job, ExportJob):
                continue
            ending = self.view(other).ending
            made = {str(ending.result.get(part) or "") for part in ("folder", "path")} - {""} if ending else set()
            known = {Path(path).resolve() for path in made}
            if name == other or (known and (name == job.of or place in known or place.parent in known)):
                return other
        raise UserError(f"There is no export called “{name}”.", "Name an export, its folder, or the run it was made of.", code="no_export")

    def chat(self, run: str = "", model: str = "starter") -> ChatServer:
        """Start (or find) the inference server for a run's adapter, or for a bare model."""
        if not run:
            return ChatServer.open(self.home, str(self.catalog.folder(model)))
        adapter = self._adapter(run)
        return ChatServer.open(self.home, self.job(run).model, adapter)

    def ask(self, run: str, messages: list[dict[str, str]], *, base: bool = False, **sampling: Any) -> Iterator[str]:
        """Stream an answer, piece by piece. `base=True` switches the adapter off."""
        return self.chat(run).stream(messages, base=base, **sampling)

    def wonder(self, run: str, prompt: str) -> Sample:
        """Ask a person's own question before and after training, and keep it with the run. Raises UserError while the run goes on."""
        if not (prompt := prompt.strip()):
            raise UserError("There is no question yet.", "Write one, then press Ask.", code="no_question")
        before, after = ("".join(self.ask(run, [{"role": "user", "content": prompt}], base=base)) for base in (True, False))
        sample = Sample(prompt=prompt, before=before, after=after)
        runs.add(self.home, run, Wondered(sample=sample))
        return sample

    def wondered(self, first: str, second: str) -> tuple[BothAnswers, ...]:
        """The own questions of two runs with what each answers now; a run that was not asked one yet is asked."""
        kept = {run: {one.prompt: one for one in self.view(run).own} for run in (first, second)}
        found: list[BothAnswers] = []
        for prompt in dict.fromkeys((*kept[second], *kept[first])):
            one, other = ((kept[run].get(prompt) or self.wonder(run, prompt)).after for run in (first, second))
            found.append(BothAnswers(question=prompt, reference="", first=one, second=other))
        return tuple(found)

    def language_model(self, path: Path) -> LocalModel:
        """A GGUF file that speaks and weighs labels, in a process of its own that takes half the cores while a job runs."""
        return LocalModel(path, busy=lambda: any(turn.position == 0 for turn in self.queue()))
