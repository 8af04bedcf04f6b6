"""It was ended before it had learned much.

What it looks like: a limit on updates or on time ended the training after a few updates, and what came of it is poor.

Why: the quick look teaches only the part that answers. The part that sees takes some dozens of corrections before a difference shows.

What to do: train to the end of its rounds. It stops by itself where more does not help.
"""

from dataclasses import replace

from advisor.rules import Case, Found, change, fact, rule
from advisor.rules._reading import planned_updates
from advisor.rules.pictures._reading import PICTURE_TASKS, good, over, poor
from loralab.core.words import count, plural

FEW = 30  # updates
FAR = 2  # times as many were planned by the rounds


@rule("R227", "no learning", "warning", "propose", during=False, tasks=PICTURE_TASKS)
def check(case: Case) -> Found | None:
    """Few updates because of a limit, and a poor result."""
    plan, updates = case.asked, len(case.signals.steps)
    if not over(case) or not poor(case) or good(case) or updates >= FEW or not (plan.max_steps or plan.max_minutes):
        return None
    whole = plan.model_copy(update={"max_steps": 0})
    planned = planned_updates(replace(case, asked=whole), plan.effective_batch)
    if planned < FAR * updates:
        return None
    evidence = [fact("updates made", updates), fact("updates that the rounds would take", planned)]
    evidence.append(fact("most updates", plan.max_steps) if plan.max_steps else fact("time limit", plan.max_minutes, "minutes"))
    words = f"{count(updates, 'update')} {plural(updates, 'was', 'were')} made of {planned:,}, because of a limit in the plan."
    fix = change("Train without a limit: it stops by itself where more does not help.", max_steps=0, max_minutes=0.0)
    return Found(0.7, words, evidence, (fix,))
