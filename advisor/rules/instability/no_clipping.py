"""Nothing shortens a correction that is too big.

What it looks like: gradient clipping is switched off and the learning rate is high. One odd example can throw the whole training off.

Why: clipping makes an update shorter that asks for too much. With a usual rate it is hardly ever needed; with a large one it is what keeps
the first wild updates from doing harm.

What to do: gradient clipping of 1, or a usual learning rate.
"""

import math

from advisor.rules import Case, Found, change, fact, rule
from advisor.rules._reading import boldness, ended_well, ran_away, thrown_off, worse
from advisor.tasks import TEXT_AND_PICTURES

BOLD = 3.0  # times the usual corrections: below, nothing has to be clipped
USUAL_LENGTH = 1.0


@rule("R117", "instability", "warning", "propose", before=True, during=False, tasks=TEXT_AND_PICTURES)
def check(case: Case) -> Found | None:
    """No clipping at a large rate: said before the start; after it, beside what went wrong, where it ran away or was thrown off."""
    times = boldness(case)
    if case.asked.max_grad_norm > 0 or math.isnan(times) or times < BOLD:
        return None
    evidence = (
        fact("gradient clipping", "off"),
        fact("learning rate", case.asked.learning_rate),
        fact("times the usual size of corrections", float(f"{times:.3g}")),
    )
    fix = change(f"Switch gradient clipping on, at {USUAL_LENGTH:g}.", max_grad_norm=USUAL_LENGTH)
    words = f"Gradient clipping is off, and the corrections are {times:.3g} times the usual size."
    if case.view is None:
        return Found(0.6, f"{words} One odd example can throw such a training off.", evidence, (fix,))
    wrong = ran_away(case) or worse(case) or thrown_off(case)
    if not wrong and not ended_well(case):
        return None
    return Found(0.55 if wrong else 0.3, words, evidence, (fix,), severity="warning" if wrong else "info")
