"""Weight decay pulls the adapter back as fast as it learns.

What it looks like: the loss comes down a little and stays, though the learning rate is a usual one; weight decay is above 0.1.

Why: in every update the adapter's numbers shrink by the learning rate times the weight decay. Over many updates that undoes what was
learned.

What to do: a weight decay of 0.01 or none.
"""

import math

from advisor.rules import Case, Found, change, fact, rule
from advisor.rules._reading import ended_well, learned_little, timid

HIGH_DECAY = 0.1  # Axolotl, training stability
PULLED_SHARE = 0.2  # share of an adapter's weight that decay took over the run: less cannot be what holds it back
USUAL_DECAY = 0.01


@rule("R39", "no learning", "info", "propose", during=False)
def check(case: Case) -> Found | None:
    """A high weight decay that took a good share of what was learned, and a run that learned little."""
    decay = case.plan.weight_decay
    shrunk = 1 - math.exp(-decay * case.signals.reach)
    if decay <= HIGH_DECAY or shrunk < PULLED_SHARE or not ended_well(case):
        return None
    little = learned_little(case) and not timid(case)
    evidence = (
        fact("weight decay", decay),
        fact("share of the adapter that it took over the run", shrunk),
        fact("held-out loss at best", case.signals.best, step=case.signals.best_step),
    )
    words = f"A weight decay of {decay:g} took {shrunk:.0%} of what the adapter was at the start of the run."
    fix = change(f"Use a weight decay of {USUAL_DECAY:g}.", weight_decay=USUAL_DECAY)
    return Found(0.65 if little else 0.4, words, evidence, (fix,), severity="warning" if little else "info")
