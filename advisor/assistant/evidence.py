"""Owns the evidence pack: the few numbers of a run that a language model is given, and the only ones it may say.

Invariants: at most eight rows, numbers only, each with where it was measured; no text of an example, a log or an answer ever gets in.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import cached_property

from pydantic import Field

from advisor.diagnosis.findings import Evidence, Fix
from advisor.words.summary import Known
from loralab.core.records import Record

MOST = 8
FROM_CAUSES = 5  # rows the rules' evidence may take, so that there is room for how the run went
LONGEST = 70  # characters of what a row is called
_PLAIN = re.compile(r"[^A-Za-z0-9 .,;:'()%/+-]")


class Row(Record):
    """`E3: held-out loss before training = 3.21 (update 40)`."""

    name: str
    evidence: Evidence

    @cached_property
    def words(self) -> str:
        value, unit = self.evidence.value, self.evidence.unit
        shown = f"{value:.4g}" if isinstance(value, float) else f"{value}"
        places = [f"run {self.evidence.run}"] if self.evidence.run else []
        places += [f"update {self.evidence.step}"] if self.evidence.step is not None else []
        where = f" ({', '.join(places)})" if places else ""
        return f"{self.name}: {tidy(self.evidence.what)} = {shown}{f' {unit}' if unit else ''}{where}"


class Pack(Record):
    """What a language model is told about a run."""

    run: str
    state: str
    verdict: str = ""
    causes: tuple[str, ...] = ()  # titles of what the rules found, the likeliest first
    ways: tuple[Fix, ...] = ()  # vetted ways out, the rules' own choice first
    rows: tuple[Row, ...] = ()
    settings: dict[str, float] = Field(default_factory=dict)  # numbers of the plan as it now is, to tell up from down

    def row(self, name: str) -> Row | None:
        """The row of this name."""
        return next((row for row in self.rows if row.name == name), None)

    @cached_property
    def found(self) -> str:
        """What the rules made of the run."""
        lines = [f"State of the run: {self.state}."]
        lines += [f"Verdict: {self.verdict}."] if self.verdict else []
        lines += (
            [f"Cause: {' or '.join(tidy(cause) for cause in self.causes)}."] if self.causes else ["Cause: nothing was found to be wrong."]
        )
        lines += [f"What to do: {tidy(self.ways[0].words, 160)}"] if self.ways else []
        return "\n".join(lines)

    @cached_property
    def text(self) -> str:
        """As it stands in a prompt."""
        return "\n".join([self.found, *(row.words for row in self.rows)])

    def shorter(self) -> Pack:
        """Without its last row."""
        return self.model_copy(update={"rows": self.rows[:-1]})


def tidy(text: str, longest: int = LONGEST) -> str:
    """Plain letters on one line: nothing in it can look like an instruction's beginning or end."""
    return re.sub(r"\s+", " ", _PLAIN.sub(" ", text)).strip()[:longest]


def pack_of(known: Known) -> Pack:
    """The evidence of a run, what the causes rest on first."""
    found = known.diagnosis
    ways = tuple(fix for cause in found.could_be for fix in cause.fixes)
    rows: list[Evidence] = []
    for one in [*list(_of_causes(known))[:FROM_CAUSES], *_of_run(known)]:
        if len(rows) < MOST and not any(_same(one, other) for other in rows):
            rows.append(one)
    return Pack(
        run=known.view.run,
        state=known.view.state,
        verdict=known.verdict[0],
        causes=tuple(cause.title for cause in found.could_be),
        ways=ways,
        rows=tuple(Row(name=f"E{n}", evidence=one) for n, one in enumerate(rows, 1)),
        settings=_numbers(known),
    )


def _numbers(known: Known) -> dict[str, float]:
    plan = known.case.plan.model_dump()
    return {name: float(value) for name, value in plan.items() if isinstance(value, int | float) and not isinstance(value, bool)}


def _same(one: Evidence, other: Evidence) -> bool:
    first, second = one.what.lower(), other.what.lower()
    alike = all(isinstance(value, int | float) for value in (one.value, other.value)) and math.isclose(
        float(one.value or 0), float(other.value or 0), rel_tol=1e-3
    )
    return alike and (first in second or second in first)


def _of_causes(known: Known) -> Iterator[Evidence]:
    for cause in known.diagnosis.could_be:
        for one in cause.evidence:
            if isinstance(one.value, int | float) and math.isfinite(one.value):
                yield one.model_copy(update={"what": tidy(one.what), "line": "", "rows": ()})


def _of_run(known: Known) -> Iterator[Evidence]:
    """How the run went, the most telling first."""
    view, plan = known.view, known.case.plan
    values: list[tuple[str, float, str]] = [
        ("held-out loss before training", known.before, ""),
        ("held-out loss after training", known.after, ""),
        ("share by which the held-out loss fell", known.gain, "") if known.gain > 0 else ("", math.nan, ""),
        ("updates made", view.step, "updates"),
        ("learning rate", plan.learning_rate, ""),
        ("examples learned from", known.examples or math.nan, "examples"),
        ("time of training", round(known.seconds) if math.isfinite(known.seconds) else math.nan, "seconds"),
        ("updates planned", known.total if known.total != view.step else math.nan, "updates"),
    ]
    for what, value, unit in values:
        if math.isfinite(value):
            yield Evidence(what=what, value=value, unit=unit)
