"""Owns the nouns: values that cross a process, a disk, a form or a language model. All frozen; unknown fields are refused.

Every setting of a run is listed once, as a field of a Plan; form, validation, plan file and the command line's `--set` come from it.
"""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import ConfigDict, Field

from loralab.core.errors import Problem
from loralab.core.results import Artifact as Artifact  # noqa: PLC0414 - everybody takes it from here
from loralab.core.results import Sample as Sample  # noqa: PLC0414 - likewise
from loralab.core.results import Score as Score  # noqa: PLC0414 - likewise
from loralab.core.said import Call as Call  # noqa: PLC0414 - likewise
from loralab.core.said import Message, Record
from loralab.core.said import Role as Role  # noqa: PLC0414 - likewise

Precision = Literal["fp32", "bf16", "fp16", "nf4", "fp4", "int8"]
SQUEEZED = frozenset({"nf4", "fp4", "int8"})  # the base alone is kept so; what it is computed with is another setting
Schedule = Literal["cosine", "linear", "constant", "wsd"]
Recompute = Literal["none", "selective", "full"]
Attention = Literal["sdpa", "eager"]


class Region(Record):
    """A thing in a picture: what it is, and where."""

    label: str
    box: tuple[float, float, float, float] | None = None  # left, top, right, bottom in pixels
    mask: str = ""  # a picture that marks it, by its file
    outline: str = ""  # what encloses it, packed (loralab/datasets/images/outlines.py)


class Target(Record):
    """What is to be learned about an example where no words say it: things in a picture, a mask of the whole of it, a number."""

    regions: tuple[Region, ...] = ()
    mask: str = ""
    value: float | None = None


class Example(Record):
    """One thing to learn from: a conversation, a stretch of plain text (then `messages` is empty), or media with what they show."""

    row: int  # position in the file as a person counts it, from 1
    source: str = ""  # file the row came from, relative to what was opened
    messages: tuple[Message, ...] = ()
    text: str = ""
    label: str | None = None  # the class, when the task is classification; it is also the last message
    media: tuple[str, ...] = ()  # pictures, by their files; named like `source`
    target: Target | None = None
    rejected: tuple[Message, ...] = ()  # of a preference: the conversation with the answer that was not chosen
    held_out: bool = False  # the file says that it is there to test with
    watched: bool = False  # the file says that it is there to choose by while learning, neither learned nor judged on
    origin: str = ""  # of a made data set: human, extracted or synthetic; what a model wrote is never tested on
    writer: str = ""  # which language model wrote it
    group: str = ""  # whom or what it is of: examples of one patient are never on both sides of the split


class LeftOut(Record):
    """A row that was read and not kept, and why: rows kept + rows left out always equals rows read."""

    row: int
    reason: str
    source: str = ""


class Preview(Record):
    """An example exactly as the model will see it: pieces of text, each learned from or only read, and media."""

    row: int
    pieces: tuple[tuple[str, bool], ...] = ()
    media: tuple[str, ...] = ()
    cost: int
    learned: int  # of the cost
    unit: str = "tokens"  # what costs are counted in


class Part(Record):
    """A part of a file that holds several: a sheet of a workbook, the text or a table of a document."""

    name: str
    rows: int
    columns: tuple[str, ...] = ()
    about: str = ""  # what the file's own program counts it in: “12 pages”
    is_prose: bool = False  # passages that were cut from running text
    taken: bool = True  # its rows are among the examples


class FieldUse(Record):
    """A column of a file, or a kind of thing within its turns, and what it is used for."""

    name: str
    used_for: str = ""  # in a few words; empty: not used
    rows: int = 0  # that hold something in it
    within: bool = False  # not a column: something that turns hold
    telling: bool = False  # not used, and it holds words that somebody may miss


class Choice(Record):
    """One way in which the columns of a file could be meant, with what the first rows would then teach."""

    roles: dict[str, str]
    examples: tuple[Example, ...] = ()


