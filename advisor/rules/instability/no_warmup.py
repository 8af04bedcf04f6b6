"""The training began with full corrections, and they threw it off at once.

What it looks like: it runs away within the first updates, or its loss rises there well above where it began and part of the run is spent on
getting back; there was no warm-up, and the learning rate is not extraordinary.

Why: in the first updates the optimiser does not know yet how large gradients usually are, so its first corrections are the wildest. A
warm-up keeps them small until it does.

What to do: a warm-up of a tenth of the run, and a learning rate half as large.
"""

from advisor.diagnosis.usual import rate_words
from advisor.rules import Case, Found, change, fact, rule
from advisor.rules._reading import EARLY_SHARE, HIGH_RATIO, abrupt, boldness, ended_well, ran_away, repaired, thrown_off, worse

MIN_RATIO = 3.0  # times the usual: below, a loss that rises at first has other reasons


def shaken(case: Case) -> bool:
    """Whether a run without a warm-up was thrown off by bold first updates and came back by itself."""
    if case.course.warms_up or not ended_well(case) or ran_away(case) or worse(case):
        return False
    return MIN_RATIO <= boldness(case) < HIGH_RATIO and thrown_off(case)


@rule("R23", "instability", "error", "retry")
def check(case: Case) -> Found | None:
    """It ran away at the beginning, without a warm-up; or was thrown off and came back, an alarm where that took much of the run."""
    if not abrupt(case):
        return _shaken(case) if shaken(case) else None
    first = case.signals.incidents("diverged")[0]
    rate = rate_words(min(case.plan.learning_rate, case.asked.learning_rate / 2))
    evidence = (
        fact("warm-up", case.course.warm_share, "of the run"),
        fact("update in which it had run away", first.step, step=first.step),
        fact("learning rate", case.asked.learning_rate),
    )
    words = f"Without a warm-up the training ran away by update {first.step}.{repaired(case)}"
    fix = change(f"Warm up for a tenth of the run, with a learning rate of {rate:g}.", learning_rate=rate, **case.course.slow_start())
    return Found(0.7, words, evidence, (fix,))


def _shaken(case: Case) -> Found:
    """What is said of a run that came back: what it cost."""
    signals, rate = case.signals, rate_words(case.asked.learning_rate / 2)
    share = round(100 * signals.back)
    evidence = (
        fact("warm-up", case.course.warm_share, "of the run"),
        fact("loss at its worst, above the start", signals.overshoot, "nats"),
        fact("of the run, until it was back where it began", share, "%"),
        fact("times the usual size of corrections", boldness(case)),
    )
    words = f"Without a warm-up the first corrections made it worse; {share} % of the run went by until it was back where it began."
    fix = change(f"Warm up for a tenth of the run, with a learning rate of {rate:g}.", learning_rate=rate, **case.course.slow_start())
    severity = "warning" if signals.back > EARLY_SHARE else "info"
    return Found(0.7, words, evidence, (fix,), severity=severity)
