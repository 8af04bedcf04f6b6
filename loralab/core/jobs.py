"""Owns the jobs: what a worker is asked to do, one type for each kind; written once as a run's job.json.

Invariants: what a job is for stands in it and is never copied from another (a control or a trial is no retry, whatever it was made of);
job.json as the first version wrote it (`options`, any keys) is read as the job it meant.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Protocol, TypeVar

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from loralab.core.events import Event
from loralab.core.paths import last_part, shipped
from loralab.core.records import Predicted, Provenance, Record

TITLE_CHARACTERS = 80  # of a run's name


class Retry(Record):
    """A training is the next try of one that failed: which, and what was changed for it."""

    kind: Literal["retry"] = "retry"
    of: str  # the run that failed
    first: str  # the run the chain began with
    number: int  # 1 is the first try after it
    rule: str
    words: str
    settings: dict[str, Any] = Field(default_factory=dict)
    remembered: tuple[str, ...] = ()
    data: str = ""  # what was done with the examples


class Trial(Record):
    """A training is one of the short runs that try a setting before the whole run, or what would help a run that ended."""

    kind: Literal["trial"] = "trial"
    group: str
    setting: str = ""
    value: float = 0.0
    usual: bool  # as it would be without the test
    plan: dict[str, Any]  # the whole run, as it would be without the test
    follow: bool = True  # begin the whole run when all have ended
    of: str = ""  # the run that something is tried for; the fields below are of that
    rule: str = ""
    short: str = ""  # “fewer rounds”
    words: str = ""  # “Go over the examples twice instead of 4 times.”
    settings: dict[str, Any] = Field(default_factory=dict)
    seconds: float = 0.0  # foretold


class AfterTrials(Record):
    """A training is the whole run that was begun with what its trials came to."""

    kind: Literal["after_trials"] = "after_trials"
    group: str
    words: str


class Control(Record):
    """A training is the control of a run: on shuffled answers, which must not come out as better."""

    kind: Literal["control"] = "control"
    of: str = ""
    how: Literal["shuffled_answers"] = "shuffled_answers"


class Improvement(Record):
    """A training was begun to do better than one that ended: which, and what was changed for it."""

    kind: Literal["improvement"] = "improvement"
    of: str
    rule: str
    words: str
    settings: dict[str, Any] = Field(default_factory=dict)
    data: str = ""  # what was done with the examples


Origin = Annotated[Retry | Trial | AfterTrials | Control | Improvement, Field(discriminator="kind")]


class _Job(Record):
    """What every job carries."""

    run: str = ""  # given when it is started


class _Work(_Job):
    """A job that trains nothing."""

    @property
    def plan(self) -> dict[str, Any]:
        return {}


class TrainJob(_Job):
    """Train as the plan says."""

    kind: Literal["train"] = "train"
    plan: dict[str, Any] = Field(default_factory=dict)  # a Plan's fields; loralab.tasks.parse_plan types it
    model: str = ""  # folder of the base model
    imported: Provenance | None = None
    predicted: Predicted | None = None
    measures: tuple[str, ...] = ()  # only these at the end; empty: all that fit
    origin: Origin | None = None  # None: a person began it

    @property
    def control(self) -> bool:
        return isinstance(self.origin, Control)

    @property
    def title(self) -> str:
        """What people call it: the name it was given, or that of its examples."""
        return str(self.plan.get("title") or data_title(str(self.plan.get("dataset") or "")))


def data_title(dataset: str) -> str:
    """The name of a file or folder of examples as a title: customer_messages.csv is “Customer messages”; what a fix added is left out."""
    words = re.sub(r"[_\s]+|(?<=[^\W\d])-(?=[^\W\d])", " ", re.sub(r"-[a-z_]+-[0-9a-f]{8}$", "", Path(last_part(dataset)).stem)).strip()
    return words[:1].upper() + words[1:TITLE_CHARACTERS]


class EvaluateJob(_Work):
    """Judge a run again, or one of its checkpoints."""

    kind: Literal["evaluate"] = "evaluate"
    of: str
    model: str = ""
    adapter: str = ""
    checkpoint: str = ""  # best, last or step-N
    judge: str = ""  # a GGUF file to ask for a second opinion

    @property
    def title(self) -> str:
        return self.of


class EvaluateExportJob(_Work):
    """Measure an export in its own runtime, against what was trained."""

    kind: Literal["evaluate_export"] = "evaluate_export"
    of: str
    export: str  # id of the work that made it
    model: str = ""
    adapter: str = ""

    @property
    def title(self) -> str:
        return self.of


class ExportJob(_Work):
    """Make the file to take away."""

    kind: Literal["export"] = "export"
    of: str
    format: str = "adapter"
    variant: str = ""
    install: bool = False  # give it to its program on this computer, too
    model: str = ""
    adapter: str = ""

    @property
    def title(self) -> str:
        return self.of


class CheckExportJob(_Work):
    """Check a finished export again: its checksums, then what it does against what was trained."""

    kind: Literal["check_export"] = "check_export"
    of: str
    export: str  # id of the work that made it
    model: str = ""

    @property
    def title(self) -> str:
        return self.of


class DownloadJob(_Work):
    """Fetch a model from the Hub, or one file of it."""

    kind: Literal["download"] = "download"
    model: str
    folder: str
    file: str = ""

    @property
    def title(self) -> str:
        return ""


class FetchDatasetJob(_Work):
    """Fetch a data set from the Hub into one file."""

    kind: Literal["fetch_dataset"] = "fetch_dataset"
    name: str
    config: str
    split: str  # empty: all, each row marked with its own
    revision: str  # the commit that was looked at
    columns: tuple[str, ...] = ()  # empty: all that can be read
    folder: str
    model: str = ""  # none

    @property
    def title(self) -> str:
        return ""


class PublishJob(_Work):
    """Put an export into a repository of the Hub. Whose account it is, is not in it: the worker finds the token where it is kept."""

    kind: Literal["publish"] = "publish"
    of: str
    export: str  # id of the work that made it
    repo: str  # owner/name, or a name alone: then the account's own
    samples: bool = False  # whether answers to held-out examples stand in the card
    seen: bool = False  # a person knows that the repository is public and what becomes visible
    model: str = ""  # of the run

    @property
    def title(self) -> str:
        return self.of


class BuildDataJob(_Work):
    """Make rows from documents: extracted, without a language model."""

    kind: Literal["build_data"] = "build_data"
    paths: tuple[str, ...]  # files and folders
    out: str  # the file to be
    licence: str = ""  # of the documents, as the person says
    domain: str = ""  # folder of words for a field
    makers: tuple[str, ...] = ()  # only these; empty: all
    without: tuple[str, ...] = ()  # gates that are not asked
    heldout_share: float = 0.15
    seed: int = 0
    seconds: float = 180.0  # for one document
    model: str = ""  # none

    @property
    def title(self) -> str:
        return Path(self.out).stem


class Writer(Record):
    """A language model of the person's own that is asked to write rows."""

    kind: Literal["endpoint", "gguf", "model"]
    name: str  # the model as the endpoint calls it, the file, or a name from the catalogue
    url: str = ""  # of an OpenAI-compatible endpoint, up to /v1
    licence: str = ""  # as the person knows it, or as the file says it

    @property
    def label(self) -> str:
        """What stands in the provenance of its rows."""
        return f"{last_part(self.name)} ({self.kind})"


