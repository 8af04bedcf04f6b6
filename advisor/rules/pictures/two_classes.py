"""The same picture is there with two different classes.

What it looks like: some pictures are never sorted right, and no setting changes that.

Why: of two classes of the same picture one is wrong, and while it learns it is told both in turn. Tested on such a picture, it is as
likely wrong as right.

What to do: look at the pictures named, and keep each in one class only. Where a picture really belongs to several classes, this kind of
training is not the right one: mark the things in boxes.
"""

from advisor.rules import Case, Found, advice, fact, rule
from loralab.core.words import count, plural

MANY = 0.02  # of all pictures


@rule("R211", "data", "warning", "propose", before=True, tasks=frozenset({"classify"}))
def check(case: Case) -> Found | None:
    """Near copies with different classes."""
    facts = case.facts
    if facts is None or not facts.two_classes:
        return None
    n, whole = facts.two_classes, facts.n_train + facts.n_watched + facts.n_heldout + facts.apart
    evidence = (fact("pictures that are there with another class, too", n, rows=facts.rows.get("two_classes", ())), fact("pictures", whole))
    words = f"{n:,} of {count(whole, 'picture')} {plural(n, 'is', 'are')} there with another class, too."
    fix = advice("Look at them, and keep each in one class only.", "review", n)
    many = n >= MANY * whole
    return Found(0.7 if many else 0.4, words, evidence, (fix,), severity="warning" if many else "info")
