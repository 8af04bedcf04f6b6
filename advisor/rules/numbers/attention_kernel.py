"""The fast way to compute attention gives numbers that are not finite.

What it looks like: nothing is finite from the first look on, whichever example is tried, although every weight of the model is in order;
computed in the plain way everything is fine.

Why: attention is computed by programs made for speed, which depend on the card, its driver and the version of torch. Some combinations
have faults.

What to do: compute attention in the plain way (“eager”): the same result, somewhat slower and with more memory for long examples. A newer
driver or torch may bring the fast way back.
"""

from advisor.rules import Case, Found, change, fact, rule
from advisor.rules._reading import repaired


@rule("R04", "non-finite", "error", "retry")
def check(case: Case) -> Found | None:
    """Numbers that were not finite until attention was computed in the plain way."""
    changed = case.signals.changed("attention")
    if not changed or changed[1] != "eager":
        return None
    switched = next(event.step for event in reversed(case.view.adjustments if case.view else ()) if event.setting == "attention")
    broken = case.signals.incidents("non_finite")
    after = [one for one in broken if one.step > switched + 1] or case.signals.code == "non_finite"
    words = f"With the fast attention the numbers were not finite; in the plain way they {'were not either' if after else 'are'}."
    versions = case.view.versions if case.view else {}
    evidence = [fact("attention", str(changed[0]))]
    evidence += [fact("update that was not finite", step=broken[0].step)] if broken else []
    evidence += [fact("version of torch", versions["torch"])] if "torch" in versions else []
    fix = change("Compute attention in the plain way.", attention="eager")
    return Found(0.2 if after else 0.9, words + repaired(case), evidence, (fix,))
