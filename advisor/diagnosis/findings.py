"""The nouns of the advisor: evidence, a way out, a finding, and the diagnosis they make. All frozen; each survives a round trip.

Invariant: every number a person is told is the value of an Evidence, so that prose can be checked against it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from advisor.diagnosis.earlier import Tried
from loralab.core.records import Record
from loralab.core.words import size

Severity = Literal["error", "warning", "info"]
Action = Literal["retry", "propose", "block", "inform"]  # done by itself on a retry | offered | stands in the way of a start | told
Group = Literal["non-finite", "memory", "instability", "no learning", "overfitting", "template", "data", "environment"]

ALARM_CONFIDENCE = 0.5  # confidence from which a finding that is not mere information is an alarm
CLOSE_CONFIDENCE = 0.1  # two causes whose confidence differs by less “could be either”


class Evidence(Record):
    """One fact a finding rests on: what was measured, its value, and where it can be seen."""

    what: str  # in plain words: “loss on the held-out examples”
    value: float | int | str | None = None
    unit: str = ""
    step: int | None = None
    rows: tuple[int, ...] = ()
    run: str = ""  # another run, where the evidence is from the past
    line: str = ""  # of the worker's log, as it stands there

    @property
    def words(self) -> str:
        """“loss on the held-out examples: 3.21 (update 40)”."""
        shown = f"{self.value:.4g}" if isinstance(self.value, float) else f"{self.value:,}" if isinstance(self.value, int) else self.value
        unit = f" {self.unit}" if self.unit else ""
        said = f"{self.what}: {shown}{unit}" if shown is not None else self.what
        places = [f"update {self.step:,}"] if self.step is not None else []
        rows = list(dict.fromkeys(self.rows))  # a row that was cut into several examples stands in it several times
        places += [f"row {row}" for row in rows[:5]] + ([f"{len(rows) - 5} more"] if len(rows) > 5 else [])
        places += [f"run {self.run}"] if self.run else []
        where = f" ({', '.join(places)})" if places else ""
        return f"{said}{where}" + (f" “{self.line}”" if self.line else "")


class Fix(Record):
    """A way out: settings of the plan to change, or something to be done with the examples."""

    words: str  # a sentence in the imperative: “Use a learning rate of 0.0004.”
    settings: dict[str, Any] = Field(default_factory=dict)
    data: str = ""  # what is to be done with the examples: a name in advisor/data_advice
    rows: int = 0  # examples it concerns


def fact(what: str, value: float | str | None = None, unit: str = "", **where: Any) -> Evidence:
    """A fact as evidence; `where`: its step, rows, run or line."""
    return Evidence(what=what, value=value, unit=unit, **where)


def amount(what: str, count: float, **where: Any) -> Evidence:
    """Bytes as evidence, in the unit that a person would use: never “0.0 GB”."""
    shown, _, unit = size(count).rpartition(" ")
    return Evidence(what=what, value=float(shown), unit=unit, **where)


def change(words: str, /, **settings: Any) -> Fix:
    """A way out by other settings."""
    return Fix(words=words, settings=settings)


def advice(words: str, data: str = "", rows: int = 0) -> Fix:
    """A way out for a person, or one that changes the examples."""
    return Fix(words=words, data=data, rows=rows)


@dataclass(frozen=True)
class Found:
    """What a rule's check says; the rule adds its own name, title and class."""

    confidence: float  # that this is what went wrong; of information: that it bears on what came of the run
    words: str  # what was seen here, one or two sentences with their numbers
    evidence: Sequence[Evidence] = ()
    fixes: Sequence[Fix] = ()  # the first is what a retry does
    severity: Severity | None = None  # where it is not the rule's usual one
    action: Action | None = None


class Finding(Record):
    """One cause that a rule sees, with its evidence and the ways out, the best first."""

    rule: str  # its file in advisor/rules: also the name of its page
    id: str  # R02: its row in the table of causes
    group: Group
    title: str  # “The corrections were too big”
    words: str
    severity: Severity
    action: Action
    confidence: float = Field(ge=0, le=1)
    evidence: tuple[Evidence, ...] = ()
    fixes: tuple[Fix, ...] = ()

    @property
    def alarm(self) -> bool:
        """Whether something is wrong, rather than worth knowing."""
        return self.severity != "info" and self.confidence >= ALARM_CONFIDENCE

    @property
    def settings(self) -> dict[str, Any]:
        """What the best way out changes in the plan."""
        return self.fixes[0].settings if self.fixes else {}


class Diagnosis(Record):
    """All findings about a run or a plan, the likeliest cause first."""

    run: str = ""
    findings: tuple[Finding, ...] = ()
    tried: tuple[Tried, ...] = ()  # what earlier runs of its lineage, alike but for one setting, say of that setting

    @property
    def alarms(self) -> tuple[Finding, ...]:
        return tuple(finding for finding in self.findings if finding.alarm)

    @property
    def cause(self) -> Finding | None:
        """The likeliest cause of what went wrong; none in a healthy run."""
        return next(iter(self.alarms), None)

    @property
    def could_be(self) -> tuple[Finding, ...]:
        """The causes that cannot be told from the likeliest: one where it is clear, two or more where it could be either."""
        first = self.cause
        return tuple(f for f in self.alarms if first and first.confidence - f.confidence < CLOSE_CONFIDENCE)
