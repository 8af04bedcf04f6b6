"""Most of the adapter is switched off at random while it learns.

What it looks like: dropout is a half or more. The loss on the examples it learns from stays high and jumps, and what it gains is little.

Why: dropout switches parts of the adapter off at random in each update. A twentieth or a tenth helps against learning by heart; from a half
on hardly anything gets through, and each update learns from noise.

What to do: a dropout of 0.05, or none with more than a thousand examples.
"""

from advisor.rules import Case, Found, change, fact, rule
from advisor.rules._reading import ended_well, improved, learned_little, share_gained

HEAVY, MOST = 0.5, 0.8  # of the adapter: nobody uses so much; from the other on an alarm
USUAL_DROPOUT = 0.05


@rule("R115", "no learning", "warning", "propose", before=True, during=False)
def check(case: Case) -> Found | None:
    """A dropout nobody uses: said before the start; after it, the cause where the run learned little."""
    dropout = case.text.dropout
    if dropout < HEAVY or (case.view is not None and not ended_well(case)):
        return None
    evidence = [fact("dropout", dropout), fact("usual", "0 to 0.1")]
    words = f"A dropout of {dropout:g} switches {dropout:.0%} of the adapter off in each update."
    fix = change(f"Use a dropout of {USUAL_DROPOUT:g}.", dropout=USUAL_DROPOUT)
    if case.view is None:
        words += " Most often a run learns little that way."
        return Found(0.8 if dropout >= MOST else 0.6, words, evidence, (fix,))
    evidence.append(fact("gained, of the held-out loss at the start", round(100 * share_gained(case)), "%"))
    little = learned_little(case) or not improved(case)
    loud = little or dropout >= MOST  # also where it got better all the same: with a usual one it gets far further
    return Found(0.85 if little else 0.7 if loud else 0.4, words, evidence, (fix,), severity="warning" if loud else "info")
