"""The training began with full corrections, and they threw it off at once.

What it looks like: it runs away within the first updates; there was no warm-up, and the learning rate is not extraordinary.

Why: in the first updates the optimiser does not know yet how large gradients usually are, so its first corrections are the wildest. A
warm-up keeps them small until it does.

What to do: a warm-up of a tenth of the run, and a learning rate half as large.
"""

import math

from advisor.case import Case
from advisor.findings import Evidence, Fix, Found
from advisor.rules import Rule
from advisor.rules._reading import boldness, rate_words, repaired

EARLY = 0.1  # of the run, or the first ten updates
WARMUP = 0.1  # Google's tuning playbook: 5 to 10 % of the run
BOLD = 8.0  # times the usual learning rate: from here on the rate itself is the likelier cause


def abrupt(case: Case) -> bool:
    """Whether a run without a warm-up ran away at its very beginning with a rate that may do with one."""
    away = case.signals.incidents("diverged")
    if not away or case.asked.warmup > 0 or case.view is None:
        return False
    times = boldness(case)
    return away[0].step <= max(10, EARLY * case.view.total_steps) and (math.isnan(times) or times < BOLD)


def check(case: Case) -> Found | None:
    """It ran away at the beginning, without a warm-up."""
    if not abrupt(case):
        return None
    first = case.signals.incidents("diverged")[0]
    rate = rate_words(min(case.plan.learning_rate, case.asked.learning_rate / 2))
    evidence = (
        Evidence(what="warm-up", value=case.asked.warmup, unit="of the run"),
        Evidence(what="update in which it had run away", value=first.step, step=first.step),
        Evidence(what="learning rate", value=case.asked.learning_rate),
    )
    words = f"Without a warm-up the training ran away by update {first.step}.{repaired(case)}"
    fix = Fix(
        words=f"Warm up for a tenth of the run, with a learning rate of {rate:g}.", settings={"warmup": WARMUP, "learning_rate": rate}
    )
    return Found(confidence=0.7, words=words, evidence=evidence, fixes=(fix,))


RULE = Rule("R23", "instability", "The training began with full corrections, and they threw it off at once", "error", "retry", check)
