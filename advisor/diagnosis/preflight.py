"""What is known of a plan before its first update: its examples, looked at by every rule that needs no run.

Invariants: only what is certain stands in the way of a start; a way out of it is offered only where it was tried and leads out.
"""

from __future__ import annotations

from dataclasses import replace

from advisor.diagnosis.case import Case
from advisor.diagnosis.diagnose import diagnose
from advisor.diagnosis.earlier import Earlier
from advisor.diagnosis.findings import Diagnosis, Finding, Fix, fact
from advisor.rules import rules
from advisor.tasks import DrawPlan, PicturePlan
from advisor.text import TextPlan
from loralab.core.errors import UserError
from loralab.core.records import DatasetProfile, Plan
from loralab.lab import OPERATIONS, Lab, footprint, rows_said, what_is_learned, what_would_be_learned

TRIED = ("template", "data", "learning")  # kinds of findings that depend on what the model reads
CONTRADICTIONS = ("conventions_differ",)  # rules whose first two rows are shown side by side
MOST_LETTERS = 80  # of a question or an answer that is shown
MIN_CONFIDENCE = 0.95  # of what stands in the way of a start


def preflight(lab: Lab, plan: Plan, profile: DatasetProfile | None = None, earlier: tuple[Earlier, ...] = ()) -> Diagnosis:
    """What would go wrong with a plan; `earlier`: what its lineage came to.

    Raises UserError where its examples or its model's tokenizer cannot be read.
    """
    if isinstance(plan, PicturePlan | DrawPlan):
        facts, read = what_is_learned(plan, lab.catalog.folder(plan.base_model), lab.home)
        return diagnose(Case(plan=plan, asked=plan, facts=facts, profile=profile or read, machine=lab.machine(), earlier=earlier))
    if not isinstance(plan, TextPlan):
        raise UserError("Only plans for text, for pictures and for drawing can be checked before they start.", code="bad_task")
    facts, read = what_is_learned(plan, lab.catalog.tokenizer_folder(plan.base_model), lab.home)
    profile, machine = profile or read, lab.machine()
    needs = footprint(plan, lab.check_model(plan.base_model), machine, profile)
    case = Case(plan, plan, facts, profile, machine, needs=needs, models=lab.model_choices(profile), earlier=earlier)
    found = diagnose(case)
    told = (_side_by_side(lab, plan, _with_cures(lab, case, finding)) for finding in found.findings)
    return found.model_copy(update={"findings": tuple(told)})


def _side_by_side(lab: Lab, plan: Plan, finding: Finding) -> Finding:
    """A contradiction with its first two rows as they stand in the file. They are shown here and kept nowhere."""
    rows = next((one.rows[:2] for one in finding.evidence if len(one.rows) > 1), ())
    if finding.rule not in CONTRADICTIONS or not rows:
        return finding
    said = rows_said(plan, rows, lab.home)
    lines = [fact(f"row {row}", line=f"{_short(said[row][0])} → {_short(said[row][1])}") for row in rows if row in said]
    return finding.model_copy(update={"evidence": (*finding.evidence, *lines)})


def _short(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= MOST_LETTERS else f"{plain[: MOST_LETTERS - 1]}…"


def _with_cures(lab: Lab, case: Case, finding: Finding) -> Finding:
    """What blocks a start, with only those ways out that lead out of it: each is tried, and the same rule asked again."""
    if finding.action != "block" or finding.group not in TRIED:
        return finding
    kept = tuple(fix for fix in finding.fixes if _leads_out(lab, case, finding, fix))
    return finding.model_copy(update={"fixes": kept})


def _leads_out(lab: Lab, case: Case, finding: Finding, fix: Fix) -> bool:
    if not fix.settings and fix.data not in OPERATIONS:
        return True  # another model, another file: that is for the person to try
    plan, folder = case.plan.model_copy(update=fix.settings), lab.catalog.tokenizer_folder(case.plan.base_model)
    try:
        facts = what_would_be_learned(plan, folder, fix.data, lab.home) if fix.data else what_is_learned(plan, folder, lab.home)[0]
    except UserError:
        return False
    again = rules()[finding.rule].find(finding.rule, replace(case, plan=plan, asked=plan, facts=facts))
    return bool(facts.n_train) and (again is None or again.action != "block")


def blocking(diagnosis: Diagnosis) -> Finding | None:
    """What stands in the way of a start: the first finding that is certain to spoil the run."""
    return next((f for f in diagnosis.alarms if f.action == "block" and f.severity == "error" and f.confidence >= MIN_CONFIDENCE), None)


def insist(diagnosis: Diagnosis) -> None:
    """Raise UserError where something certain stands in the way of a start."""
    found = blocking(diagnosis)
    if found is not None:
        todo = found.fixes[0].words if found.fixes else ""
        raise UserError(f"{found.title}. {found.words}", todo, code=f"preflight_{found.rule}")