class SynthesizeJob(_Work):
    """Have a language model of the person's write rows after their own."""

    kind: Literal["synthesize"] = "synthesize"
    of: str  # file with the seed rows
    out: str
    writer: Writer
    forms: tuple[str, ...] = ()  # empty: those that fit
    rows: int = 100  # wanted at most
    most_per_human: float = 4.0
    language: str = ""  # for the form “language”
    passages: str = ""  # file of passages beside the seeds; empty: that of the build they come from, where there is one
    domain: str = ""
    without: tuple[str, ...] = ()
    check: bool = False  # have the writer answer again with and without the passage
    seed: int = 0
    model: str = ""  # folder of the writer, where it is a model that is loaded here

    @property
    def title(self) -> str:
        return Path(self.out).stem


class ServeJob(_Work):
    """Hold a model and answer."""

    kind: Literal["serve"] = "serve"
    model: str
    adapter: str = ""
    stamp: str = ""  # which state of the adapter's file
    idle_minutes: float = 0.0  # 0: the usual
    precision: str = ""  # empty: as it was trained
    repetition_penalty: float | None = None
    engine: str = ""  # onnx | gguf | gguf_numbers: `model` is what was exported for it; empty: PyTorch
    shared: bool = False  # adapters of this base are named with each question; `adapter` says in which numbers it is computed

    @property
    def title(self) -> str:
        return ""


