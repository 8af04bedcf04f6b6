"""The corrections are too big for the training to settle.

What it looks like: the loss goes down, then up again, also on the examples learned from, or its gradients jump again and again; the result
is no better than before, or much worse than it was in between. It does not run away for good.

Why: near a good place the corrections overshoot to its other side. A smaller step would get in.

What to do: a learning rate about three times smaller with a slow start; more examples per update steady it, too.
"""

import math

from advisor.rules import Case, Found, change, fact, rule
from advisor.rules._reading import boldness, gentler, ran_away, worse

MIN_RATIO = 3.0  # times the usual: below, other causes are likelier
MIN_JUMPS = 3
RATE_DIVISOR = 3.0
MIN_REBOUND = 0.15  # of the start: the training loss came up again by more than noise


@rule("R25", "instability", "warning", "retry")
def check(case: Case) -> Found | None:
    """The training loss itself came up again, or gradients kept jumping, and the held-out examples got worse than they began."""
    signals = case.signals
    times = boldness(case)
    up = signals.rebound > max(MIN_REBOUND * abs(signals.base), 3 * signals.noise)
    stuck = signals.last_loss > min(signals.first_loss, signals.base)
    if ran_away(case) or times < MIN_RATIO or not (worse(case) or (stuck and signals.last > signals.base)):
        return None
    jumping = signals.jumps >= MIN_JUMPS
    if not (up or stuck or jumping):
        return None
    rate = gentler(case, RATE_DIVISOR)
    evidence = [
        fact("learning rate", case.asked.learning_rate),
        fact("held-out loss before training", signals.base),
        fact("held-out loss at the end", signals.last),
    ]
    if math.isfinite(signals.rebound):
        evidence.append(fact("training loss at the end, above its lowest", signals.rebound, "nats"))
    evidence += [fact("updates whose gradient jumped", signals.jumps)] if jumping else []
    evidence += [fact("times the usual size of corrections", times)] if math.isfinite(times) else []
    words = f"The loss did not settle with a learning rate of {case.asked.learning_rate:g}, not even on the examples it learns from."
    settings = {"learning_rate": rate, **case.course.slow_start()}
    fix = change(f"Use a learning rate of {rate:g} with a slow start.", **settings)
    sure = 0.85 if signals.gain <= 0 or stuck else 0.7  # not one look was better than the model had been before
    return Found(sure, words, evidence, (fix,))
