"""It was ended before it had learned much.

What it looks like: a limit on updates or on time ended the training after a few updates, and what came of it is poor.

Why: the quick look teaches only the part that answers. The part that sees takes some dozens of corrections before a difference shows.

What to do: train to the end of its rounds. It stops by itself where more does not help.
"""

from advisor.rules import Case, Found, change, fact, rule
from advisor.rules.pictures._reading import PICTURE_TASKS, good, over, poor
from loralab.core.words import count, plural

FEW = 30  # updates
FAR = 2  # times as many were planned by the rounds


@rule("R227", "no learning", "warning", "propose", during=False, tasks=PICTURE_TASKS)
def check(case: Case) -> Found | None:
    """Few updates because of a limit, and a poor result."""
    course, updates = case.course, len(case.signals.steps)
    if not over(case) or not poor(case) or good(case) or updates >= FEW or course.bound not in ("updates", "clock"):
        return None
    planned = course.updates_planned(unlimited=True)
    if planned < FAR * updates:
        return None
    evidence = [fact("updates made", updates), fact("updates that the rounds would take", planned)]
    evidence.append(
        fact("most updates", course.most_updates) if course.bound == "updates" else fact("time limit", course.minutes, "minutes")
    )
    words = f"{count(updates, 'update')} {plural(updates, 'was', 'were')} made of {planned:,}, because of a limit in the plan."
    fix = change("Train without a limit: it stops by itself where more does not help.", **course.unlimited())
    return Found(0.7, words, evidence, (fix,))
