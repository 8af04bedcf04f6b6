"""The few numbers of a run that the language model is given, and the only ones a sentence of its own may contain.

Invariants: at most eight rows, numbers only, each with where it was measured; no text of an example, a log or an answer ever gets in.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from functools import cached_property

from advisor.diagnosis.findings import Evidence, Fix, fact
from advisor.words.summary import RunSummary
from loralab.core.records import Record

MAX_ROWS = 8
MAX_CAUSE_ROWS = 5  # rows the rules' evidence may take, so that there is room for how the run went
MAX_NAME = 70  # characters of what a row is called
_NOT_PLAIN = re.compile(r"[^A-Za-z0-9 .,;:'()%/+-]")


class EvidencePack(Record):
    """What the language model is told about a run."""

    state: str
    verdict: str = ""
    causes: tuple[str, ...] = ()  # titles of what the rules found, the likeliest first
    ways: tuple[Fix, ...] = ()  # vetted ways out, the rules' own choice first
    rows: tuple[Evidence, ...] = ()

    @cached_property
    def found(self) -> str:
        """What the rules made of the run."""
        lines = [f"State of the run: {self.state}."]
        lines += [f"Verdict: {self.verdict}."] if self.verdict else []
        causes = " or ".join(tidy(cause) for cause in self.causes) or "nothing was found to be wrong"
        lines += [f"Cause: {causes}."]
        lines += [f"What to do: {tidy(self.ways[0].words, 160)}"] if self.ways else []
        return "\n".join(lines)

    def shorter(self) -> EvidencePack:
        """Without its last row."""
        return self.model_copy(update={"rows": self.rows[:-1]})


def tidy(text: str, longest: int = MAX_NAME) -> str:
    """Plain letters on one line: nothing in it can look like an instruction's beginning or end."""
    return re.sub(r"\s+", " ", _NOT_PLAIN.sub(" ", text)).strip()[:longest]


def pack_of(summary: RunSummary) -> EvidencePack:
    """The evidence of a run, what the causes rest on first."""
    causes = summary.diagnosis.could_be
    rows: list[Evidence] = []
    for one in [*list(_of_causes(summary))[:MAX_CAUSE_ROWS], *_of_run(summary)]:
        if len(rows) < MAX_ROWS and not any(_same(one, other) for other in rows):
            rows.append(one)
    return EvidencePack(
        state=summary.view.state,
        verdict=summary.verdict[0],
        causes=tuple(cause.title for cause in causes),
        ways=tuple(fix for cause in causes for fix in cause.fixes),
        rows=tuple(rows),
    )


def _same(one: Evidence, other: Evidence) -> bool:
    first, second = one.what.lower(), other.what.lower()
    alike = all(isinstance(value, int | float) for value in (one.value, other.value)) and math.isclose(
        float(one.value or 0), float(other.value or 0), rel_tol=1e-3
    )
    return alike and (first in second or second in first)


def _of_causes(summary: RunSummary) -> Iterator[Evidence]:
    for cause in summary.diagnosis.could_be:
        for one in cause.evidence:
            if isinstance(one.value, int | float) and math.isfinite(one.value):
                yield one.model_copy(update={"what": tidy(one.what), "line": "", "rows": ()})


def _of_run(summary: RunSummary) -> Iterator[Evidence]:
    """How the run went, the most telling first."""
    view, plan = summary.view, summary.case.plan
    values: list[tuple[str, float, str]] = [
        ("held-out loss before training", summary.before, ""),
        ("held-out loss after training", summary.after, ""),
        ("share by which the held-out loss fell", summary.gain, "") if summary.gain > 0 else ("", math.nan, ""),
        ("updates made", view.step, "updates"),
        ("learning rate", plan.learning_rate, ""),
        ("examples learned from", summary.examples or math.nan, "examples"),
        ("time of training", round(summary.seconds) if math.isfinite(summary.seconds) else math.nan, "seconds"),
        ("updates planned", summary.total if summary.total != view.step else math.nan, "updates"),
    ]
    for what, value, unit in values:
        if math.isfinite(value):
            yield fact(what, value, unit)
