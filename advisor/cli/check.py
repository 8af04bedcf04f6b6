"""`check`, and how `train` begins: the preflight on the command line. Invariant: the promises of loralab/cli/app.py."""

from __future__ import annotations

from typing import Any

import typer

from advisor.advisor import Advisor
from advisor.diagnosis.findings import Diagnosis, Finding
from advisor.diagnosis.preflight import blocking
from advisor.text import is_text
from loralab.cli.console import File, Home, Json, Model, Output, RepeatedPlan, Role, Set, chosen, propose_for, repeated
from loralab.core.errors import UserError
from loralab.core.records import Proposal
from loralab.lab import Lab


def check(
    file: File = "",
    model: Model = "starter",
    settings: Set = None,
    role: Role = None,
    plan: RepeatedPlan = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """What would go wrong with a training, without starting it. The exit code is 1 where something certain stands in its way."""
    lab, out = Lab(home), Output(json)
    if plan is not None:
        values = repeated(lab, plan, settings, file)
    elif file:
        values = propose_for(lab, file, model, chosen(settings), role).plan
    else:
        raise UserError("There is nothing to check.", "Name a file of examples: python -m loralab check FILE.", code="no_file")
    if not is_text(values):
        raise UserError("Only trainings of text adapters can be checked.", "Name such a plan.", code="not_a_training")
    found = Advisor(lab).preflight(values)
    stop = blocking(found)
    text = "\n\n".join(told(finding) for finding in found.findings) or "Nothing stands in its way that the advisor knows of."
    out.give(found.model_dump() | {"blocked_by": stop.id if stop else None}, text)
    if stop is not None:
        raise typer.Exit(1)


def begin(lab: Lab, plan: dict[str, Any] | Proposal, out: Output, anyway: bool) -> str:
    """Start a training as `train` does: what is wrong is said, and what is certain to go wrong is not begun unless `anyway`."""
    values = plan.plan if isinstance(plan, Proposal) else plan
    if not is_text(values):
        return lab.start(plan)
    advisor = Advisor(lab)
    for finding in _worth_saying(advisor.preflight(values)):
        out.say(told(finding))
    try:
        return advisor.start(plan, anyway=anyway)
    except UserError as error:
        if error.problem.code == "never_twice" or error.problem.code.startswith("preflight_"):
            out.say("--anyway starts it all the same.")
        raise


def _worth_saying(found: Diagnosis) -> list[Finding]:
    """Alarms that do not stand in the way: what does is said as the reason for not starting."""
    return [finding for finding in found.alarms if finding != blocking(found)]


def told(finding: Finding) -> str:
    """A finding on a few lines: what, on what evidence, and what to do."""
    lines = [f"{finding.title}. {finding.words}", *(f"  - {evidence.words}" for evidence in finding.evidence)]
    return "\n".join([*lines, *(f"  > {fix.words}" for fix in finding.fixes)])
