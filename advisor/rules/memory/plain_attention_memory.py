"""Plain attention takes memory with the square of the length.

What it looks like: memory runs out over long examples, and attention is computed in the plain way (“eager”).

Why: plain attention keeps a number for every pair of tokens: twice the length is four times the memory. The fast way keeps none of them.

What to do: the fast way (“sdpa”), unless it was switched off because it failed; then cut or split long examples.
"""

from advisor.rules import Case, Found, change, fact, rule
from advisor.rules._memory import plain_attention, row_length
from advisor.rules._reading import repaired
from loralab.core.words import count


@rule("R20", "memory", "warning", "retry")
def check(case: Case) -> Found | None:
    """Memory ran out over a long text while attention was plain because the plan says so."""
    incident = plain_attention(case)
    if incident is None:
        return None
    length = row_length(incident)
    evidence = (
        fact("attention", "eager"),
        fact("longest example of the update that did not fit", length, "tokens", step=incident.step + 1),
    )
    fix = change("Compute attention in the fast way.", attention="sdpa")
    words = f"An example of {count(length, 'token')} did not fit into memory with plain attention.{repaired(case)}"
    return Found(0.8, words, evidence, (fix,))
