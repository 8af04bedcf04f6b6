"""The model's large vocabulary filled the memory.

What it looks like: memory runs out, and the size that was asked for is exactly that of one number for every word of the vocabulary at every
position.

Why: to learn a position the model gives every word it knows a number. With 150,000 words and more that is the largest thing in a step.

What to do: fewer tokens at once; below 1,024 positions it shrinks with them. A model with a smaller vocabulary needs less.
"""

from advisor.rules import Case, Found, amount, change, fact, rule
from advisor.rules._memory import TILE_POSITIONS, said, tokens, wide_vocabulary
from advisor.rules._reading import repaired
from loralab.core.words import count


@rule("R15", "memory", "warning", "retry")
def check(case: Case) -> Found | None:
    """What was wanted is the size of the numbers for all words."""
    incident = wide_vocabulary(case)
    if incident is None or case.facts is None:
        return None
    budget = max(1, min(TILE_POSITIONS, case.plan.token_budget or TILE_POSITIONS, tokens(incident)) // 2)
    evidence = (
        fact("words of the vocabulary", case.facts.vocabulary),
        amount("wanted at once", said(incident)["wanted"], step=incident.step + 1),
    )
    words = f"Numbers for all {case.facts.vocabulary:,} words at every position did not fit into memory.{repaired(case)}"
    fix = change(f"Compute at most {count(budget, 'token')} at once.", token_budget=budget)
    return Found(0.75, words, evidence, (fix,))