class DatasetProfile(Record):
    """What a file of examples holds, measured on all of it."""

    id: str  # content hash of the kept examples: the same examples give the same id wherever the file lies
    name: str
    path: str
    task: str = "text"  # the kind of training that such examples are for
    root: str = ""  # folder in which their media lie
    views: str = ""  # of pictures: in which ways they may be varied; see the setting
    medical: bool = False  # pictures of patients: what is made of them says what it is not
    boxes: dict[str, int] = Field(default_factory=dict)  # “read”, “kept”, and how many were not for each reason; they add up
    shape: (
        str  # messages | sharegpt | instruction | prompt_completion | question_answer | reasoning | label | text; of pictures: classes ...
    )
    roles: dict[str, str] = Field(default_factory=dict)  # role -> column, as recognised or as the person said
    columns: tuple[str, ...] = ()
    certain: bool = True  # False: the roles are a guess that nobody has confirmed; nothing trains on it unasked
    choices: tuple[Choice, ...] = ()  # of a guess: the guess first, then what it could be instead
    fields: tuple[FieldUse, ...] = ()  # columns in file order, then what turns hold
    aside: str = ""  # what was done about rows that the file marks to test with, in words
    speakers: tuple[str, ...] = ()  # names, where it is asked which of those who speak the model is to be (the role “assistant”)
    encoding: str = "utf-8"
    parts: tuple[Part, ...] = ()  # of a file that holds several, or counts itself in pages
    cells: tuple[tuple[str, ...], ...] = ()  # the first rows as they stand in the table, under `columns`; long ones are cut
    examples: tuple[Example, ...] = ()  # the first few, as people read them
    n_read: int = Field(ge=0)
    n_kept: int = Field(ge=0)
    left_out: tuple[LeftOut, ...] = ()
    more_left_out: int = 0  # of a large file, beside those listed
    looked: int = 0  # examples of a large file that tokens and findings are of, evenly spread; 0: all
    n_train: int = 0
    n_heldout: int = 0
    n_duplicates: int = 0
    labels: dict[str, int] = Field(default_factory=dict)
    words: dict[str, int] = Field(default_factory=dict)  # how long examples are for a person: p50, p90 and so on, as `tokens`
    tokens: dict[str, int] = Field(default_factory=dict)  # what examples cost: p50, p90, p95, p99, max, total, learned; in `unit`
    unit: str = "tokens"  # of `tokenizer`; pixels of pictures
    tokenizer: str = ""
    language: str = ""  # ISO 639-1, of most answers; empty where it is not plain
    need: Literal["", "sort", "note", "answer", "write", "chat"] = ""
    previews: tuple[Preview, ...] = ()
    findings: tuple[Problem, ...] = ()  # of the data doctor


# ---- plan ------------------------------------------------------------------------------------------------------------------


def setting(
    default: Any,
    help: str,  # noqa: A002  (it is the setting's help)
    *,
    group: str,
    label: str,
    unit: str = "",
    **bounds: Any,
) -> Any:
    """A field of a plan: default, bounds, one sentence of help, the group it is folded under and the label a person reads."""
    return Field(default, description=help, json_schema_extra={"group": group, "label": label, "unit": unit}, **bounds)


class Plan(Record):
    """Everything needed to repeat a run. Subclassed by each task kind."""

    model_config = ConfigDict(allow_inf_nan=False)  # no setting means anything when it is not a number

    task: str = setting("text", "What kind of training this is.", group="basics", label="Task")
    title: str = setting("", "A name for you to recognise the run by.", group="basics", label="Name of the run", max_length=80)
    base_model: str = setting(
        "starter", "The model that learns: a name from the list, a Hub id or a folder.", group="basics", label="Base model"
    )
    dataset: str = setting("", "The file or folder with the examples.", group="basics", label="Examples")
    epochs: float = setting(
        3.0, "How many times the model sees every example.", group="basics", label="Rounds over the examples", unit="epochs", gt=0, le=1000
    )
    max_steps: int = setting(
        0,
        "No more updates than this, however many the rounds would need; 0 means no limit.",
        group="learning",
        label="Most updates",
        unit="steps",
        ge=0,
    )
    max_minutes: float = setting(
        0.0,
        "Stop after this many minutes of training, slowing down in time; 0 means no limit.",
        group="learning",
        label="Time limit",
        unit="minutes",
        ge=0,
    )
    learning_rate: float = setting(
        2e-4,
        "How big each correction is. Too big and it forgets how to write, too small and nothing changes.",
        group="learning",
        label="Learning rate",
        gt=0,
        lt=1,
    )
    schedule: Schedule = setting("cosine", "How the learning rate falls towards the end of the run.", group="learning", label="Schedule")
    warmup: float = setting(
        0.05,
        "Share of the run in which the learning rate rises from zero, so that the start is gentle.",
        group="learning",
        label="Warm-up",
        unit="of the run",
        ge=0,
        le=1,
    )
    micro_batch: int = setting(
        8,
        "Examples computed at once. Only memory and speed depend on it, never the result.",
        group="memory",
        label="Examples at once",
        ge=1,
        le=4096,
    )
    token_budget: int = setting(
        0,
        "Tokens computed at once, padding counted; 0 means: as many as the examples at once have. Only memory and speed depend on it.",
        group="memory",
        label="Tokens at once",
        unit="tokens",
        ge=0,
        le=1 << 24,
    )
    effective_batch: int = setting(
        8, "Examples behind one correction of the adapter.", group="learning", label="Examples per update", ge=1, le=65536
    )
    weight_decay: float = setting(
        0.0, "Pulls the adapter's numbers gently towards zero.", group="learning", label="Weight decay", ge=0, le=1
    )
    max_grad_norm: float = setting(
        1.0,
        "Longest step a single update may ask for; longer ones are shortened. 0 switches it off.",
        group="learning",
        label="Gradient clipping",
        ge=0,
    )
    precision: Precision = setting(
        "fp32", "fp32 exact, bf16/fp16 half the memory, int8 a quarter, nf4/fp4 an eighth.", group="memory", label="Precision"
    )
    eval_every: int = setting(
        0,
        "Updates between two looks at the held-out examples; 0 means: about ten looks per run.",
        group="saving",
        label="Look at held-out every",
        unit="steps",
        ge=0,
    )
    patience: int = setting(
        3,
        "Stop early after this many looks without improvement; 0 never stops early.",
        group="saving",
        label="Patience",
        unit="looks",
        ge=0,
    )
    checkpoint_minutes: float = setting(
        5.0,
        "Minutes between two safety copies from which a run can go on.",
        group="saving",
        label="Safety copy every",
        unit="minutes",
        gt=0,
    )
    pause_below_battery: int = setting(
        0,
        "On battery power, wait when less than this is left; 0 never waits.",
        group="saving",
        label="Pause below battery",
        unit="%",
        ge=0,
        le=100,
    )
    pause_above_temperature: int = setting(
        0, "Wait while processor or card is hotter than this; 0 never waits.", group="saving", label="Pause above", unit="°C", ge=0, le=150
    )
    heldout_share: float = setting(
        0.1, "Share of the examples kept aside to test on. They are never trained on.", group="saving", label="Held-out share", gt=0, le=0.5
    )
    seed: int = setting(0, "The same seed gives the same run.", group="saving", label="Seed", ge=0)

    def updates(self, per_epoch: int) -> int:
        """Updates of a whole run with `per_epoch` of them in an epoch: what the epochs need, but no more than the limit.

        Part of an update is one; the hair's breadth by which 1.1 times 10 exceeds 11 is none.
        """
        needed = max(1, math.ceil(round(self.epochs * per_epoch, 6)))
        return min(needed, self.max_steps) if self.max_steps else needed


