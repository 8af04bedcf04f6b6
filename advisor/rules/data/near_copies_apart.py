"""Some held-out examples are near copies of ones it learns from.

What it looks like: the result looks better than it is: examples kept aside to test on differ from learned ones by a word or two.

Why: exact copies, examples with the same question and a few near copies of a text are kept on one side by themselves. Where many texts were
made from one pattern they are not, because they would be most of the test; and whoever has seen one of them knows the others.

What to do: remove the near copies and train again; the result on the rest can be trusted. If the examples are meant to be that alike, read
the verdict with that in mind.
"""

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules._examples import SMALL_CONFIDENCE, seen
from loralab.core.words import count, plural

MIN_SHARE, ALARM_SHARE = 0.05, 0.2  # of the held-out examples
AFTER = 0.5  # confidence after a run: it says how far the test can be trusted, and removing them teaches the model no more


@rule("R63", "data", "warning", "propose", before=True)
def check(case: Case) -> Found | None:
    """Share of the held-out examples with a near copy among those it learns from."""
    facts = case.facts
    if facts is None or not facts.n_heldout:
        return None
    number = facts.near_shared + facts.shared
    part = number / facts.n_heldout
    if number < 2 or part < MIN_SHARE:
        return None
    evidence = (
        seen(facts, "near_shared", "held-out examples with a near copy among those it learns from"),
        fact("held-out examples", facts.n_heldout),
        seen(facts, "near_repeated", "near copies among those it learns from"),
    )
    words = (
        f"{number:,} of {count(facts.n_heldout, 'held-out example')} {plural(number, 'is', 'are')} nearly the same as one it learns from."
    )
    fix = advice("Remove examples that are nearly the same.", "drop_near_copies", number + facts.near_repeated)
    sure = min(0.95 if case.view is None else AFTER, (0.5 if part >= ALARM_SHARE else SMALL_CONFIDENCE) + part / 2)
    return Found(sure, words, evidence, (fix,), severity="warning" if part >= ALARM_SHARE else "info")
