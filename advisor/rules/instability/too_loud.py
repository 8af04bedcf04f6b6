"""The adapter speaks too loudly: alpha is far too large for its rank.

What it looks like: the training runs away, gets worse or never gets better, although the learning rate is a usual one; alpha divided by
rank is eight or more.

Why: whatever the adapter learns is multiplied by alpha divided by rank (rank-stabilised: by its square root) before it is heard. Twice
the loudness is twice the learning rate, and more: it also multiplies what is already learned.

What to do: alpha of twice the rank, and the learning rate as it is.
"""

import math

from advisor.diagnosis.usual import USUAL_SCALE
from advisor.rules import Case, Found, change, fact, rule
from advisor.rules._reading import boldness, ended_well, loud, ran_away, repaired, worse


@rule("R28", "instability", "error", "retry", before=True)
def check(case: Case) -> Found | None:
    """Loud, and it went wrong; before a run: so loud that it most likely will."""
    if not loud(case) or not (case.view is None or ran_away(case) or worse(case) or (ended_well(case) and case.signals.gain <= 0)):
        return None
    times, before = boldness(case), case.view is None
    if before and math.isnan(times):
        return None
    alpha = USUAL_SCALE * case.text.rank
    evidence = [
        fact("loudness (alpha divided by rank)" if not case.text.use_rslora else "loudness (alpha by the root of rank)", case.scale),
        fact("learning rate", case.asked.learning_rate),
    ]
    evidence += [fact("times the usual size of corrections", times)] if math.isfinite(times) else []
    louder = case.scale / USUAL_SCALE
    words = f"With alpha {case.text.alpha:g} at rank {case.text.rank} the adapter speaks {louder:.3g} times louder than usual."
    words += " The training will most likely run away." if before else repaired(case)
    settings: dict[str, object] = {"alpha": alpha, **({"use_rslora": False} if case.text.use_rslora else {})}
    if case.plan.learning_rate != case.asked.learning_rate:
        settings["learning_rate"] = case.asked.learning_rate  # the rate was not what was wrong
    fix = change(f"Use an alpha of {alpha:g}, twice the rank.", **settings)
    sure = 0.6 if before else 0.85
    if before:
        return Found(sure, words, evidence, (fix,), severity="warning", action="propose")
    return Found(sure, words, evidence, (fix,))
