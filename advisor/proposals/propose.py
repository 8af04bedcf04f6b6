"""What is proposed and what may start: the planner's plan, made with all that this machine's own runs taught.

Invariants: what the person fixed is never moved; a plan that a remembered failure rules out does not start unless the person insists.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from advisor.diagnosis.earlier import Earlier, repeated
from advisor.proposals.learned import priors
from advisor.text import TextPlan
from loralab.core.errors import UserError
from loralab.core.jobs import Origin
from loralab.core.records import DatasetProfile, Plan, Proposal
from loralab.lab import Lab, Limits, Point, never_twice, what_is_learned

Lineage = Callable[[dict[str, Any]], tuple[Earlier, ...]]


def propose(
    lab: Lab, profile: DatasetProfile, model: str, changes: dict[str, Any], limits: Limits, lineage: Lineage | None = None
) -> Proposal:
    """A complete plan with a reason for each choice, with all that is remembered in it.

    `lineage` gives the earlier runs of a plan's model on its examples: what went wrong in one is cited, and where another did better, that
    one's settings are proposed.
    """
    known = priors(lab, limits)
    found = lab.propose(profile, model, priors=known, **changes)
    again = repeated(found.plan, lineage(found.plan)) if lineage else None
    if again is None:
        return found
    better = {name: value for name, value in again.settings(found.plan).items() if name not in changes}
    if not better:
        return _cited(found, ["epochs"], f" An earlier run on these examples, {again.run.run}, came to this: {again.cause.lower()}.")
    moved = lab.propose(profile, model, priors=known, **changes, **better)
    if rules_out(lab, lab.typed(moved), limits):  # never into what is remembered to fail
        return found
    cited = f"{again.better.run if again.better else ''} did better with it on these examples than {again.run.run}, of which is known: "
    reasons = {name: f"{cited}{again.cause.lower()}." for name in better}
    return moved.model_copy(update={"reasons": moved.reasons | reasons})


def _cited(found: Proposal, names: Iterable[str], words: str) -> Proposal:
    """With a sentence more to the reasons of some settings."""
    more = {name: f"{found.reasons[name]}{words}" for name in names if name in found.reasons}
    return found.model_copy(update={"reasons": found.reasons | more})


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
