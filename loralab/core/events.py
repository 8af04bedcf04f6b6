"""Owns what happened in a run: the Event union, the append-only log and RunView, the fold of the log.

Invariant: one writer per log; a line is whole or it is not there; everything shown about a run is derived from these lines.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, TypeAdapter, ValidationError

from loralab.core.facts import Facts
from loralab.core.liked import Liked, heard
from loralab.core.log import AppendLog, Unreadable
from loralab.core.masking import masked
from loralab.core.old_logs import modern
from loralab.core.questions import AnswerAt, Question
from loralab.core.records import Artifact, Provenance, Record, Sample, Score
from loralab.core.verdict import Verdict

Outcome = Literal["finished", "stopped", "failed", "killed"]
NoteCode = Literal["", "ended_early", "rolled_back", "resumed", "waiting", "slept", "measured", "probed", "compared", "imported", "opened"]


class _Event(Record):
    """What every event carries."""

    time: float = Field(default_factory=time.time)  # seconds since 1970
    step: int = 0  # optimiser updates done so far


class Queued(_Event):
    """The run waits for its turn: one job on the machine at a time. Ended before Started means that it was taken out of the queue."""

    type: Literal["queued"] = "queued"


class Started(_Event):
    """The worker is up (before torch is imported), or has gone on from a checkpoint."""

    type: Literal["started"] = "started"
    pid: int
    resumed: bool = False
    versions: dict[str, str] = Field(default_factory=dict)


class Noted(_Event):
    """A sentence for people. `phase` says what the worker is doing now; what code must know of the note is in `code` and `why`."""

    type: Literal["noted"] = "noted"
    text: str
    phase: str = ""
    fraction: float | None = None  # of the phase, 0..1
    seconds_left: float | None = None  # of the phase, where that can be said
    code: NoteCode = ""
    why: str = ""  # of an early end: the reason, in words
    rows: tuple[int, ...] = ()  # the examples it is about, by their place in the file


class _Told(_Event):
    """A fact with a sentence for people, which stands among the notes."""

    text: str = ""


class Measured(_Told):
    """What is learned from and with, counted before the first update."""

    type: Literal["measured"] = "measured"
    n_train: int = 0
    n_heldout: int = 0
    trainable: int = 0  # weights that learn
    facts: Facts | None = None


class Probed(_Told):
    """The memory of the largest step, tried out before the first update; or why it was not. Bytes and seconds."""

    type: Literal["probed"] = "probed"
    bytes: int = 0  # foreseen at its largest; 0: not tried
    free: int = 0
    cost: int = 0  # of the largest step, in tokens of text
    measured: tuple[float, ...] = ()
    seconds: float = 0.0
    skipped: str = ""  # why there was nothing to gain
    failed: str = ""


class Compared(_Told):
    """An export was held against what was trained."""

    type: Literal["compared"] = "compared"
    outcome: str  # proven | differs | untried
    runtime: str = ""


class Imported(_Told):
    """The adapter was not trained here."""

    type: Literal["imported"] = "imported"
    origin: Provenance


class Stepped(_Event):
    """One optimiser update. `loss` is per learned token, raw and unfiltered."""

    type: Literal["stepped"] = "stepped"
    loss: float
    grad_norm: float
    learning_rate: float
    tokens: int  # tokens read in this update, padding not counted
    tokens_per_second: float
    memory_bytes: int
    epoch: float = 0.0
    seconds_left: float | None = None
    total_steps: int = 0


class Evaluated(_Event):
    """A look at the held-out examples. `split` is heldout (during the run), base (before it) or final (the verdict)."""

    type: Literal["evaluated"] = "evaluated"
    split: Literal["heldout", "base", "final"] = "heldout"
    loss: float
    n: int
    best: bool = False
    scores: tuple[Score, ...] = ()
    verdict: str = ""  # of a final look: better | worse | no difference seen | cannot tell yet
    words: str = ""  # the same in one sentence
    conclusion: Verdict | None = None  # of a final look; none in the logs of earlier versions


class Previewed(_Event):
    """Held-out prompts answered: the same few again and again while it learns (then `share` says when), or those of the verdict."""

    type: Literal["previewed"] = "previewed"
    samples: tuple[Sample, ...]
    share: float | None = None  # of the updates, 0..1


class Heard(_Event):
    """A person judged answers of a run that has ended. Only the newest counts."""

    type: Literal["heard"] = "heard"
    liked: tuple[Liked, ...]


class Wondered(_Event):
    """A person's own question to a run that has ended, answered before and after. Of the same question only the newest counts."""

    type: Literal["wondered"] = "wondered"
    sample: Sample


class Saved(_Event):
    """A checkpoint, an adapter or an export is on disk, whole."""

    type: Literal["saved"] = "saved"
    artifact: Artifact


