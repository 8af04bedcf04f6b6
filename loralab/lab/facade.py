"""Owns the Lab: all that the app, the command line, a notebook or a test can do, and what they are handed with it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from loralab.adapters import importer
from loralab.cluster.spread import Share, Spread
from loralab.core import disk
from loralab.core.errors import LabError, UserError
from loralab.core.facts import Facts
from loralab.core.jobs import DownloadJob, FetchDatasetJob, Origin, TrainJob, Writer
from loralab.core.parts import Part, parts
from loralab.core.records import DatasetProfile, Footprint, Plan, Predicted, Proposal
from loralab.datasets import fixes
from loralab.datasets.dataset import usual_share
from loralab.datasets.fixes import OPERATIONS, DataFix, Reading
from loralab.datasets.images.door import is_pictures, profile_pictures
from loralab.datasets.images.shown import Gallery, uri
from loralab.datasets.large.reading import is_large
from loralab.datasets.large.watch import ReadingProgress, Watch
from loralab.datasets.on_hub import HubDataset, is_hub_name, look_up
from loralab.datasets.profile import profile_dataset
from loralab.datasets.samples import SampleSet, sample, sample_at, samples
from loralab.datasets.synthesis.augment import AUGMENTATIONS
from loralab.datasets.synthesis.files import Made, as_json
from loralab.datasets.synthesis.report import MadeReport
from loralab.datasets.synthesis.rows import Binned, MadeRow
from loralab.datasets.synthesis.writers.forms import FORMS
from loralab.datasets.tables.origins import origin_words
from loralab.exports.offers import Offer
from loralab.history import Act, Memory
from loralab.history import Point as MemoryPoint
from loralab.lab.drawing import against_size
from loralab.lab.fitted import Fitting, Run, Taken
from loralab.lab.hub import Giving
from loralab.lab.making import Making
from loralab.lab.pictured import Pictured
from loralab.lab.sharing import Sharing
from loralab.lab.spreading import Spreading, varied
from loralab.lab.templated import Templated
from loralab.lab.watching import Watched
from loralab.machine import speed
from loralab.machine.add_part import PartProgress, add_part
from loralab.machine.checkup import Finding, checkup, letter
from loralab.machine.gpu import Gpu
from loralab.machine.hardware import Machine, fingerprint
from loralab.machine.speed import Speed
from loralab.models.catalog import ModelCheck, ModelEntry
from loralab.models.drawing import DrawingEntry, drawing_entry, drawing_models
from loralab.models.hub import check_on_hub, look_up_file
from loralab.models.hub_token import HubToken
from loralab.models.suitability import knows
from loralab.models.vision import VisionEntry, vision_entry, vision_models
from loralab.planning.calibration import Experience, gather
from loralab.planning.choices import Cards, larger
from loralab.planning.duration import speeds
from loralab.planning.estimate import disk_words, footprint, predicted, stage_words
from loralab.planning.examined import rows_said, what_is_learned, what_would_be_learned
from loralab.planning.fit import rows_that_fit
from loralab.planning.limits import NAMES as POINT_NAMES
from loralab.planning.limits import Limits, Point, against, avoid_known_failures, never_twice
from loralab.planning.limits import of_settings as limit_points
from loralab.planning.model_choice import ModelChoice
from loralab.planning.planner import updates, usual_rate
from loralab.planning.priors import DISTINCT, SETTINGS, Priors, Sweep, likeness
from loralab.planning.run_parts import Expected, RunParts, expected, run_parts
from loralab.planning.tracer import Tracer, traced
from loralab.planning.usual import ENOUGH_UPDATES, FEW_UPDATES, MOST_ROUNDS
from loralab.reports.compare import BothAnswers, Comparison, Controls, compare, different_settings
from loralab.reports.five import Pick, ToJudge
from loralab.reports.incidents import Told as IncidentStory
from loralab.reports.incidents import adjustment
from loralab.reports.incidents import told as describe_incidents
from loralab.reports.pictures import NOT_MEDICAL
from loralab.reports.score_words import between, value
from loralab.reports.subjects import Subject
from loralab.runs import runs
from loralab.runs.queue import QueueEntry
from loralab.serve.client import ChatServer
from loralab.serve.draws import Drawn
from loralab.serve.sees import Looked, Said
from loralab.serve.writing import Terms
from loralab.sharing.addresses import HOUSE_WORDS, qr_svg
from loralab.sharing.deployment import Deployment
from loralab.sharing.hub.gallery import Adapter, fetched
from loralab.sharing.hub.review import Found, Review
from loralab.sharing.hub.sign_in import Code
from loralab.sharing.hub.sign_in import ask as ask_sign_in
from loralab.sharing.hub.sign_in import begin as begin_sign_in
from loralab.sharing.hub.visibility import Visible
from loralab.sharing.keeping.unpack import is_kept, unpack
from loralab.sharing.links import SCOPES, Link, fits
from loralab.sharing.links import WORDS as SCOPE_WORDS
from loralab.sharing.running import Serving
from loralab.sharing.tailscale import Tailnet
from loralab.tasks import parse_plan, setting_label, tasks
from loralab.tasks.draw import DrawPlan
from loralab.tasks.pictures import PicturePlan
from loralab.tasks.text import TextPlan
from loralab.templates.recipe import Form, Recipe, Serve, Written
from loralab.templates.shared import as_text as recipe_text
from loralab.templates.zoo import Template

# Besides the Lab, what it hands out and takes, and the words for it: advisor, app and command line reach no further than this.
__all__ = ["DISTINCT", "OPERATIONS", "POINT_NAMES", "SETTINGS", "Act", "ChatServer", "Comparison", "Controls", "DataFix", "Gpu"]
__all__ += ["Expected", "RunParts", "expected", "run_parts"]
__all__ += ["IncidentStory", "Lab", "Limits", "Machine", "Memory", "MemoryPoint", "ModelCheck", "ModelEntry", "Offer", "Part"]
__all__ += ["PartProgress", "Pick", "Point", "Priors", "QueueEntry", "SampleSet", "Sweep", "TextPlan", "ToJudge", "adjustment"]
__all__ += ["avoid_known_failures", "compare", "describe_incidents", "disk_words", "footprint", "letter", "likeness", "limit_points"]
__all__ += ["never_twice", "parse_plan", "rows_that_fit", "sample", "setting_label", "stage_words", "tasks", "usual_rate"]
__all__ += ["HOUSE_WORDS", "SCOPES", "SCOPE_WORDS", "Deployment", "Link", "Serving", "Tailnet", "fits", "qr_svg"]
__all__ += ["DrawPlan", "DrawingEntry", "Drawn", "Gallery", "Looked", "PicturePlan", "Said", "drawing_entry", "drawing_models"]
__all__ += ["NOT_MEDICAL", "USUAL", "VisionEntry", "uri", "vision_entry", "vision_models"]
__all__ += ["HubDataset", "ReadingProgress", "Watch", "is_hub_name"]
__all__ += ["Subject", "different_settings", "rows_said", "usual_share", "what_is_learned", "what_would_be_learned"]
__all__ += ["Run", "Taken", "against_size"]
__all__ += ["Form", "ModelChoice", "Recipe", "Serve", "Template", "Written", "knows", "larger", "recipe_text"]
__all__ += ["Share", "Spread", "varied"]
__all__ += ["Adapter", "Code", "Found", "Review", "Visible", "ask_sign_in", "begin_sign_in"]
__all__ += ["AUGMENTATIONS", "FORMS", "Binned", "Made", "MadeReport", "MadeRow", "Terms", "Writer", "as_json", "origin_words"]
__all__ += ["ENOUGH_UPDATES", "FEW_UPDATES", "MOST_ROUNDS", "BothAnswers", "between", "value"]


USUAL = "starter"  # the model that stands for none chosen: each kind of training has its own


class Lab(Sharing, Giving, Making, Pictured, Spreading, Templated, Watched, Fitting):
    """A workspace with the way from a file to a run."""

    def __init__(self, home: Path | str | None = None) -> None:
        super().__init__(home)
        self.hub_token = HubToken(self.home)
        self._cards = Cards(self.catalog, self._experienced)
        self.tracer = Tracer(self.home)  # starts its process with the first question

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

    def parts(self) -> tuple[Part, ...]:
        """The parts LoRALab works without: what each is for, what it takes, whether it is here, and why it could not be."""
        return parts()

    def add_part(self, name: str, note: Callable[[PartProgress], object], stop: Callable[[], bool]) -> Part:
        """Add a part to the app's own environment. `note` hears how far it is; where `stop` says so it ends, and nothing was changed."""
        return add_part(name, note, stop)

    def samples(self) -> tuple[SampleSet, ...]:
        """The bundled data sets."""
        return samples()

    def sample_seconds(self, name: str) -> float | None:
        """What a bundled data set takes on this computer, from start to verdict, with the plan that was proven on it."""
        known = sample(name)
        return self.propose(known.profile, known.model).footprint.seconds

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

    def profile(
        self,
        path: Path | str,
        model: str = "starter",
        roles: dict[str, str] | None = None,
        learn_from: str = "replies",
        parts: Sequence[str] = (),
        watch: Watch | None = None,
    ) -> DatasetProfile:
        """Read a file, folder or zip of examples; `watch` follows a large one and may stop it.

        Raises UserError when nothing in it can be learned from, ReadingStopped where it was stopped.
        """
        source = Path(path).expanduser()
        if is_pictures(source):
            return profile_pictures(source, self.home, roles)
        tokens = self.catalog.tokenizer_folder(model)
        return profile_dataset(source, tokens, roles=roles, parts=parts, learn_from=learn_from, home=self.home, watch=watch)

    def reads_long(self, path: Path | str) -> bool:
        """Whether reading these examples is to be followed: they are read piece by piece."""
        return is_large(Path(path).expanduser())

    def propose(self, profile: DatasetProfile, model: str = "starter", priors: Priors | None = None, **changes: Any) -> Proposal:
        """A complete plan with a reason for each choice; `changes` are settings the person has fixed. Its time is what runs took here.

        `priors`: what past runs say about settings (Advisor.propose gives it).
        """
        machine, past = self._experienced()
        known = sample_at(profile.path)
        task = tasks()[str(changes.get("task") or profile.task)]
        name = task.base if model == USUAL else model
        learned = replace(priors or Priors(), proven=known.settings if known and known.model == name else {})
        check = self.catalog.check(name)
        if check.seeing and not issubclass(task.plan, PicturePlan):
            raise UserError(f"{name} sees pictures and cannot read.", "Choose a model that reads.", code="sees_only")
        return task.propose(profile, check, machine, changes, learned, past)

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

    def model_choices(self, profile: DatasetProfile | None = None, changes: dict[str, Any] | None = None) -> tuple[ModelChoice, ...]:
        """The catalogue as cards for these examples on this computer, the recommended first. `changes`: settings the person has fixed.

        Remembered for a minute: as long as free memory, past runs and what is here can be taken to be the same.
        """
        return self._cards.get(profile, changes or {})

    def better_model(self, profile: DatasetProfile, model: str) -> ModelChoice | None:
        """The next larger model that can learn these examples, to be tried where `model` was not enough; None where there is none."""
        return larger(self.model_choices(profile), model)

    def start(self, plan: Plan | dict[str, Any] | Proposal, origin: Origin | None = None) -> str:
        """Start a worker on this plan, or queue it while another job has the machine; returns the run's id. It survives this process.

        The run is held against what its proposal predicts; what starts as a bare plan is predicted now. `origin`: what it came of.
        """
        return self.begin(self._asked(plan, origin))

    def prepare(self, plan: Plan | dict[str, Any] | Proposal) -> Path:
        """Write the folder of a run that torchrun or Slurm is to begin, and start nothing; returns it (see docs/cluster.md)."""
        disk.check_writable(self.home)
        with disk.writing(self.home):
            return runs.prepare(self.home, self._titled(self._asked(plan)))

    def _asked(self, plan: Plan | dict[str, Any] | Proposal, origin: Origin | None = None) -> TrainJob:
        typed = self.typed(plan)
        expected = plan.footprint.predicted if isinstance(plan, Proposal) else self._predicted(typed)
        model = self.catalog.folder(typed.base_model) if typed.base_model else ""
        return TrainJob(plan=typed.model_dump(), model=str(model), predicted=expected, origin=origin)

    def _predicted(self, plan: Plan) -> Predicted | None:
        """What a plan that nobody weighed will need, before any correction; None where that cannot be said."""
        known = (
            {"learn_from", "parts"} if getattr(plan, "guessed", False) else {"learn_from", "parts", "roles"}
        )  # a guess is not remembered
        read = partial(self.profile, plan.dataset, plan.base_model, **plan.model_dump(include=known))
        try:
            return predicted(plan, self.catalog.check(plan.base_model), read, *self._experienced())
        except LabError:  # the worker meets it, too, and says it as the run's own problem
            return None

    def import_adapter(self, *given: Path | str, base: str = "", data: str = "") -> str:
        """Make a run of an adapter from elsewhere (its folder, its zip or its files), checked against its base; returns its id.
        A zip that `keep` made becomes the run it was.

        `base`: the model it belongs to, where that cannot be read from it; `data`: examples to judge it on. It can be chatted with, judged
        and exported as any other. Raises UserError, and leaves nothing, when it cannot be used or belongs to another base.
        """
        disk.check_writable(self.home)
        if len(given) == 1 and is_kept(Path(given[0]).expanduser()):
            with disk.writing(self.home):
                return unpack(self.home, self.catalog, Path(given[0]).expanduser(), parse_plan)
        examples = str(self.profile(data, base or "starter").path) if data else ""
        with disk.writing(self.home):
            return importer.import_adapter(self.home, self.catalog, [Path(path).expanduser() for path in given], parse_plan, base, examples)

    def install(self, one: Adapter, note: Callable[[int, int], object] = lambda done, total: None) -> str:
        """Get an adapter of a gallery and make a run of it, checked against its base; the run's id. It is tried and removed as any other.

        `note` hears how many bytes are here of how many, and may raise to stop it; what is here is gone on with next time.
        """
        if not one.model:
            what = f"“{one.title}” belongs to the model “{one.base}”, which is not on this computer."
            raise UserError(what, "Get that model first.", code="no_base")
        if one.run:
            raise UserError(f"“{one.title}” is here already.", f"Open it from the list: it is called {one.run}.", code="already_here")
        disk.check_writable(self.home)
        room = self.home / "downloads"
        room.mkdir(exist_ok=True)
        found = fetched(one, room, note, self._token())
        run = self.import_adapter(found, base=one.model)
        if found.is_relative_to(room):
            shutil.rmtree(found, ignore_errors=True)
        return run

    def download(self, model: str) -> str:
        """Fetch a model from the Hub into the workspace, resumable; returns the id of the download's run. Ask the person first."""
        return self.begin(DownloadJob(model=model, folder=str(self.catalog.folder(model))))

    def file_bytes(self, model: str, file: str) -> int:
        """Size of one file of a model on the Hub, asked there. Raises LabError where it cannot be."""
        return look_up_file(model, file).bytes

    def hub_dataset(self, name: str, config: str = "", split: str = "") -> HubDataset:
        """What the Hub says of a data set: its configurations and splits, size and licence. Nothing of it is fetched. Raises LabError."""
        return look_up(name, config, split)

    def fetch_dataset(self, found: HubDataset, columns: Sequence[str] = ()) -> str:
        """Fetch what `hub_dataset` found, or some columns of it, into the workspace; returns the id of the run. Ask first.

        The file is in the run's result, `view(run).ending.result["file"]`, and is read as any other. Stopped or broken off, it goes
        on; one on its way is joined.
        """
        part = found.model_dump(include={"name", "config", "split", "revision"})
        folder = found.folder(self.home, tuple(columns))
        job = FetchDatasetJob(**part, columns=tuple(columns), folder=str(folder))
        begun = (row["id"] for row in self.runs() if row["kind"] == job.kind and row["state"] in ("waiting", "running"))
        return next((run for run in begun if self.job(run) == job.model_copy(update={"run": run})), "") or self.begin(job)

    def typed(self, plan: Plan | dict[str, Any] | Proposal) -> Plan:
        """A plan of its kind, checked. Raises UserError naming the setting that is not possible."""
        values = plan.plan if isinstance(plan, Proposal) else plan
        return parse_plan(values if isinstance(values, dict) else values.model_dump())

    def ruled_out(self, plan: Plan, facts: Facts, limits: Limits) -> Point | None:
        """The failure among `limits` that says this plan would fail again here; None where none does."""
        machine = self.machine()
        here = {"place": fingerprint(machine), "room": machine.training_memory_free}
        return against(plan, facts.model_copy(update=here), limits)

    def fix_data(self, operation: str, plan: Plan, *, look_only: bool = False) -> DataFix:
        """Do with a plan's examples what a finding advises, into a new file, or only say what it would leave. Raises UserError for none."""
        reading = Reading(**plan.model_dump(include={"max_length", "learn_from", "roles", "parts"}))
        model = self.catalog.folder(plan.base_model)
        return fixes.apply(operation, Path(plan.dataset), reading, model, self.home, look_only=look_only)

    def updates(self, plan: Plan, profile: DatasetProfile) -> int:
        """Updates that a plan makes on these examples."""
        return updates(plan, profile)

    def plan_type(self, task: str = "text") -> type[Plan]:
        """The settings of a kind of training."""
        return tasks()[task].plan
