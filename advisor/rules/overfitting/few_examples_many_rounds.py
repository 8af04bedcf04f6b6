"""Every example is shown so often that it is learned by heart.

What it looks like: few different examples and many rounds; each one would be seen dozens of times. The loss falls to nearly nothing and the
answers to anything else do not get better.

Why: how often the model sees the same words decides whether it learns what is behind them or the words themselves. Copies in the file count
as rounds, too.

What to do: one to five rounds are usual, ten with a few hundred examples. Add different examples rather than rounds.
"""

import math

from advisor.rules import Case, Found, advice, change, fact, rule
from loralab.core.words import times

MIN_TIMES_SEEN = 30.0  # times each different example is seen
SAFE_EXAMPLES = 1000  # different examples from which on nobody learns them by heart in that many rounds
USUAL_ROUNDS = 10.0
LATE = 0.6  # of the rounds: a best look after that says they were none too many


@rule("R46", "overfitting", "warning", "propose", before=True)
def check(case: Case) -> Found | None:
    """How often the plan shows each different example."""
    facts = case.facts
    if facts is None or not facts.n_train:
        return None
    different = max(1, facts.n_train - facts.repeated)
    rounds = case.course.rounds
    seen = rounds * facts.n_train / different
    if different >= SAFE_EXAMPLES or seen < MIN_TIMES_SEEN:
        return None
    best = case.course.best_rounds if case.ran else math.nan
    if best > LATE * rounds:  # seeing them so often is what helped
        return None
    better = max(1.0, float(round(USUAL_ROUNDS * different / facts.n_train)))
    evidence = (fact("different examples", different), case.course.told_rounds(), fact("times each example is seen", round(seen)))
    words = f"Each of {different:,} different examples is seen about {seen:,.0f} times."
    if different == 1:
        words = f"There is only one example, and it is seen about {seen:,.0f} times."
    fixes = [advice("Add examples that are different from these.", "add")]
    if not math.isnan(best):  # the version of that look is the one that is kept: with fewer rounds it would hardly be another
        evidence = (*evidence, fact("rounds by the best look at the held-out examples", round(best, 1)))
    elif better < rounds:  # one round is the least: then it is the copies that must go
        fixes.insert(0, change(f"Go over the examples {times(better)}.", **case.course.go_over(better)))
    if facts.repeated and (better >= rounds or not math.isnan(best)):
        fixes.insert(0, advice("Remove the copies.", "deduplicate", facts.repeated))
    return Found(0.6, words, evidence, fixes)
