"""A number of the adapter was lost in the middle of the run.

What it looks like: from one update to the next a weight of the adapter holds no number, although the updates before it were in order.

Why: the run never lets a correction through that is not finite, so the number was lost in memory: a fault of the hardware, a card
clocked too high, or a program that writes where it should not.

What to do: the run goes back to its last good state by itself. If it happens again, have the memory tested and take back any overclocking.
"""

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules._reading import repaired
from advisor.tasks import TEXT_AND_PICTURES

SIGN = "in the adapter is not finite"  # loralab/train/guard.py


@rule("R71", "non-finite", "warning", "retry", tasks=TEXT_AND_PICTURES)
def check(case: Case) -> Found | None:
    """The guard found a weight of the adapter that is not finite."""
    found = [one for one in case.signals.incidents("non_finite") if SIGN in one.text]
    if not found:
        return None
    evidence = (fact("times a number of the adapter was lost", len(found), step=found[0].step),)
    words = f"Just before update {found[0].step} a number of the adapter was lost.{repaired(case)}"
    fix = advice("Train it again; if it comes back, have the computer's memory tested.")
    return Found(0.85, words, evidence, (fix,), action="inform" if repaired(case) else "retry")
