"""The card's memory was in pieces: enough of it, none large enough.

What it looks like: memory runs out although a good part of it is reserved and not in use; the message says so in numbers.

Why: rows of many different lengths leave gaps of many different sizes behind, and what is asked for next fits into none of them.

What to do: start again: a new run begins with all of the memory in one piece. Fewer tokens at once make the pieces smaller.
"""

from advisor.rules import Case, Found, advice, amount, change, rule
from advisor.rules._memory import said, scattered, tokens
from advisor.rules._reading import repaired
from loralab.core.words import count


@rule("R14", "memory", "warning", "retry")
def check(case: Case) -> Found | None:
    """What was reserved and not used is more than what was wanted, and a good part of the card."""
    incident = scattered(case)
    if incident is None:
        return None
    found = said(incident)
    budget = max(1, int(0.8 * (case.plan.token_budget or tokens(incident))))
    evidence = (
        amount("reserved and not in use", found["unused"], step=incident.step + 1),
        amount("wanted", found["wanted"], line=str(incident.data.get("error", ""))[:200]),
    )
    gap, wanted = evidence[0].value, evidence[1].value
    words = f"{gap:.2g} GB was free but in pieces, and {wanted:.2g} GB was wanted at once.{repaired(case)}"
    fixes = (
        change(f"Compute at most {count(budget, 'token')} at once.", token_budget=budget),
        advice("Close other programs that use the graphics card, then start it again."),
    )
    return Found(0.75, words, evidence, fixes)
