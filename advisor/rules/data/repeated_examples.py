"""The same examples appear in the file again and again.

What it looks like: the data set looks large, and the loss falls as fast as with a small one. Some answers come up far too often.

Why: files that were put together from others often hold the same rows several times. Each copy counts as another round over that example.

What to do: remove the copies. (Copies are never used for learning and testing at once, so the verdict stays honest.)
"""

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules._examples import SMALL_CONFIDENCE, seen
from loralab.core.words import count, plural

MIN_SHARE, ALARM_SHARE = 0.05, 0.3


@rule("R83", "data", "warning", "propose", before=True)
def check(case: Case) -> Found | None:
    """Share of the training examples that repeat an earlier one."""
    facts = case.facts
    if facts is None or not facts.n_train:
        return None
    part = facts.repeated / facts.n_train
    if part < MIN_SHARE:
        return None
    left = facts.n_train - facts.repeated
    evidence = (seen(facts, "repeated", "examples that repeat an earlier one"), fact("different examples", left))
    copies = plural(facts.repeated, "is a copy", "are copies")
    words = (
        f"{facts.repeated:,} of {count(facts.n_train, 'example')} to learn from {copies}; {left:,} {plural(left, 'is', 'are')} different."
    )
    fix = advice("Remove the copies.", "deduplicate", facts.repeated)
    sure = min(0.95, (0.5 if part >= ALARM_SHARE else SMALL_CONFIDENCE) + part / 2)
    return Found(sure, words, evidence, (fix,), severity="warning" if part >= ALARM_SHARE else "info")
