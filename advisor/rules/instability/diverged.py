"""The corrections were too big: the training ran away.

What it looks like: the loss climbs far above where it began and stays there, on the examples learned from and on those held out.

Why: each correction is the learning rate times how loudly the adapter speaks (alpha divided by rank). Beyond a point every correction
overshoots, and the next one has to repair it with a still bigger one.

What to do: a learning rate three to five times smaller, with a slow start. A run that has gone back by itself has done this already; a
retry begins with what it came to.
"""

import math

from advisor.rules import Case, Found, change, fact, rule
from advisor.rules._reading import abrupt, boldness, gentler, loud, never_right, ran_away, repaired
from advisor.tasks import TEXT_AND_PICTURES

RATE_DIVISOR = 5.0  # Axolotl, training stability: 3 to 5; Soup: 5


@rule("R26", "instability", "error", "retry", tasks=TEXT_AND_PICTURES)
def check(case: Case) -> Found | None:
    """The guard saw the run leave its start far behind on held-out examples, too; where it had its hands off, the curves show it."""
    if not ran_away(case):
        return None
    signals, times = case.signals, boldness(case)
    away = signals.incidents("diverged")
    step = away[0].step if away else next(look.step for look in signals.looks if look.loss == signals.worst)
    far = float(away[0].data.get("heldout", math.nan)) if away else signals.worst
    rate = gentler(case, RATE_DIVISOR)
    evidence = [
        fact("learning rate", case.asked.learning_rate),
        fact("held-out loss before training", signals.base),
        fact("held-out loss when it had run away", far, step=step),
    ]
    evidence += [fact("times the usual size of corrections", times)] if math.isfinite(times) else []
    words = (
        f"By update {step} the training had run away with a learning rate of {case.asked.learning_rate:g}.{repaired(case) if away else ''}"
    )
    settings = {"learning_rate": rate, **case.course.slow_start()}
    fix = change(f"Use a learning rate of {rate:g} with a slow start.", **settings)
    other = abrupt(case) or loud(case) or never_right(case)
    return Found(0.5 if other else 0.9, words, evidence, (fix,))
