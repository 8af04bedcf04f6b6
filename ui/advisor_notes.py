"""Owns what the advisor has to say on a page: findings about the plan before a run, about the run after its start, and how they look.

Invariant: nothing is said that is not worth acting on or knowing; what was put off is not said again for the same run or the same plan.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pydantic import Field

from advisor.advisor import Advisor
from advisor.data_advice import OPERATIONS, Advice
from advisor.findings import Diagnosis, Finding
from advisor.tries import Told
from loralab.errors import UserError
from loralab.records import Record
from ui.words import count, esc

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
    either: bool = False  # it cannot be told from the other causes shown
    again: bool = False  # the run failed and can be tried again with it


def before(found: Diagnosis, dataset: str, model: str) -> list[Note]:
    """Notes about a plan that has not run."""
    return [_note(one, "", f"{dataset}\n{model}\n{one.rule}", again=False) for one in _worth(found)]  # a plan has all of them at once


def of_run(advisor: Advisor, run: str, state: str) -> list[Note]:
    """Notes about a run; nothing about one that trained no adapter."""
    try:
        found = advisor.remember(run)
    except UserError:
        return []
    failed, either = state in ("failed", "killed"), found.could_be if len(found.could_be) > 1 else ()
    notes = [(one, _note(one, run, f"{run}\n{one.rule}", again=failed)) for one in _worth(found)]
    return [note.model_copy(update={"either": one in either}) for one, note in notes]


def _worth(found: Diagnosis) -> Iterable[Finding]:
    """The alarms first, then what is worth knowing and can be acted on."""
    return [*found.alarms, *(one for one in found.findings if not one.alarm and one.fixes)]


def _note(found: Finding, run: str, key: str, *, again: bool) -> Note:
    fix = found.fixes[0] if found.fixes else None
    return Note(
        key=key, run=run, rule=found.rule, title=found.title, words=found.words, severity=found.severity,
        evidence=tuple(evidence.words for evidence in found.evidence), fix=fix.words if fix else "",
        settings=fix.settings if fix else {}, data=fix.data if fix and fix.data in OPERATIONS else "",
        again=again and bool(fix and fix.settings) and found.action == "retry",
    )  # fmt: skip


def shown(notes: Sequence[Note], put_off: Sequence[str]) -> list[Note]:
    """What is left to say, gravest first."""
    rank = {"error": 0, "warning": 1, "info": 2}
    left = [note for note in notes if note.key not in put_off]
    return sorted(left, key=lambda note: rank.get(note.severity, 3))[:MOST]


# ---- how it looks ------------------------------------------------------------------------------------------------------------


def note_html(note: Note) -> str:
    """A card: the cause, what was seen, what to do; the evidence one click away."""
    tone = TONES.get(note.severity, "quiet")
    items = "".join(f"<li>{esc(line)}</li>" for line in note.evidence)
    proof = f"<details><summary>What this rests on</summary><ul>{items}</ul></details>" if items else ""
    doubt = '<p class="fine">It could be this, or one of the others marked so.</p>' if note.either else ""
    todo = f'<p class="do">{esc(note.fix)}</p>' if note.fix else ""
    return f'<div class="note {tone}"><h3>{esc(note.title)}</h3><p>{esc(note.words)}</p>{todo}{doubt}{proof}</div>'


def tries_html(told: Sequence[Told]) -> str:
    """The story of a chain of tries; nothing where there was only one run."""
    if len(told) < 2:
        return ""
    lines: list[str] = []
    for number, one in enumerate(told):
        what = esc(one.happened or "It did not work.") if number < len(told) - 1 else ""
        changed = f"<b>Changed:</b> {esc(one.changed)} " if one.changed else ""
        lines.append(f"<li>{changed}{esc(one.came_of_it)} {what}</li>")
    head = f"The advisor tried {count(len(told) - 1, 'more time', 'more times')}"
    return f'<div class="note tries"><h3>{head}</h3><ol>{"".join(lines)}</ol></div>'


def put_right_html(advice: Advice) -> str:
    """What was just done with the examples."""
    where = esc(advice.path.rpartition("/")[2])
    return f'<div class="note done"><p>{esc(advice.words)} They are in a new file, {where}; yours is as it was.</p></div>'


def applied_html(before_: dict[str, Any], after: dict[str, Any]) -> str:
    """What was just changed in the plan."""
    parts = [f"{esc(name.replace('_', ' '))}: {esc(before_.get(name))} → {esc(value)}" for name, value in after.items()]
    return f'<div class="note done"><p>Changed in the plan: {"; ".join(parts)}.</p></div>'
