"""Too many tokens were computed at once for the memory there is.

What it looks like: memory runs out in one of the first updates. The run computes the same examples in smaller parts and goes on.

Why: memory grows with the tokens that go through the model together, padding counted.

What to do: fewer tokens at once. The result is the same, only the speed may suffer. If that is not enough: keep less and compute
more of it twice (“Recompute”), then keep numbers in half precision.
"""

from advisor.rules import Case, Found, change, fact, rule
from advisor.rules._memory import held_by_others, only_longest, plain_attention, ran_out, scattered, tokens, unit_of, wide_vocabulary
from advisor.rules._reading import repaired
from advisor.tasks import TEXT_AND_PICTURES
from advisor.text import TextPlan
from loralab.core.words import count

NEXT_SHARE = 0.8  # of what did not fit: as the run does it (loralab/train/oom.py)


@rule("R10", "memory", "error", "retry", tasks=TEXT_AND_PICTURES)
def check(case: Case) -> Found | None:
    """Memory ran out while several examples were computed together."""
    found = ran_out(case, "learning")
    if not found:
        return None
    least, unit = min(map(tokens, found)), unit_of(found[0])
    budget = min(case.plan.token_budget or least, max(1, int(NEXT_SHARE * least)))
    evidence = (
        fact("times memory ran out while learning", len(found), step=found[0].step + 1),
        fact(f"{unit}s at once that did not fit", least, f"{unit}s", rows=tuple(found[0].data.get("rows", ()))[:5]),
    )
    words = f"{count(least, unit)} at once did not fit into memory in update {found[0].step + 1}.{repaired(case)}"
    fixes = [change(f"Compute at most {count(budget, unit)} at once.", token_budget=budget)]
    if isinstance(case.plan, TextPlan) and case.plan.recompute != "full":
        more = "selective" if case.plan.recompute == "none" else "full"
        fixes.append(change("Keep less in memory and compute more of it twice.", token_budget=budget, recompute=more))
    other = held_by_others(case) or scattered(case) or plain_attention(case) or wide_vocabulary(case) or only_longest(case)
    severity = "warning" if repaired(case) else "error"
    return Found(0.5 if other else 0.85, words, evidence, fixes, severity=severity)
