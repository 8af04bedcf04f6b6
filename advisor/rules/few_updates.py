"""There are too few updates to change how a model writes.

What it looks like: the run is over after a handful of corrections, and the loss has hardly moved or was still falling fast.

Why: every update moves a weight by about the learning rate and no further. A hundred updates are a sensible least; a thousand are better.

What to do: more rounds over the examples, or fewer examples behind each update.
"""

import math

from advisor.case import Case
from advisor.findings import Evidence, Fix, Found
from advisor.rules import Rule
from advisor.rules._reading import ended_well, improved, learned_little, planned_updates
from advisor.rules.large_batch import too_large
from advisor.rules.rate_too_low import timid

ENOUGH, FEW = 100, 20  # updates (Tinker: at least 100, best 1,000); below FEW hardly anything changes
MOST_ROUNDS = 10.0  # over the same examples: more only teaches them by heart


def check(case: Case) -> Found | None:
    """Few updates are planned; after a run only where it learned little and the learning rate was a usual one."""
    batch = case.asked.effective_batch
    updates = planned_updates(case, batch)
    if not 0 < updates < ENOUGH or too_large(case) or (case.facts is None and not case.asked.max_steps):
        return None
    if case.view is not None and (not ended_well(case) or not learned_little(case) or timid(case) or improved(case)):
        return None
    evidence = [Evidence(what="updates", value=updates)]
    evidence += [Evidence(what="examples to learn from", value=case.facts.n_train)] if case.facts else []
    if case.ran:
        evidence.append(Evidence(what="held-out loss before training", value=case.signals.base))
        evidence.append(Evidence(what="held-out loss at best", value=case.signals.best, step=case.signals.best_step))
    few = updates < FEW
    words = f"{updates} update{'s are' if updates > 1 else ' is'} {'few' if few else 'not many'}: at least {ENOUGH} are usual."
    sure = 0.75 if few else 0.55 if case.ran else 0.4
    fixes, action = _fixes(case, updates), None if case.ran else "propose"
    severity = None if few or case.ran else "info"
    return Found(confidence=sure, words=words, evidence=tuple(evidence), fixes=fixes, severity=severity, action=action)


def _fixes(case: Case, updates: int) -> tuple[Fix, ...]:
    """As many rounds as make enough updates, or fewer examples behind each where that would be too many rounds."""
    if case.asked.max_steps:
        return (Fix(words=f"Make {ENOUGH} updates.", settings={"max_steps": ENOUGH}),)
    rounds = math.ceil(case.plan.epochs * ENOUGH / updates)
    if rounds <= MOST_ROUNDS or case.plan.effective_batch == 1:
        return (Fix(words=f"Go over the examples {rounds} times.", settings={"epochs": float(min(rounds, 1000))}),)
    batch = max(
        1, min(case.plan.effective_batch, math.floor(case.plan.effective_batch * updates / ENOUGH * MOST_ROUNDS / case.plan.epochs))
    )
    words = f"Go over the examples {MOST_ROUNDS:g} times, with {batch} behind each update."
    return (Fix(words=words, settings={"epochs": max(case.plan.epochs, MOST_ROUNDS), "effective_batch": batch}),)


RULE = Rule(
    "R37", "no learning", "There are too few updates to change how a model writes", "warning", "retry", check, before=True, during=False
)
