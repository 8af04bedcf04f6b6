"""Held-out pictures are nearly the same as learned ones, or of the same patient or source.

What it looks like: the result looks better than it is. On pictures from elsewhere it does much worse.

Why: whoever has seen a picture knows its copy, and whoever has seen a patient knows the next picture of that patient. Copies and pictures
that belong together are kept on one side by themselves; where they are most of a small data set that is not possible.

What to do: do not trust the number. Keep pictures of other patients or from other places for testing: put them into a folder called
“test”.
"""

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules.pictures._reading import PICTURE_TASKS
from loralab.core.words import count, plural

ALARM = 0.05  # of the held-out pictures


@rule("R208", "data", "warning", "propose", before=True, tasks=PICTURE_TASKS)
def check(case: Case) -> Found | None:
    """Held-out pictures with a near copy, or of the same group, among those it learns from or chooses by."""
    facts = case.facts
    found = case.view.conclusion if case.view else None
    if facts is None or not facts.n_heldout or not facts.near_shared + facts.group_shared:
        return None
    rows = (*facts.rows.get("near_shared", ()), *facts.rows.get("group_shared", ()))
    number = max(facts.near_shared, facts.group_shared)
    evidence = [
        fact("held-out pictures with a near copy on the other side", facts.near_shared, rows=rows),
        fact("held-out pictures of a patient or source on the other side", facts.group_shared),
        fact("held-out pictures", facts.n_heldout),
    ]
    how = "nearly the same as one it learns from" if facts.near_shared >= facts.group_shared else "of a patient or source it learns from"
    words = f"{number:,} of {count(facts.n_heldout, 'held-out picture')} {plural(number, 'is', 'are')} {how}."
    fix = advice("Put pictures of other patients, or from other places, into a folder called “test”.", "review", number)
    alarm = number >= ALARM * facts.n_heldout
    sure = 0.9 if found and found.capped else 0.7 if alarm else 0.4
    return Found(sure, words, evidence, (fix,), severity="warning" if alarm else "info")