class Incident(_Event):
    """Something went wrong and was noticed; an Adjusted event says what was done about it."""

    type: Literal["incident"] = "incident"
    code: str
    text: str
    data: dict[str, Any] = Field(default_factory=dict)


class Adjusted(_Event):
    """A setting was changed while running: what, from, to and why."""

    type: Literal["adjusted"] = "adjusted"
    setting: str
    before: Any = None
    after: Any = None
    reason: str


class Ended(_Event):
    """The last line of a worker's life."""

    type: Literal["ended"] = "ended"
    outcome: Outcome
    what: str = ""
    todo: str = ""
    code: str = ""
    result: dict[str, Any] = Field(default_factory=dict)


_Facts = Measured | Probed | Compared | Imported
_Any = Queued | Started | Noted | _Facts | Stepped | Evaluated | Previewed | Heard | Wondered | Saved | Incident | Adjusted | Ended
_Present = Annotated[_Any, Field(discriminator="type")]
Event = Annotated[_Present, BeforeValidator(modern)]  # also as earlier versions wrote it
_EVENT: TypeAdapter[Event] = TypeAdapter(Event)
_PRESENT: TypeAdapter[Event] = TypeAdapter(_Present)


class _Lines(AppendLog[Event]):
    def _dumped(self, entry: Event) -> bytes:
        return masked(entry.model_dump_json()).encode()

    def _parsed(self, line: bytes) -> Event:
        try:
            old = b'"type":"noted"' in line and b'"code":' not in line
            return (_EVENT if old else _PRESENT).validate_json(line)
        except ValidationError:
            # A line of a newer version or a damaged disk block: say so where people look, and keep the rest of the run readable.
            return Noted(text="A line of this run's log could not be read.")


