"""`check`, and how `train` begins: the preflight on the command line. Invariant: the promises of loralab/cli/app.py."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from loralab import lab as facade
from loralab.cli.console import File, Home, Json, Model, Output, RepeatedPlan, Role, Set, Sheet, chosen, propose_for, repeated
from loralab.core.errors import UserError

if TYPE_CHECKING:
    from advisor.diagnosis.findings import Diagnosis, Finding
    from loralab.core.errors import Problem
    from loralab.core.records import DatasetProfile, Proposal
    from loralab.lab import Lab


def check(  # noqa: PLR0913, PLR0917 - each is an option of the command line
    file: File = "",
    model: Model = "",
    settings: Set = None,
    role: Role = None,
    sheet: Sheet = None,
    plan: RepeatedPlan = None,
    json: Json = False,
    home: Home = None,
) -> None:
    """What would go wrong with a training, without starting it. The exit code is 1 where something certain stands in its way."""
    from advisor.advisor import Advisor
    from advisor.diagnosis.preflight import blocking
    from advisor.tasks import is_known

    lab, out = facade.Lab(home), Output(json)
    if plan is not None:
        values = repeated(lab, plan, settings, file)
    elif file:
        values = propose_for(lab, file, model, chosen(settings), role, sheet, propose).plan
    else:
        raise UserError("There is nothing to check.", "Name a file of examples: python -m loralab check FILE.", code="no_file")
    if not is_known(values):
        raise UserError("Only plans for text and pictures can be checked.", "Name such a plan.", code="not_a_training")
    found = Advisor(lab).preflight(values)
    stop, broken = blocking(found), _damaged(lab, str(values.get("base_model", "")))
    lines = [str(problem) for problem in broken] + [told(finding) for finding in found.findings]
    text = "\n\n".join(lines) or "The advisor knows of nothing that stands in its way."
    certain = not values.get("guessed")
    blocked = stop.id if stop else broken[0].code if broken else None
    out.give(found.model_dump() | {"blocked_by": blocked, "certain": certain, "model": [one.model_dump() for one in broken]}, text)
    if blocked is not None:
        raise typer.Exit(1)


def _damaged(lab: Lab, model: str) -> list[Problem]:
    """What is wrong with a model that is here: a part of its weights is missing, for instance."""
    found = lab.check_model(model)
    return [problem for problem in found.problems if problem.severity == "error"] if found.present else []


def propose(lab: Lab, profile: DatasetProfile, model: str, changes: dict[str, Any]) -> Proposal:
    """The plan for a file with all that is remembered in it: what `plan` shows, `train` begins and `check` looks at."""
    from advisor.advisor import Advisor

    return Advisor(lab).propose(profile, model, **changes)


def begin(lab: Lab, plan: dict[str, Any] | Proposal, out: Output, anyway: bool) -> str:
    """Start a training as `train` does: what is wrong is said, and what is certain to go wrong is not begun unless `anyway`."""
    from advisor.advisor import Advisor
    from advisor.tasks import is_known

    values = plan if isinstance(plan, dict) else plan.plan
    if not is_known(values):
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
    from advisor.diagnosis.preflight import blocking

    return [finding for finding in found.alarms if finding != blocking(found)]


def told(finding: Finding) -> str:
    """A finding on a few lines: what, on what evidence, and what to do."""
    lines = [f"{finding.title}. {finding.words}", *(f"  - {evidence.words}" for evidence in finding.evidence)]
    return "\n".join([*lines, *(f"  > {fix.words}" for fix in finding.fixes)])
