"""What is proposed and what may start: the planner's plan, made with all that this machine's own runs taught.

Invariants: what the person fixed is never moved; a plan that a remembered failure rules out does not start unless the person insists.
"""

from __future__ import annotations

from typing import Any

from advisor.proposals.learned import priors
from advisor.text import TextPlan
from loralab.core.errors import UserError
from loralab.core.jobs import Origin
from loralab.core.records import DatasetProfile, Plan, Proposal
from loralab.lab import Lab, Limits, Point, never_twice, what_is_learned


def propose(lab: Lab, profile: DatasetProfile, model: str, changes: dict[str, Any], limits: Limits) -> Proposal:
    """A complete plan with a reason for each choice, with all that is remembered in it."""
    return lab.propose(profile, model, priors=priors(lab, limits), **changes)


def begin(lab: Lab, plan: Plan | dict[str, Any] | Proposal, limits: Limits, *, anyway: bool = False, origin: Origin | None = None) -> str:
    """Start a run; its id. Raises UserError where a remembered failure rules its plan out, unless the person wants it `anyway`."""
    typed = lab.typed(plan)
    if not anyway and (failure := rules_out(lab, typed, limits)):
        raise UserError(never_twice(failure).what, "Use the settings that are proposed.", code="never_twice")
    return lab.start(plan, origin)


def rules_out(lab: Lab, plan: Plan, limits: Limits) -> Point | None:
    """The remembered failure that rules a plan out; None where none does."""
    if not isinstance(plan, TextPlan):  # other kinds leave no points
        return None
    facts, _ = what_is_learned(plan, lab.catalog.tokenizer_folder(plan.base_model), lab.home)  # read before, by the preflight
    return lab.ruled_out(plan, facts, limits)
