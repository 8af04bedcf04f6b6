"""The diagnosis: all rules asked about one case, and the order of what they say.

Invariants: a rule that breaks is a bug and raises; the order depends on the case alone; what only informs comes last, and of that first
what would have changed most in what came of the run: there its confidence says so. What a person reads first after a run that came out
poorly is therefore how it was trained (its rate, its updates, its parts), then how far the verdict can be trusted, and last small faults
that any file has.
"""

from __future__ import annotations

from advisor.diagnosis.case import Case
from advisor.diagnosis.findings import Diagnosis, Finding
from advisor.rules import rules

_GRAVITY = {"error": 0, "warning": 1, "info": 2}


def diagnose(case: Case) -> Diagnosis:
    """What went wrong in a run, or would in a plan that has not run, the likeliest cause first."""
    before, active = case.view is None, bool(case.view and case.view.active)
    known = {name: rule for name, rule in rules().items() if rule.tasks is None or case.plan.task in rule.tasks}
    asked = {name: rule for name, rule in known.items() if (rule.before or not before) and (rule.during or not active)}
    found = sorted((found for name, rule in asked.items() if (found := rule.find(name, case))), key=_order)
    return Diagnosis(run=case.view.run if case.view else "", findings=tuple(found))


def _order(finding: Finding) -> tuple[bool, float, int, bool, str]:
    told = finding.severity == "info"
    return told, -finding.confidence, _GRAVITY[finding.severity], told and finding.group == "data", finding.id
