"""The nouns of the memory: one ended run as it is remembered, what was found, done and advised, and the points it leaves behind.

Invariants: a memory holds no example, no answer and no path, only numbers, settings, names and short sentences; a number that is not
finite is null; what a newer version wrote besides is passed over, so that a memory outlives the version that made it.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field, ValidationInfo, field_validator

from loralab.core.facts import Facts, point_name
from loralab.core.records import Record

WORDS = 600  # characters of a sentence that is kept
MOST = 50  # incidents, actions and findings of one run that are kept, each

By = Literal["guard", "advisor", "person"]
Kind = Literal["memory", "rate"]
Bounded = Field(default="", max_length=WORDS)


class Kept(Record):
    """A record that passes over what a newer version wrote besides."""

    model_config = ConfigDict(extra="ignore")


class Moment(Kept):
    """An incident, and what had been changed in the plan by then."""

    code: str = Field(max_length=80)
    step: int = 0
    text: str = Bounded
    changed: dict[str, Any] = Field(default_factory=dict)  # setting -> value at that moment, where it was no longer as asked
    tokens: int = 0  # padded tokens in work, where it was memory
    rows: int = 0  # examples in work


class Cause(Kept):
    """A finding of the advisor, with the evidence it gave."""

    rule: str = Field(max_length=80)
    title: str = Bounded
    words: str = Bounded
    severity: str = ""
    confidence: float = Field(default=0.0, ge=0, le=1)
    evidence: tuple[dict[str, Any], ...] = ()


class Act(Kept):
    """Something that was changed because of a run, by whom and why, and what came of it."""

    id: str = Field(default="", max_length=40)
    run: str = Field(default="", max_length=200)
    time: float = 0.0
    by: By = "guard"
    changes: dict[str, tuple[Any, Any]] = Field(default_factory=dict)  # setting -> before, after
    why: str = Bounded
    rule: str = Field(default="", max_length=80)
    child: str = Field(default="", max_length=200)  # the run it was tried in; empty: in the same
    fixed: bool | None = None  # null: not known


class Advice(Kept):
    """Something a person was advised to do about a run, and whether they did."""

    id: str = Field(default="", max_length=40)
    run: str = Field(default="", max_length=200)
    time: float = 0.0
    words: str = Bounded
    settings: dict[str, Any] = Field(default_factory=dict)
    rule: str = Field(default="", max_length=80)
    taken: bool | None = None  # null: not decided yet


class Memory(Kept):
    """One ended training as it is remembered. Seconds, bytes, nats per learned token."""

    run: str = Field(min_length=1, max_length=200)
    workspace: str = Field(default="", max_length=40)  # whose run it was; empty: this workspace's
    title: str = Field(default="", max_length=200)
    task: str = Field(default="text", max_length=40)
    model: str = Field(default="", max_length=300)
    dataset: str = Field(default="", max_length=300)  # name of the file, without its folder
    control: bool = False  # learned from shuffled answers on purpose
    started: float = 0.0
    ended: float = 0.0
    facts: Facts | None = None  # the examples' fingerprint and numbers, the model's shape, the device
    versions: dict[str, str] = Field(default_factory=dict)
    asked: dict[str, Any] = Field(default_factory=dict)  # every setting as the run began
    changed: dict[str, Any] = Field(default_factory=dict)  # those that were something else when it ended
    outcome: Literal["finished", "stopped", "failed", "killed"] = "finished"
    code: str = Field(default="", max_length=80)
    what: str = Bounded
    steps: int = 0
    epochs: float = 0.0
    seconds: float = 0.0
    peak_memory: int = 0
    tokens_per_second: float = 0.0
    base_loss: float | None = None
    best_loss: float | None = None
    best_step: int = 0  # the look at which the held-out loss was lowest
    last_loss: float | None = None
    final_loss: float | None = None
    verdict: str = Field(default="", max_length=80)  # of the main measure
    learned: str = Field(default="", max_length=20)  # the two answers, empty where the run was not judged, with their sentences
    learned_words: str = Bounded
    usable: str = Field(default="", max_length=20)
    usable_words: str = Bounded
    but: str = Bounded
    tried: Act | None = None  # where it was begun to repair another run: what was changed for it
    moments: tuple[Moment, ...] = Field(default=(), max_length=MOST)
    findings: tuple[Cause, ...] = Field(default=(), max_length=MOST)
    actions: tuple[Act, ...] = Field(default=(), max_length=2 * MOST)
    advice: tuple[Advice, ...] = Field(default=(), max_length=MOST)

    @field_validator("facts", mode="before")
    @classmethod
    def _known_facts(cls, value: Any, _info: ValidationInfo) -> Any:
        return {name: of for name, of in value.items() if name in Facts.model_fields} if isinstance(value, dict) else value

    @property
    def imported(self) -> bool:
        """Whether it is the run of another workspace."""
        return bool(self.workspace)

    @property
    def settings(self) -> dict[str, Any]:
        """Every setting as the run ended."""
        return self.asked | self.changed

    @property
    def rate(self) -> float:
        """Effective learning rate: times the adapter's scale, so that runs of different rank and alpha can be compared."""
        return effective_rate(self.settings)


class Point(Kept):
    """Settings that a run was computed with, and whether that went well: what “never twice” and “known to fit” are made of."""

    kind: Kind
    ok: bool
    code: str = ""  # of the incident or the ending, where it did not go well
    step: int = 0
    run: str = ""
    workspace: str = ""
    time: float = 0.0  # when the run ended
    model: str = ""
    architecture: str = ""
    hidden: int = 0
    layers: int = 0
    longest: int = 0  # tokens of the longest example, as it was cut
    epochs: float = 0.0  # of the data seen: less than one may not have met the longest example
    room: int = 0  # bytes that were free for training when the run began
    place: str = ""  # which processor and card, with torch's version
    settings: dict[str, Any] = Field(default_factory=dict)  # those that memory or stability depends on

    @property
    def name(self) -> str:
        """What it is called where it is to be forgotten alone."""
        return point_name(self.kind, self.run, self.step, failed=not self.ok)


def effective_rate(settings: dict[str, Any]) -> float:
    """Learning rate x alpha / rank (alpha / sqrt(rank) where rank-stabilised); without an adapter the learning rate itself."""
    rate, rank, alpha = settings.get("learning_rate", 0.0), settings.get("rank", 0), settings.get("alpha", 0.0)
    if not rank or not alpha:
        return float(rate)
    return float(rate * alpha / (rank**0.5 if settings.get("use_rslora") else rank) * settings.get("lora_plus", 1.0))