def _migrated(raw: Any) -> Any:
    """The fields of a job that the first version wrote with `options`; everything else as it is."""
    if not isinstance(raw, dict) or "options" not in raw:
        return raw
    job = {name: value for name, value in raw.items() if name != "options"}
    options = raw["options"] if isinstance(raw["options"], dict) else {}
    if job.get("kind") == "train":
        return job | _trained(options)
    job.pop("plan", None)
    if job.get("kind") == "evaluate" and options.get("export"):
        job["kind"] = "evaluate_export"
    kind = _KINDS.get(str(job.get("kind")))
    known = kind.model_fields if kind else {}
    return job | {name: value for name, value in options.items() if name in known and value is not None}


def _trained(options: dict[str, Any]) -> dict[str, Any]:
    """A training's options. A control or a trial that carried more was a copy of another run's and is still no try of it."""
    found: dict[str, Any] = {"model": str(options.get("model") or ""), "measures": tuple(options.get("measures") or ())}
    about = options.get("imported")
    if isinstance(about, dict):
        found["imported"] = {"by": str(about.get("by") or ""), "source": str(about.get("from") or ""), "run": str(about.get("run") or "")}
    if options.get("control"):
        found["origin"] = Control(of=str(options.get("of") or ""))
    elif options.get("pilot"):
        found["origin"] = _one(Trial, options["pilot"])
    elif options.get("retry"):
        found["origin"] = _one(Retry, options["retry"])
    elif options.get("tested"):
        found["origin"] = AfterTrials(group=str(options["tested"]), words=str(options.get("because") or ""))
    said, found["predicted"] = options.get("predicted"), None
    if isinstance(said, dict) and not isinstance(found.get("origin"), Trial | Control):
        found["predicted"] = _one(Predicted, {name: value for name, value in said.items() if name != "stage"})
    return found


def _one(kind: type[Record], value: Any) -> Record | None:
    """A part of an old file, or nothing where somebody changed it."""
    try:
        return kind.model_validate(value)
    except ValidationError:
        return None


_KINDS: dict[str, type[_Work]] = {
    "evaluate": EvaluateJob,
    "evaluate_export": EvaluateExportJob,
    "export": ExportJob,
    "check_export": CheckExportJob,
    "download": DownloadJob,
    "fetch_dataset": FetchDatasetJob,
    "publish": PublishJob,
    "build_data": BuildDataJob,
    "synthesize": SynthesizeJob,
    "serve": ServeJob,
}
_Made = BuildDataJob | SynthesizeJob
_Hub = DownloadJob | FetchDatasetJob | PublishJob
_Any = TrainJob | EvaluateJob | EvaluateExportJob | ExportJob | CheckExportJob | _Hub | _Made | ServeJob
Job = Annotated[Annotated[_Any, Field(discriminator="kind")], BeforeValidator(_migrated)]
_JOB: TypeAdapter[Job] = TypeAdapter(Job)
_Kind = TypeVar("_Kind", bound=_Job)


class JobFolder(Protocol):
    """What the one who does a job is given: where, what, and whom to tell."""

    @property
    def path(self) -> Path: ...
    @property
    def artifacts(self) -> Path: ...
    @property
    def stop_asked(self) -> bool: ...
    def emit(self, event: Event) -> bool: ...
    def asked(self, kind: type[_Kind]) -> _Kind: ...
    def with_job(self, job: Job) -> JobFolder: ...


def is_control(job: Job, of: str = "") -> bool:
    """Whether a job is a control; with `of`, the control of that run."""
    return isinstance(job, TrainJob) and isinstance(job.origin, Control) and of in ("", job.origin.of)


def parse_job(raw: bytes) -> Job:
    """The job of a job.json; what ships with LoRALab is looked for where that is now. Raises ValidationError where it is none."""
    job = _JOB.validate_json(raw)
    found: dict[str, Any] = {"model": shipped(model)} if isinstance(model := getattr(job, "model", None), str) else {}
    if isinstance(job, TrainJob):
        plan = as_divided(job.plan)
        found["plan"] = plan | {"dataset": shipped(dataset)} if isinstance(dataset := plan.get("dataset"), str) else plan
    return job.model_copy(update=found)


def as_divided(plan: dict[str, Any]) -> dict[str, Any]:
    """A text plan that was written down before `heldout_by` was a setting, with what held then."""
    return plan if "heldout_by" in plan or not {"heldout_share", "learn_from"} <= plan.keys() else plan | {"heldout_by": "question"}
