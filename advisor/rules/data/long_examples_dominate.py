"""A few very long examples count for more than all the others.

What it looks like: after training, it writes like those few, long and about their subject; the many short ones seem to have had no effect.

Why: every word counts the same. An example a hundred times as long as the others has a hundred times their weight.

What to do: split the long ones into passages, cut them shorter, or leave them out.
"""

from advisor.diagnosis.case import Case
from advisor.diagnosis.findings import Evidence, Fix, Found
from advisor.rules import Rule

HALF = 0.4  # of all learned tokens, in the longest hundredth of the examples


def check(case: Case) -> Found | None:
    """The longest hundredth of the examples holds a good part of what is learned."""
    facts = case.facts
    if facts is None or facts.n_train < 50 or facts.longest_share < HALF:
        return None
    few = max(1, facts.n_train // 100)
    evidence = (
        Evidence(what="share of what is learned, in the longest hundredth", value=facts.longest_share),
        Evidence(what="longest example", value=facts.tokens.get("max", 0), unit="tokens"),
        Evidence(what="an example in the middle", value=facts.tokens.get("p50", 0), unit="tokens"),
    )
    words = f"The {few} longest of {facts.n_train:,} examples hold {facts.longest_share:.0%} of all words that are learned."
    fixes = (
        Fix(words="Split texts that are too long into passages.", data="split_long", rows=few),
        Fix(words="Leave the longest examples out.", data="drop_too_long", rows=few),
    )
    return Found(confidence=0.6, words=words, evidence=evidence, fixes=fixes)


RULE = Rule("R90", "data", "A few very long examples count for more than all the others", "warning", "propose", check, before=True)
