"""Owns what the advisor has to say on a page: findings about the plan before a run, about the run after its start, and how they look.

Invariant: nothing is said that is not worth acting on or knowing; what was put off is not said again for the same run or the same plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import Field

from advisor.advisor import Advisor
from advisor.diagnosis.findings import Diagnosis, Finding
from advisor.proposals import trials
from advisor.repair import tries
from advisor.repair.tries import FAILED, Told
from loralab.core.errors import UserError
from loralab.core.records import Record
from loralab.core.words import times
from loralab.lab import OPERATIONS, DataFix, Lab, setting_label
from ui.markup import draw
from ui.runs.run_names import spoken

MOST = 3  # notes at once: more are not read
TONES = {"error": "bad", "warning": "warn", "info": "quiet"}


class Note(Record):
    """One thing the advisor says: about a plan (`run` is empty) or a run."""

    key: str  # what is put off when it is put off
    run: str
    rule: str
    title: str
    words: str
    severity: str
    evidence: tuple[str, ...] = ()
    fix: str = ""
    settings: dict[str, Any] = Field(default_factory=dict)
    data: str = ""  # what is to be done with the examples, where it can be done for the person
    leaves: str = ""  # how many examples that would leave: “10 of 40”
    either: bool = False  # it cannot be told from the other causes shown
    again: bool = False  # the run failed and can be tried again with it

    def spoken(self, lab: Lab) -> Note:
        """The same with runs named as a person knows them."""
        lines = tuple(spoken(lab, line) for line in self.evidence)
        return self.model_copy(update={"words": spoken(lab, self.words), "fix": spoken(lab, self.fix), "evidence": lines})


def before(found: Diagnosis, dataset: str, model: str) -> list[Note]:
    """Notes about a plan that has not run."""
    return [_note(one, "", f"{dataset}\n{model}\n{one.rule}", again=False) for one in _worth(found)]  # a plan has all of them at once


def of_run(advisor: Advisor, run: str, state: str) -> list[Note]:
    """Notes about a run; nothing about one that trained no adapter."""
    try:
        found = advisor.remember(run)
    except UserError:
        return []
    if trials.pilot_of(advisor.lab, run) and state not in FAILED:  # short on purpose, and looked at all together
        return []
    either = found.could_be if len(found.could_be) > 1 else ()
    names = tries.chain(advisor.lab, run)
    later = names[names.index(run) + 1 :]
    told = {why.rule for name in later[:1] if (why := tries.try_of(advisor.lab.job(name)))}  # as a story
    again = state in FAILED and not later
    notes = [(one, _note(one, run, f"{run}\n{one.rule}", again=again)) for one in _worth(found) if one.rule not in told]
    return [note.model_copy(update={"either": one in either}) for one, note in notes]


def _worth(found: Diagnosis) -> Iterable[Finding]:
    """The alarms first, then what is worth knowing and can be acted on."""
    return [*found.alarms, *(one for one in found.findings if not one.alarm and any(fix.settings or fix.data for fix in one.fixes))]


def _note(found: Finding, run: str, key: str, *, again: bool) -> Note:
    fix = found.fixes[0] if found.fixes else None
    return Note(
        key=key,
        run=run,
        rule=found.rule,
        title=found.title,
        words=found.words,
        severity=found.severity,
        evidence=tuple(evidence.words for evidence in found.evidence),
        fix=fix.words if fix else "",
        settings=fix.settings if fix else {},
        data=fix.data if fix and fix.data in OPERATIONS else "",
        again=again and bool(fix and fix.settings) and found.action == "retry",
    )


def shown(notes: Sequence[Note], put_off: Sequence[str]) -> list[Note]:
    """What is left to say, gravest first."""
    rank = {"error": 0, "warning": 1, "info": 2}
    left = [note for note in notes if note.key not in put_off]
    return sorted(left, key=lambda note: rank.get(note.severity, 3))[:MOST]


# ---- how it looks ------------------------------------------------------------------------------------------------------------


def note_html(note: Note) -> str:
    """A card: the cause, what was seen, what to do; the evidence one click away."""
    return draw("advisor", "note", note, TONES.get(note.severity, "quiet"))


def tries_html(told: Sequence[Told]) -> str:
    """The story of a chain of tries; nothing where there was only one run."""
    if len(told) < 2:
        return ""
    return draw("advisor", "tries", times(len(told) - 1), [_try(number, one) for number, one in enumerate(told)])


def _try(number: int, one: Told) -> tuple[str, str, str, Sequence[str]]:
    failed = one.state in FAILED
    what = f"It failed{' again' if number else ''}. {one.happened}" if failed and one.happened else one.came_of_it
    return f"Try {number}" if number else "First run", one.changed, what, one.evidence if failed else ()


def tested_html(words: str) -> str:
    """What the tests before a run came to; nothing where there were none."""
    return draw("advisor", "tested", words) if words else ""


def put_right_html(advice: DataFix) -> str:
    """What was just done with the examples."""
    where = advice.path.rpartition("/")[2]
    return draw("advisor", "done", f"Done. {advice.words} The new file is {where}; yours is unchanged.")


def applied_html(before_: dict[str, Any], after: dict[str, Any]) -> str:
    """What was just changed in the plan."""
    parts = [f"{setting_label(name)}: {_shown(before_.get(name))} → {_shown(value)}" for name, value in after.items()]
    return draw("advisor", "done", f"Changed in the plan: {'; '.join(parts)}. Nothing starts until you press Start.")


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    return f"{value:g}" if isinstance(value, float) else str(value)
