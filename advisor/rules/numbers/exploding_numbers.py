"""The adapter's numbers grew until they were too large to compute with.

What it looks like: the corrections, or what the model computes with them, become infinite, though every number of the adapter and of the
base model is still in order; going back to an earlier state makes all examples fine again.

Why: corrections that are too big make the adapter speak louder and louder. At some point what it says no longer fits into a number.

What to do: a learning rate three to five times smaller with a slow start, and gradient clipping switched on.
"""

import math

from advisor.rules import Case, Found, change, fact, rule
from advisor.rules._reading import answer, gentler, repaired
from advisor.tasks import TEXT_AND_PICTURES

RATE_DIVISOR = 5.0  # Axolotl, training stability: 3 to 5
AGAIN_WORDS = "kept coming"  # the guard's words for numbers that were lost for a moment, see passing_nan
MIN_GROWTH = 100.0  # times the usual gradient: more than a single odd example makes of it


@rule("R02", "non-finite", "error", "retry", tasks=TEXT_AND_PICTURES)
def check(case: Case) -> Found | None:
    """Numbers that were not finite and that a smaller learning rate, or going back, made finite; or gradients that grew into it."""
    signals = case.signals
    broken = signals.incidents("non_finite")
    if not broken or signals.incidents("bad_row") or signals.changed("precision") or signals.changed("attention"):
        return None
    first = broken[0]
    lost = "in the adapter is not finite" in first.text
    changes = filter(None, (answer(case, one, "learning_rate") for one in broken))
    softened = next((change for change in changes if AGAIN_WORDS not in change.reason), None)
    growth = signals.growth_before(first.step)
    if lost or not (softened or growth > MIN_GROWTH):
        return None
    rate = gentler(case, RATE_DIVISOR)
    settings = {"learning_rate": rate, **case.course.slow_start(), "max_grad_norm": case.plan.max_grad_norm or 1.0}
    evidence = [fact("learning rate", case.asked.learning_rate), fact("update that was not finite", first.step, step=first.step)]
    if math.isfinite(growth) and growth > 1:
        evidence.append(fact("growth of the corrections just before", float(growth), "times", step=first.step))
    words = f"In update {first.step} the numbers became too large to compute with; from an earlier state they were fine.{repaired(case)}"
    fix = change(f"Use a learning rate of {rate:g}, with a slow start and gradient clipping.", **settings)
    return Found(0.85 if softened else 0.7, words, evidence, (fix,))
