"""Nearly every correction was cut short, and it still got worse.

What it looks like: more than half of the updates asked for a longer step than allowed, and the held-out examples became worse.

Why: gradient clipping shortens every step that is too long. Where it always acts it hides that the corrections are too big: shortened, they
still all overshoot.

What to do: a smaller learning rate, by two to three times. A tighter limit would only hide it better.
"""

from advisor.diagnosis.usual import rate_words
from advisor.rules import Case, Found, change, fact, rule
from advisor.rules._reading import boldness, ran_away, worse

MAX_CLIPPED_SHARE = 0.5  # Google's tuning playbook: with more than half of the updates clipped, the learning rate is what to look at
RATE_DIVISOR = 3.0


@rule("R24", "instability", "warning", "retry")
def check(case: Case) -> Found | None:
    """Most updates were clipped, the held-out examples got worse, and it did not run away."""
    share = case.signals.clipped(case.plan.max_grad_norm)
    if (
        not share > MAX_CLIPPED_SHARE
        or not worse(case)
        or ran_away(case)
        or boldness(case) < 1
        or case.signals.train_slope < 0 < case.signals.gain
    ):
        return None
    rate = rate_words(case.plan.learning_rate / RATE_DIVISOR)
    evidence = (
        fact("share of updates that were clipped", float(share)),
        fact("held-out loss before training", case.signals.base),
        fact("held-out loss at the end", case.signals.last),
        fact("learning rate", case.plan.learning_rate),
    )
    words = f"{share:.0%} of the updates were clipped, and the held-out loss rose from {case.signals.base:.3g} to {case.signals.last:.3g}."
    fix = change(f"Use a learning rate of {rate:g}.", learning_rate=rate)
    return Found(0.6, words, evidence, (fix,))
