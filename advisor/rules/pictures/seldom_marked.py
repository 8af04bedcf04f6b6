"""A class is marked in very few of the pictures.

What it looks like: the common classes are marked well, the seldom one not at all.

Why: a class that is absent from nine pictures of ten gains the model next to nothing, and marking it where it is not costs it something.

What to do: add pictures that show it, or leave the class out.
"""

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules.pictures._reading import percent
from advisor.rules.pictures.few_of_a_class import SCARCE
from loralab.core.words import count

SELDOM = 0.1  # of the pictures


@rule("R225", "data", "info", "propose", before=True, tasks=frozenset({"segment"}))
def check(case: Case) -> Found | None:
    """Of several classes, one that is marked in few pictures, though not in so few that it has a rule of its own."""
    facts = case.facts
    if facts is None or len(facts.of_class) < 2:
        return None
    seldom = [(label, n) for label, n in facts.of_class.items() if SCARCE <= n < SELDOM * facts.n_train]
    if not seldom:
        return None
    label, n = seldom[0]
    evidence = [fact(f"pictures in which “{label}” is marked", n) for label, n in seldom[:3]]
    evidence.append(fact("pictures to learn from", facts.n_train))
    words = f"“{label}” is marked in {n:,} of {count(facts.n_train, 'picture')}, which is {percent(n / facts.n_train)}."
    fixes = (advice(f"Add pictures that show “{label}”.", "add"),)
    return Found(0.35, words, [*evidence, fact("share of the pictures", percent(n / facts.n_train))], fixes)