class EventLog:
    """The writing end of a worker, line by line. A line the disk does not take waits in `unwritten`, and nothing overtakes it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.unwritten: tuple[Event, ...] = ()

    def __call__(self, event: Event) -> bool:
        """Append; whether this and all before it is with the system now."""
        self.unwritten += (event,)
        return self.flush()

    def flush(self) -> bool:
        """Write what waits; whether all of it is with the system now."""
        try:
            while self.unwritten:
                append(self.path, self.unwritten[0])
                self.unwritten = self.unwritten[1:]
        except OSError:
            return False
        return True


def append(path: Path, *events: Event) -> None:
    """Add events: all of them, or none and OSError. Who writes for a run whose worker is gone says what the disk did not take."""
    _Lines(path, _PRESENT).append(*events)


def read(path: Path, offset: int = 0) -> tuple[list[Event], int]:
    """Events from byte `offset` on, and the offset to ask from next time. A line still being written is left for then."""
    lines, offset = _Lines(path, _PRESENT).read(offset)
    return [line for line in lines if not isinstance(line, Unreadable)], offset


class RunView(Record):
    """All a screen needs to know about a run; recomputed from the events, never stored."""

    run: str
    state: Literal["waiting", "running", "finished", "stopped", "failed", "killed"] = "waiting"
    queued: bool = False  # it waits for its turn; then the state is waiting
    phase: str = ""
    fraction: float | None = None
    step: int = 0
    total_steps: int = 0
    epoch: float = 0.0
    seconds_left: float | None = None
    started: float = 0.0
    ended: float = 0.0
    versions: dict[str, str] = Field(default_factory=dict)  # of python and the packages, as the last attempt had them
    steps: tuple[Stepped, ...] = ()
    evaluations: tuple[Evaluated, ...] = ()
    samples: tuple[Sample, ...] = ()
    questions: tuple[Question, ...] = ()  # the same few, as they were answered while it learned
    liked: tuple[Liked, ...] = ()  # what a person thought of answers they judged blindly
    own: tuple[Sample, ...] = ()  # a person's own questions, the newest first
    notes: tuple[Noted, ...] = ()
    incidents: tuple[Incident, ...] = ()
    adjustments: tuple[Adjusted, ...] = ()
    artifacts: tuple[Artifact, ...] = ()
    ending: Ended | None = None
    measured: Measured | None = None
    probed: Probed | None = None  # the first that was tried
    compared: Compared | None = None
    imported: Provenance | None = None

    @property
    def facts(self) -> Facts | None:
        """What the run learns from and with; None in the log of a version that did not tell, or of a damaged line."""
        return self.measured.facts if self.measured else None

    @property
    def conclusion(self) -> Verdict | None:
        """Whether it learned and whether it can be used, with what a person found; None before it is judged, or of an earlier version."""
        found = next((look.conclusion for look in reversed(self.evaluations) if look.split == "final"), None)
        return heard(found, self.liked) if found else None

    @property
    def active(self) -> bool:
        return self.state in ("waiting", "running")

    @property
    def trained(self) -> str:
        """Folder of the newest finished adapter or model, or an empty string."""
        return self.made("adapter", "model")

    def made(self, *kinds: str) -> str:
        """Path of the newest artifact of one of these kinds, or an empty string."""
        return next((a.path for a in reversed(self.artifacts) if a.kind in kinds), "")


def fold(run: str, events: Iterable[Event], into: RunView | None = None) -> RunView:
    """RunView after `events`; pass the previous view to go on from it."""
    view = into or RunView(run=run)
    change: dict[str, Any] = {k: list(getattr(view, k)) for k in ("steps", "evaluations", "notes", "incidents", "adjustments", "artifacts")}
    for event in events:
        _apply(event, change, view)
    return view.model_copy(update={k: tuple(v) if isinstance(v, list) else v for k, v in change.items()})


def adjusted(plan: dict[str, Any], events: Iterable[Event]) -> dict[str, Any]:
    """The plan as it now is: what was changed while running holds for every later attempt, too."""
    return plan | {event.setting: event.after for event in events if isinstance(event, Adjusted) and event.setting in plan}


def _apply(event: Event, change: dict[str, Any], view: RunView) -> None:  # noqa: C901, PLR0912  (one short case per event)
    change["step"] = max(event.step, change.get("step", view.step))
    match event:
        case Queued():
            change |= {"state": "waiting", "queued": True, "ending": None, "phase": "waiting for its turn", "fraction": None}
        case Started():
            change |= {"state": "running", "queued": False, "ending": None, "phase": "starting", "fraction": None}
            if event.resumed:  # steps after the checkpoint were lost and will be done again
                change["steps"] = [s for s in change["steps"] if s.step <= event.step]
                change["evaluations"] = [e for e in change["evaluations"] if e.step <= event.step != 0 and e.split != "final"]
                change |= {"liked": (), "own": ()}  # they were of what it had learned by then
                change["step"] = event.step
            change["started"] = change.get("started", view.started) or event.time
            change["versions"] = event.versions
        case Noted():
            if event.phase:
                change |= {"phase": event.phase, "fraction": event.fraction}
                change["seconds_left"] = event.seconds_left or change.get("seconds_left", view.seconds_left)
            if event.text:
                change["notes"].append(event)
        case Measured() | Probed() | Compared() | Imported():
            _apply_fact(event, change, view)
        case Stepped():
            _forget_from(event.step, change["steps"])
            _forget_from(event.step, change["evaluations"])
            change["steps"].append(event)
            change |= {"phase": "training", "epoch": event.epoch, "seconds_left": event.seconds_left}
            change["total_steps"] = event.total_steps or change.get("total_steps", view.total_steps)
            change["fraction"] = event.step / event.total_steps if event.total_steps else None
        case Evaluated():
            change["evaluations"] = [e for e in change["evaluations"] if (e.split, e.step) != (event.split, event.step)]
            change["evaluations"].append(event)
        case Previewed():
            if event.share is None:
                change["samples"] = event.samples
            else:
                change["questions"] = _asked_again(change.get("questions", view.questions), event.samples, event.share)
        case Heard():
            change["liked"] = event.liked
        case Wondered():
            others = (one for one in change.get("own", view.own) if one.prompt != event.sample.prompt)
            change["own"] = (event.sample, *others)
        case Saved():
            change["artifacts"].append(event.artifact)
        case Incident():
            change["incidents"].append(event)
        case Adjusted():
            change["adjustments"].append(event)
        case Ended():
            change |= {"state": event.outcome, "queued": False, "ending": event, "ended": event.time, "fraction": None, "seconds_left": 0.0}


def _asked_again(before: tuple[Question, ...], samples: tuple[Sample, ...], share: float) -> tuple[Question, ...]:
    """The questions with one answer more. What was answered later is of updates that were lost and are done again."""
    asked = {question.prompt: question for question in before} if share else {}
    for sample in samples:
        earlier = asked[sample.prompt].answers if sample.prompt in asked else ()
        answers = (*(answer for answer in earlier if answer.share < share), AnswerAt(share=share, text=sample.after, drawn=sample.drawn))
        asked[sample.prompt] = Question(prompt=sample.prompt, reference=sample.reference, answers=answers)
    return tuple(asked.values())


def _apply_fact(event: _Facts, change: dict[str, Any], view: RunView) -> None:
    if event.text:
        change["notes"].append(Noted(time=event.time, step=event.step, text=event.text, code=event.type))
    match event:
        case Measured():
            change["measured"] = event
        case Probed():
            first = change.get("probed", view.probed)
            change["probed"] = first if first and first.bytes else event
        case Compared():
            change["compared"] = event
        case Imported():
            change["imported"] = event.origin


def _forget_from(step: int, made: list[Stepped] | list[Evaluated]) -> None:
    """Drop what is done again: a damaged checkpoint makes a run go on from further back than Started could know."""
    while made and made[-1].step >= step:
        made.pop()
