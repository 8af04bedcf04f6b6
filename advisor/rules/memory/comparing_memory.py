"""Memory ran out while comparing before and after.

What it looks like: the training comes to its end and is saved; then memory runs out in the verdict, and fewer examples are compared at
once, or none at all.

Why: writing answers keeps the whole text of every answer in memory, with and without the adapter.

What to do: nothing is lost. Close other programs and test it again later. There is no reason to train again.
"""

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules._memory import ran_out
from advisor.tasks import TEXT_AND_PICTURES


@rule("R19", "memory", "warning", "inform", tasks=TEXT_AND_PICTURES)
def check(case: Case) -> Found | None:
    """Memory ran out in the verdict."""
    found = ran_out(case, "comparing")
    if not found:
        return None
    lost = case.signals.final is None and not (case.view and case.view.active)
    words = "Memory ran out while comparing before and after; what was learned is saved."
    words += " There is no verdict yet." if lost else " With fewer examples at once there was room."
    evidence = (fact("times memory ran out while comparing", len(found), step=found[0].step),)
    fixes = (advice("Close other programs and test it again."),) if lost else ()
    return Found(0.9, words, evidence, fixes, severity="warning" if lost else "info")
