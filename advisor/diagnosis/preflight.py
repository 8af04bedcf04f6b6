"""What is known of a plan before its first update: its examples, looked at by every rule that needs no run.

Invariant: only what is certain stands in the way of a start.
"""

from __future__ import annotations

from advisor.diagnosis.case import Case
from advisor.diagnosis.diagnose import diagnose
from advisor.diagnosis.findings import Diagnosis, Finding
from advisor.text import TextPlan
from loralab.core.errors import UserError
from loralab.core.records import DatasetProfile, Plan
from loralab.lab import Lab, footprint, what_is_learned

MIN_CONFIDENCE = 0.95  # of what stands in the way of a start


def preflight(lab: Lab, plan: Plan, profile: DatasetProfile | None = None) -> Diagnosis:
    """What would go wrong with a plan. Raises UserError where its examples or its model's tokenizer cannot be read."""
    if not isinstance(plan, TextPlan):
        raise UserError("Only plans for texts can be looked at before they start.", code="bad_task")
    facts, read = what_is_learned(plan, lab.catalog.tokenizer_folder(plan.base_model))
    profile, machine = profile or read, lab.machine()
    needs = footprint(plan, lab.check_model(plan.base_model), machine, profile)
    return diagnose(Case(plan=plan, asked=plan, facts=facts, profile=profile, machine=machine, needs=needs))


def blocking(diagnosis: Diagnosis) -> Finding | None:
    """What stands in the way of a start: the first finding that is certain to spoil the run."""
    return next((f for f in diagnosis.alarms if f.action == "block" and f.severity == "error" and f.confidence >= MIN_CONFIDENCE), None)


def insist(diagnosis: Diagnosis) -> None:
    """Raise UserError where something certain stands in the way of a start."""
    found = blocking(diagnosis)
    if found is not None:
        todo = found.fixes[0].words if found.fixes else ""
        raise UserError(f"{found.title}. {found.words}", todo, code=f"preflight_{found.rule}")
