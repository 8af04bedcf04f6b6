"""The corrections are too small to change anything.

What it looks like: the loss stays where it was, or has only begun to fall, quietly; the gradients are healthy. The learning rate, loudness
counted, is far below the usual for a model of this size.

Why: in each update a weight moves by about the learning rate, however strong its gradient is. A tenth of the usual rate needs ten times the
updates.

What to do: the learning rate that is usual for this model's size.
"""

import math

from advisor.diagnosis.usual import rate_words, usual_rate
from advisor.rules import Case, Found, fact, rule
from advisor.rules._reading import FAR_TIMID_RATIO, boldness, share_gained, timid
from advisor.rules._usual import usual_corrections


@rule("R33", "no learning", "warning", "retry", during=False)
def check(case: Case) -> Found | None:
    """It learned little, or less than it would have, with small corrections and healthy gradients."""
    if not timid(case):
        return None
    times, rate = boldness(case), rate_words(usual_rate(case))
    gained = share_gained(case)
    evidence = (
        fact("learning rate", case.asked.learning_rate),
        fact("usual for a model of this size", rate),
        fact("times the usual size of corrections", float(f"{times:.3g}")),
        fact("held-out loss before training", case.signals.base),
        fact("held-out loss at best", case.signals.best, step=case.signals.best_step),
    )
    changed = "not at all" if not math.isfinite(gained) or gained < 5e-4 else f"by {gained:.1%}"
    words = f"The held-out loss fell {changed}, with corrections {times:.2g} times the usual size."
    return Found(0.9 if times <= FAR_TIMID_RATIO else 0.7, words, evidence, (usual_corrections(case),))
