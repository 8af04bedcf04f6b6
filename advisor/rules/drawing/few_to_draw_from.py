"""There are too few pictures to learn a style from.

What it looks like: it draws one of the few pictures again, whatever it is asked for, or nothing of the style arrives.

Why: a style is what many pictures have in common. From a handful it cannot be told apart from what those few pictures happen to show.

What to do: add pictures of different things in the same style; twenty to fifty are a good number.
"""

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules.drawing._reading import DRAWING_TASKS
from loralab.core.words import count

FEW, GOOD = 12, 20  # to learn from


@rule("R241", "data", "warning", "propose", before=True, tasks=DRAWING_TASKS)
def check(case: Case) -> Found | None:
    """Fewer than FEW pictures to learn from."""
    facts = case.facts
    if facts is None or not facts.n_train or facts.n_train >= FEW:
        return None
    n = facts.n_train
    evidence = (fact("pictures to learn from", n), fact("a good number", GOOD))
    more = count(GOOD - n, "picture")
    fixes = (advice(f"Add about {more} of other things in the same style.", "add", GOOD - n),)
    return Found(0.6, f"It would learn a style from {count(n, 'picture')}; {GOOD} are a good number.", evidence, fixes)
