"""Only the longest examples do not fit into memory.

What it looks like: many updates go well, then memory runs out now and again: each time when one of the longest examples comes.

Why: all examples of a batch are filled up to its longest one, so that a single long row can need several times the usual memory.

What to do: bound the tokens at once, so that long rows are computed alone; or cut what is longer than nearly all others.
"""

from advisor.rules import Case, Fix, Found, change, fact, rule
from advisor.rules._memory import held_by_others, only_longest, plain_attention, ran_out, row_length, scattered, tokens, wide_vocabulary
from advisor.rules._reading import repaired
from loralab.core.words import count, times


@rule("R12", "memory", "warning", "retry")
def check(case: Case) -> Found | None:
    """Memory ran out over rows far longer than usual ones, and over no others."""
    if not only_longest(case) or case.facts is None:
        return None
    found, known = ran_out(case, "learning"), case.facts.tokens
    longest = max(map(row_length, found))
    budget = min(case.plan.token_budget or tokens(found[0]), max(longest, int(0.8 * min(map(tokens, found)))))
    evidence = (
        fact("longest example of an update that did not fit", longest, "tokens", step=found[0].step + 1),
        fact("a usual example", known["p50"], "tokens"),
        fact("times memory ran out", len(found)),
    )
    fixes = [change(f"Compute at most {count(budget, 'token')} at once.", token_budget=budget)]
    if known.get("p95", longest) < longest:
        fixes.append(
            Fix(words=f"Cut examples at {count(known['p95'], 'token')}.", settings={"max_length": max(16, known["p95"])}, data="shorten")
        )
    words = f"Memory ran out {times(len(found))}, always over examples of {count(longest, 'token')}; a usual one has {known['p50']:,}."
    other = held_by_others(case) or scattered(case) or plain_attention(case) or wide_vocabulary(case)  # what the allocator itself says
    return Found(0.5 if other else 0.75, words + repaired(case), evidence, fixes)
