"""Each update uses so many examples that there are hardly any updates.

What it looks like: more than thirty-two examples in each update, and few updates; with eight there would be enough. Where the loss fell
all the same and had settled, this is told and is no reason for alarm.

Why: adapters bear large batches badly, and each update uses up that many examples: the model is corrected seldom instead of often.

What to do: eight to sixteen examples per update.
"""

from advisor.rules import Case, Found, change, fact, rule
from advisor.rules._reading import USUAL_BATCH, cut_short, ended_well, learned_little, too_large
from loralab.core.words import count, plural

HARDLY_ANY_UPDATES = 20  # updates: whatever was learned in them, more would have been in more


@rule("R29", "instability", "warning", "propose", before=True)
def check(case: Case) -> Found | None:
    """A large batch left few updates; after a run only where it learned little, or there were hardly any."""
    if not too_large(case):
        return None
    updates, more = case.course.updates or case.course.updates_planned(), case.course.updates_planned(USUAL_BATCH)
    if case.view is not None and not learned_little(case) and not (ended_well(case) and updates < HARDLY_ANY_UPDATES):
        return None
    evidence = (
        fact("examples per update", case.asked.effective_batch),
        fact("updates in all", updates),
        fact(f"updates with {USUAL_BATCH} examples in each", more),
    )
    now = case.asked.effective_batch
    there = f"{plural(updates, 'is', 'are')} {count(updates, 'update')}"
    words = f"With {count(now, 'example')} per update there {there}; with {USUAL_BATCH} there would be {more:,}."
    fix = change(f"Use {USUAL_BATCH} examples per update.", effective_batch=USUAL_BATCH)
    severity = "info" if case.view is not None and not learned_little(case) and not cut_short(case) else None
    return Found(0.75 if case.view else 0.6, words, evidence, (fix,), severity=severity)
