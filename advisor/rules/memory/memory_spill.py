"""The graphics card was full, and Windows used main memory in its place.

What it looks like: nothing fails; updates suddenly take many times as long, and the card's memory is full.

Why: instead of saying that memory is out, the driver moves what does not fit into main memory, which is far away from the card.

What to do: fewer tokens at once; close programs that show pictures or videos. In the NVIDIA settings “CUDA - Sysmem Fallback Policy” can be
set to “Prefer No Sysmem Fallback”, so that the run notices at once.
"""

from advisor.rules import Case, Found, change, fact, rule
from advisor.rules._memory import tokens
from advisor.rules._reading import repaired
from loralab.core.words import count


@rule("R77", "memory", "warning", "retry")
def check(case: Case) -> Found | None:
    """An update crawled while the card was full."""
    found = case.signals.incidents("memory_spill")
    if not found:
        return None
    budget = min(case.plan.token_budget or tokens(found[-1]), max(1, int(0.8 * min(map(tokens, found)))))
    evidence = (
        fact("updates that crawled", len(found), step=found[0].step, line=found[0].text[:200]),
        fact("tokens at once", tokens(found[0]), "tokens"),
    )
    words = f"From update {found[0].step} on the card was full and Windows used main memory in its place.{repaired(case)}"
    fix = change(f"Compute at most {count(budget, 'token')} at once.", token_budget=budget)
    return Found(0.95, words, evidence, (fix,))
