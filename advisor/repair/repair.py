"""What a failed run is tried again with: the cause, the way out, and settings that no remembered failure rules out.

Invariants: a repair changes something, changes only what a finding asks for (and what the memory of failures adds), and never the examples
themselves nor what is asked of the model; the same way out is not tried twice in one chain.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from advisor.diagnosis.case import Case
from advisor.diagnosis.findings import Diagnosis, Finding, Fix
from advisor.tasks import known_plan
from advisor.text import TextPlan
from loralab.core.records import Plan, Record
from loralab.lab import Limits, avoid_known_failures

KEPT = frozenset({"task", "dataset", "base_model", "title", "seed", "heldout_share"})  # what a person asked for, not how it is done


class Repair(Record):
    """What is changed before the next try, and why."""

    finding: Finding
    fix: Fix
    settings: dict[str, Any]  # all that differs from the plan as it failed
    remembered: tuple[str, ...] = ()  # runs whose failures moved the settings further
    words: str

    def plan(self, failed: Plan) -> Plan:
        """The plan of the next try."""
        return known_plan(failed.model_dump() | self.settings)


def repair(case: Case, diagnosis: Diagnosis, limits: Limits, tried: Sequence[dict[str, Any]] = ()) -> Repair | None:
    """The next try of a failed run; None where nothing may be done without asking. `tried`: what earlier tries of the chain changed."""
    for finding in diagnosis.alarms:
        if finding.action != "retry":
            continue
        for fix in finding.fixes:
            if found := _repaired(case, finding, fix, limits, tried):
                return found
    return None


def _repaired(case: Case, finding: Finding, fix: Fix, limits: Limits, tried: Sequence[dict[str, Any]]) -> Repair | None:
    wanted = {name: value for name, value in fix.settings.items() if name not in KEPT}
    before, asked = case.asked.model_dump(), known_plan(case.plan.model_dump() | wanted)
    avoided = avoid_known_failures(asked, case.facts, limits) if case.facts and isinstance(asked, TextPlan) else None
    if avoided and not avoided.possible:
        return None
    after = asked.model_copy(update=avoided.settings) if avoided else asked
    changed = {name: value for name, value in after.model_dump().items() if value != before[name]}
    if not changed or changed in tried:
        return None
    remembered = tuple(dict.fromkeys(point.run for point in avoided.because if point.run)) if avoided else ()
    return Repair(finding=finding, fix=fix, settings=changed, remembered=remembered, words=_words(finding, fix, remembered, case))


def _words(finding: Finding, fix: Fix, remembered: Sequence[str], case: Case) -> str:
    others = [run for run in remembered if case.view is None or run != case.view.run]
    more = f" It also keeps clear of what went wrong in {' and '.join(others)}." if others else ""
    return f"{finding.title}. {fix.words}{more}"
