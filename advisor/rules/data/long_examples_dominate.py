"""A few very long examples outweigh all the others.

What it looks like: after training, it writes like those few, long and about their subject; the many short ones seem to have had no effect.

Why: every word counts the same. An example a hundred times as long as the others has a hundred times their weight.

What to do: split the long ones into passages, cut them shorter, or leave them out.
"""

from advisor.rules import Case, Found, advice, fact, rule
from loralab.core.words import plural

MIN_SHARE = 0.4  # of all learned tokens, in the longest hundredth of the examples


@rule("R90", "data", "warning", "propose", before=True)
def check(case: Case) -> Found | None:
    """The longest hundredth of the examples holds a good part of what is learned."""
    facts = case.facts
    if facts is None or facts.n_train < 50 or facts.longest_share < MIN_SHARE:
        return None
    few = max(1, facts.n_train // 100)
    evidence = (
        fact("share of what is learned, in the longest hundredth", facts.longest_share),
        fact("longest example", facts.tokens.get("max", 0), "tokens"),
        fact("an example in the middle", facts.tokens.get("p50", 0), "tokens"),
    )
    words = f"The {few:,} longest of" if few > 1 else "The longest of"
    words += f" {facts.n_train:,} examples {plural(few, 'makes', 'make')} up {facts.longest_share:.0%} of everything that is learned."
    fixes = (
        advice("Split texts that are too long into passages.", "split_long", few),
        advice("Leave the longest examples out.", "drop_too_long", few),
    )
    return Found(0.6, words, evidence, fixes)
