"""Owns the facade: everything the app, the command line, a notebook or a test can do. No torch in this process, ever.

lab = Lab()
profile = lab.profile("examples.csv")
proposal = lab.propose(profile, model="starter")
run = lab.start(proposal)
lab.wait(run)
lab.report(run)["adapter_loss"]
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

from loralab.adapters import importer
from loralab.core import disk, paths
from loralab.core.errors import LabError, UserError
from loralab.core.events import RunView
from loralab.core.facts import Facts
from loralab.core.jobs import Control, DownloadJob, EvaluateExportJob, EvaluateJob, ExportJob, Job, TrainJob, is_control
from loralab.core.records import DatasetProfile, Footprint, Plan, Predicted, Proposal
from loralab.core.report import run_report
from loralab.datasets import fixes
from loralab.datasets.fixes import OPERATIONS, DataFix, Reading
from loralab.datasets.profile import SampleSet, profile_dataset, sample, samples
from loralab.exports import label_of
from loralab.exports.offers import Offer, offers
from loralab.history import Act, History, Memory
from loralab.history import Point as MemoryPoint
from loralab.machine import speed
from loralab.machine.checkup import Finding, checkup, letter
from loralab.machine.gpu import Gpu
from loralab.machine.hardware import Machine, fingerprint, measure_machine
from loralab.machine.speed import Speed
from loralab.models.catalog import Catalog, ModelCheck, ModelEntry
from loralab.models.hub import check_on_hub, look_up_file
from loralab.planning.calibration import Experience, gather
from loralab.planning.duration import speeds
from loralab.planning.estimate import disk_words, footprint, predicted, stage_words
from loralab.planning.examined import what_is_learned
from loralab.planning.fit import rows_that_fit
from loralab.planning.limits import NAMES as POINT_NAMES
from loralab.planning.limits import Limits, Point, against, avoid_known_failures, never_twice
from loralab.planning.limits import of_settings as limit_points
from loralab.planning.planner import propose, updates, usual_rate
from loralab.planning.priors import DISTINCT, SETTINGS, Priors, Sweep, likeness
from loralab.planning.tracer import Tracer, traced
from loralab.reports.card import model_card, origin_of
from loralab.reports.compare import Comparison, Controls, compare, controls, judged, judgement
from loralab.reports.incidents import Told as IncidentStory
from loralab.reports.incidents import adjustment
from loralab.reports.incidents import told as describe_incidents
from loralab.reports.report_page import report_html, report_markdown
from loralab.reports.subjects import Subject, parts_of, subject
from loralab.runs import queue, runs
from loralab.runs.queue import QueueEntry
from loralab.runtimes.speech.local_model import LocalModel
from loralab.serve.client import ChatServer
from loralab.tasks import parse_plan, setting_label, tasks
from loralab.tasks.text import TextPlan

# Besides the Lab, what it hands out and takes, and the words for it: advisor, app and command line reach no further than this.
__all__ = ["DISTINCT", "OPERATIONS", "POINT_NAMES", "SETTINGS", "Act", "ChatServer", "Comparison", "Controls", "DataFix", "Gpu"]
__all__ += ["IncidentStory", "Lab", "Limits", "Machine", "Memory", "MemoryPoint", "ModelCheck", "ModelEntry", "Offer", "Point", "Priors"]
__all__ += ["QueueEntry", "SampleSet", "Sweep", "TextPlan", "adjustment", "avoid_known_failures", "compare", "describe_incidents"]
__all__ += ["disk_words", "footprint", "letter", "likeness", "limit_points", "never_twice", "parse_plan", "rows_that_fit", "sample"]
__all__ += ["setting_label", "stage_words", "tasks", "usual_rate", "what_is_learned"]


class Lab:
    """One workspace on one machine. Cheap to make; holds no work of its own: runs live in their worker processes."""

    def __init__(self, home: Path | str | None = None) -> None:
        self.home = Path(home).expanduser().resolve() if home else paths.home()
        with disk.writing(self.home):
            self.home.mkdir(parents=True, exist_ok=True)
        self.catalog = Catalog(self.home)
        self.history = History(self.home)
        self.tracer = Tracer(self.home)  # starts its process with the first question

    # ---- what there is ---------------------------------------------------------------------------------------------------
    def machine(self) -> Machine:
        """This computer: processor, memory, GPU, disk, and what is optional and absent."""
        return measure_machine(self.home)

    def checkup(self, machine: Machine) -> tuple[Finding, ...]:
        """What is fine about this computer, what is missing, and what to do about it."""
        starter = self.check_model("starter")
        return checkup(machine, starter.words, starter_ok=starter.ok)

    def measure_speed(self, *, quietly: bool = False) -> Speed:
        """How fast this computer multiplies; measured once (a tenth of a second, and torch's start), then read from machine.json."""
        machine = self.machine()
        if machine.speed.known:
            return machine.speed
        measured = speed.measure(fingerprint(machine), quietly=quietly)
        if measured.known:
            speed.keep(self.home, measured)
        return measured

    def samples(self) -> tuple[SampleSet, ...]:
        """The bundled data sets."""
        return samples()

    def models(self) -> tuple[ModelEntry, ...]:
        """The catalogue, each entry with whether it is on this computer."""
        return self.catalog.entries()

    def cache_bytes(self) -> int:
        """Bytes that downloaded models take in the workspace."""
        return self.catalog.cache_bytes()

    def make_room(self, limit_bytes: int, keep: tuple[str, ...] = ()) -> list[str]:
        """Remove downloaded models, least recently used first, until they fit; returns what went. `keep` and folders of yours stay."""
        return self.catalog.clean_up(limit_bytes, keep)

    def check_model(self, name: str, *, ask_hub: bool = False) -> ModelCheck:
        """Whether a catalogue name, Hub id or folder can be trained here, in plain words. `ask_hub` asks about a model that is not here."""
        check = self.catalog.check(name)
        return check_on_hub(check) if ask_hub else check

    # ---- the way from a file to a run ------------------------------------------------------------------------------------
    def profile(
        self, path: Path | str, model: str = "starter", roles: dict[str, str] | None = None, learn_from: str = "replies"
    ) -> DatasetProfile:
        """Read a file, folder or zip of examples. Raises UserError when nothing in it can be learned from."""
        return profile_dataset(
            Path(path).expanduser(), self.catalog.tokenizer_folder(model), roles=roles, learn_from=learn_from, home=self.home
        )

    def propose(self, profile: DatasetProfile, model: str = "starter", priors: Priors | None = None, **changes: Any) -> Proposal:
        """A complete plan with a reason for each choice; `changes` are settings the person has fixed. Its time is what runs took here.

        `priors`: what past runs say about settings (Advisor.propose gives it).
        """
        machine, past = self._experienced()
        return propose(profile, self.catalog.check(model), machine, changes, priors, past)

    def trace(self, plan: Plan | dict[str, Any] | Proposal, profile: DatasetProfile | None = None) -> Footprint:
        """What a plan will need, counted on its model without weights (stage “trace”); where that cannot be, the closed form's answer.

        Of a proposal, what was predicted of it so far is in the answer beside the new: a run can be held against both.
        """
        typed = self.typed(plan)
        machine, past = self._experienced()
        found = traced(self.tracer, typed, self.catalog.check(typed.base_model), machine, profile, past)
        earlier = plan.footprint.predicted if isinstance(plan, Proposal) else None
        return found.model_copy(update={"predicted": found.predicted.beside(earlier)}) if found.predicted else found

    def _experienced(self) -> tuple[Machine, Experience]:
        """This computer with how fast past runs were on it, and what they taught about estimates."""
        machine, past = self.machine(), self.history.measured()
        learned = {"tokens_per_second": machine.speed.tokens_per_second | speeds(past)}
        return machine.model_copy(update={"speed": machine.speed.model_copy(update=learned)}), gather(past)

    def start(self, plan: Plan | dict[str, Any] | Proposal) -> str:
        """Start a worker on this plan, or queue it while another job has the machine; returns the run's id. It survives this process.

        The run is held against what its proposal predicts; what starts as a bare plan is predicted now.
        """
        typed = self.typed(plan)
        expected = plan.footprint.predicted if isinstance(plan, Proposal) else self._predicted(typed)
        model = self.catalog.folder(typed.base_model) if typed.base_model else ""
        return self.begin(TrainJob(plan=typed.model_dump(), model=str(model), predicted=expected))

    def _predicted(self, plan: Plan) -> Predicted | None:
        """What a plan that nobody weighed will need, before any correction; None where that cannot be said."""
        read = partial(self.profile, plan.dataset, plan.base_model, **plan.model_dump(include={"roles", "learn_from"}))
        try:
            return predicted(plan, self.catalog.check(plan.base_model), read, *self._experienced())
        except LabError:  # the worker meets it, too, and says it as the run's own problem
            return None

    def begin(self, job: Job) -> str:
        """Start a worker on any job, or queue it while another has the machine; returns the run's id."""
        disk.check_writable(self.home)
        with disk.writing(self.home):
            return runs.start(self.home, job)

    def import_adapter(self, *given: Path | str, base: str = "", data: str = "") -> str:
        """Make a run of an adapter from elsewhere (its folder, its zip or its files), checked against its base; returns its id.

        `base`: the model it belongs to, where that cannot be read from it; `data`: examples to judge it on. It can be chatted with, judged
        and exported as any other. Raises UserError, and leaves nothing, when it cannot be used or belongs to another base.
        """
        disk.check_writable(self.home)
        examples = str(self.profile(data, base or "starter").path) if data else ""
        with disk.writing(self.home):
            return importer.import_adapter(self.home, self.catalog, [Path(path).expanduser() for path in given], parse_plan, base, examples)

    def resume(self, run: str) -> str:
        """Go on from the last checkpoint of a stopped, killed or failed run, when its turn comes."""
        disk.check_writable(self.home)
        with disk.writing(self.home):
            return runs.resume(self.home, run)

    def stop(self, run: str, *, force: bool = False) -> None:
        """Ask a run to save and stop; `force` ends it at once, and what was not saved is lost. A waiting run leaves the queue."""
        with disk.writing(self.home):
            runs.stop(self.home, run, force=force)

    # ---- the queue: one training, evaluation or export at a time ---------------------------------------------------------
    def queue(self) -> tuple[QueueEntry, ...]:
        """The run that has the machine (position 0), then those that wait, next first; starts the next where the machine is free."""
        return queue.listed(self.home)

    def move(self, run: str, position: int) -> tuple[QueueEntry, ...]:
        """Put a waiting run at `position` (1 is the next); returns the queue. Raises UserError when it is not waiting."""
        with disk.writing(self.home):
            queue.move(self.home, run, position)
        return self.queue()

    def unqueue(self, run: str) -> None:
        """Take a waiting run out of the queue; `resume` puts it back at the end. Raises UserError when it is not waiting."""
        with disk.writing(self.home):
            runs.unqueue(self.home, run)

    def delete(self, run: str) -> Path:
        """Move a run that has ended into the workspace's trash; returns where it lies now. What it taught stays remembered."""
        self.history.refresh()  # read before its folder goes
        with disk.writing(self.home):
            place = runs.delete(self.home, run)
        self.history.refresh()
        return place

    # ---- looking ---------------------------------------------------------------------------------------------------------
    def runs(self) -> list[dict[str, Any]]:
        """Every run in the workspace, newest first: id, title, kind, state, model, dataset, losses, started."""
        return self.history.runs()

    def names(self) -> list[str]:
        """The ids of all runs, oldest first."""
        return runs.list_runs(self.home)

    def view(self, run: str) -> RunView:
        """What a run is doing now, from its event log."""
        return runs.view(self.home, run)

    def job(self, run: str) -> Job:
        """What a run was asked to do."""
        return runs.job(self.home, run)

    def log(self, run: str) -> str:
        """The end of what a run's process wrote beside its events."""
        return runs.log_tail(self.home, run)

    def wait(self, run: str, watch: Callable[[RunView], None] | None = None, every: float = 0.3) -> RunView:
        """Block until the run ends, calling `watch` with each new view."""
        while True:
            view = self.view(run)
            if watch:
                watch(view)
            if not view.active:
                return view
            time.sleep(every)

    def report(self, run: str) -> dict[str, Any]:
        """The run in numbers: run, outcome, adapter, base_loss, adapter_loss, n_heldout, steps, seconds, tokens_per_second,
        peak_memory_bytes, samples, verdict (of the loss), judgement (of all measures, in one sentence), problem.
        """
        return run_report(self.view(run), runs.folder(self.home, run))

    def report_page(self, run: str, format: str = "html") -> str:  # noqa: A002  (the field's own word)
        """The run on one page to keep or to send: settings, losses, curve, time, memory, verdict and answers, as `html` or `markdown`."""
        plan, view = self.job(run).plan, self.view(run)
        title = str(plan.get("title") or Path(str(plan.get("dataset", ""))).name or run)
        made = {"html": report_html, "markdown": report_markdown}
        if format not in made:
            raise UserError(f"A report cannot be written as “{format}”.", "Choose html or markdown.", code="unknown_format")
        return made[format](view, plan, self.machine(), title)

    def card(self, run: str) -> str:
        """The model card of a run's adapter in Markdown, as it travels with every export."""
        job = self.job(run)
        base = origin_of(str(job.plan.get("base_model", "")), Path(job.model))
        return model_card(run, job.plan, base, self.view(run))

    # ---- after the run ---------------------------------------------------------------------------------------------------
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
        plan = job.plan | {"title": f"Control of {job.plan.get('title') or run}"[:80]}
        return self.begin(TrainJob(plan=plan, model=job.model, origin=Control(of=run)))

    def controls(self, run: str) -> Controls:
        """What the controls of a run found: sides swapped 200 times (at once), and its run on shuffled answers, where there is one."""
        shuffled = next((other for other in reversed(runs.list_runs(self.home)) if is_control(self.job(other), run)), "")
        return controls(self.judgement(run), shuffled, self.report(shuffled)["judgement"] if shuffled else {})

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

    def download(self, model: str) -> str:
        """Fetch a model from the Hub into the workspace, resumable; returns the id of the download's run. Ask the person first."""
        return self.begin(DownloadJob(model=model, folder=str(self.catalog.folder(model))))

    def file_bytes(self, model: str, file: str) -> int:
        """Size of one file of a model on the Hub, asked there. Raises LabError where it cannot be."""
        return look_up_file(model, file).bytes

    def language_model(self, path: Path) -> LocalModel:
        """A GGUF file that speaks and weighs labels, in a process of its own that takes half the cores while a job runs."""
        return LocalModel(path, busy=lambda: any(turn.position == 0 for turn in self.queue()))

    def chat(self, run: str = "", model: str = "starter") -> ChatServer:
        """Start (or find) the inference server for a run's adapter, or for a bare model."""
        if not run:
            return ChatServer.open(self.home, str(self.catalog.folder(model)))
        adapter = self._adapter(run)
        return ChatServer.open(self.home, self.job(run).model, adapter)

    def ask(self, run: str, messages: list[dict[str, str]], *, base: bool = False, **sampling: Any) -> Iterator[str]:
        """Stream an answer, piece by piece. `base=True` switches the adapter off."""
        return self.chat(run).stream(messages, base=base, **sampling)

    def _adapter(self, run: str) -> str:
        made = self.view(run).made("adapter")
        if not made:
            raise UserError("This run has not made an adapter yet.", "Let it finish first, or resume it.", code="no_adapter")
        return made

    # ---- plans as data, and what past runs rule out ----------------------------------------------------------------------
    def typed(self, plan: Plan | dict[str, Any] | Proposal) -> Plan:
        """A plan of its kind, checked. Raises UserError naming the setting that is not possible."""
        values = plan.plan if isinstance(plan, Proposal) else plan
        return parse_plan(values if isinstance(values, dict) else values.model_dump())

    def ruled_out(self, plan: Plan, facts: Facts, limits: Limits) -> Point | None:
        """The failure among `limits` that says this plan would fail again here; None where none does."""
        machine = self.machine()
        here = {"place": fingerprint(machine), "room": machine.training_memory_free}
        return against(plan, facts.model_copy(update=here), limits)

    def fix_data(self, operation: str, plan: Plan) -> DataFix:
        """Do with a plan's examples what a finding advises, into a new file. Raises UserError where nothing would change."""
        reads = plan.model_dump(include={"max_length", "learn_from", "roles"})
        return fixes.apply(operation, Path(plan.dataset), Reading(**reads), self.catalog.folder(plan.base_model), self.home)

    def updates(self, plan: Plan, profile: DatasetProfile) -> int:
        """Updates that a plan makes on these examples."""
        return updates(plan, profile)

    def plan_type(self, task: str = "text") -> type[Plan]:
        """The settings of a kind of training."""
        return tasks()[task].plan