class Predicted(Record):
    """What was said of a plan before past runs corrected it, so that a run can be held against it. Bytes and seconds."""

    key: str = ""  # under what its memory is remembered
    device: str = ""
    pace: str = ""  # what its time is predicted from: measured | modelled
    memory: dict[str, int] = Field(default_factory=dict)  # by stage (closed form, trace): the whole
    step: dict[str, int] = Field(default_factory=dict)  # likewise: what an update takes beside program, model and adapter
    weights: int = 0  # what is loaded before the first update
    process: int = 0  # the program without the model; 0 where that is no part of what is measured
    seconds: float | None = None
    disk: int = 0

    def beside(self, earlier: Predicted | None) -> Predicted:
        """This with the stages that were said earlier of the same plan."""
        if earlier is None:
            return self
        return self.model_copy(update={"memory": earlier.memory | self.memory, "step": earlier.step | self.step})


class Footprint(Record):
    """What a plan will need, each number with where it came from."""

    memory_bytes: int  # the middle estimate, which is shown
    free_bytes: int
    upper_bytes: int = 0  # what it hardly ever goes beyond: it decides whether a run may begin
    host_bytes: int = 0  # main memory beside the card's, where something is offloaded
    runs: int = 0  # of this kind on this computer that corrected the number
    error: float | None = None  # share by which the number is usually off, where it is not the stage's own
    seconds: float | None = None
    disk_bytes: int = 0
    disk_error: float | None = None
    parts: dict[str, int] = Field(default_factory=dict)  # weights, adapter, optimiser, activations, head, reserve
    predicted: Predicted | None = None  # before past runs corrected it
    stage: str = "closed form"  # closed form | trace | probe | unknown
    words: str = ""


class Alternative(Record):
    """Settings to fix beside a person's own for another plan (one that fits, a quick look), and what that means in words."""

    settings: dict[str, Any]
    words: str


class Proposal(Record):
    """A plan with the reason for each choice, in words a novice understands."""

    plan: dict[str, Any]
    reasons: dict[str, str]
    footprint: Footprint
    problems: tuple[Problem, ...] = ()
    alternatives: tuple[Alternative, ...] = ()  # where it does not fit, the nearest first
    quick_look: Alternative | None = None  # so few updates that it is over in about a minute; None where the plan is as short


class Provenance(Record):
    """Where an adapter that was not trained here is from."""

    by: str = ""  # the program that made it
    source: str = ""  # name of the file or folder that was given
    run: str = ""  # what the run was called there
