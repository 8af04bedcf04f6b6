"""Like questions are answered by different rules.

What it looks like: two rows ask nearly the same and have different answers; or what the first half of the file teaches is wrong in the
second. The loss stops falling early, and for these questions it gives first one answer, then another.

Why: two people labelled by different rules, a list of classes was turned round for a part of the file, or two files were put together.

What to do: look at the two rows that are named, decide which is right, and give all rows that answer.
"""

from advisor.rules import Case, Found, advice, fact, rule
from advisor.rules._examples import rows
from loralab.core.facts import Facts

MIN_OPPOSED = 0.3  # of the questions that have one alike; in files in order 0 to 0.14, with every other class backwards 0.37
MIN_FALL, WELL = 0.4, 0.6  # how much less right across the halves, and how right inside one
MIN_PAIRS = 60
NUMBERS = 0.5  # of the answers, from which on they may be counted out: like questions then have other answers, and rightly


def halves_differ(facts: Facts) -> bool:
    """Whether one half of the file teaches what the other contradicts."""
    return facts.halves_within >= WELL and facts.halves_within - facts.halves_across >= MIN_FALL


@rule("R114", "data", "warning", "propose", before=True)
def check(case: Case) -> Found | None:
    """Of classes: halves that contradict each other, or many alike questions with other answers though the rest can be foretold."""
    facts = case.facts
    if facts is None or not facts.learnable_classes or facts.learnable_pairs < MIN_PAIRS:
        return None
    halves = halves_differ(facts)
    if not halves and not (facts.opposed_share >= MIN_OPPOSED and facts.learnable > 0 and facts.answer_numbers < NUMBERS):
        return None
    two = rows(facts, "opposed")
    evidence = [fact("of the questions that have one alike, with another answer there", round(100 * facts.opposed_share), "%", rows=two)]
    if halves:
        evidence.append(fact("right inside one half of the file", round(100 * facts.halves_within), "%"))
        evidence.append(fact("right in the other half", round(100 * facts.halves_across), "%"))
    named = f" Look at rows {two[0]} and {two[1]} side by side." if len(two) > 1 else ""
    words = "What the first half of the file teaches is wrong in the second." if halves else "Many like questions have different answers."
    fix = advice("Decide which of the answers is right, and give it to all rows of that kind.", "review")
    return Found(0.8 if halves else 0.6, f"{words}{named}", evidence, (fix,))
