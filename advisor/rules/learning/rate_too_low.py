"""The corrections are too small to change anything.

What it looks like: the loss stays where it was, or has only begun to fall, quietly; the gradients are healthy. The learning rate, loudness
counted, is far below the usual for a model of this size.

Why: in each update a weight moves by about the learning rate, however strong its gradient is. A tenth of the usual rate needs ten times the
updates.

What to do: the learning rate that is usual for this model's size.
"""

import math

from advisor.diagnosis.case import Case
from advisor.diagnosis.findings import Evidence, Found
from advisor.rules import Rule
from advisor.rules._reading import boldness, cut_short, learned_little, rate_words, share_gained, usual_rate
from advisor.rules._usual import usual_corrections

TIMID, FAR = 0.34, 0.03  # times the usual
FALLING = -0.01  # change of the held-out loss over the last third: from here on more updates would do as well
ENOUGH = 3  # updates
MANY = 100  # updates that would do at the usual size: where they were made, it is their size that was wrong and not their number


def timid(case: Case) -> bool:
    """Whether corrections far smaller than usual are why it learned little or, all together, were worth no more than a handful.

    Where it was still falling, more updates would do as well: then it is their size only where they are tiny, or where there were enough.
    """
    updates, times = len(case.signals.steps), boldness(case)
    if updates < ENOUGH or not case.signals.norms.any():
        return False
    if learned_little(case):
        return times <= (FAR if case.signals.heldout_slope < FALLING else TIMID)
    return times <= (TIMID if updates >= MANY else FAR) and cut_short(case)


def check(case: Case) -> Found | None:
    """It learned little, or less than it would have, with small corrections and healthy gradients."""
    if not timid(case):
        return None
    times, rate = boldness(case), rate_words(usual_rate(case))
    gained = share_gained(case)
    evidence = (
        Evidence(what="learning rate", value=case.asked.learning_rate),
        Evidence(what="usual for a model of this size", value=rate),
        Evidence(what="times the usual size of corrections", value=float(f"{times:.3g}")),
        Evidence(what="held-out loss before training", value=case.signals.base),
        Evidence(what="held-out loss at best", value=case.signals.best, step=case.signals.best_step),
    )
    changed = "not at all" if not math.isfinite(gained) or gained < 5e-4 else f"by {gained:.1%}"
    words = f"The held-out loss fell {changed}, with corrections {times:.2g} times the usual size."
    return Found(confidence=0.9 if times <= FAR else 0.7, words=words, evidence=evidence, fixes=(usual_corrections(case),))


RULE = Rule("R33", "no learning", "The corrections are too small to change anything", "warning", "retry", check, during=False)
