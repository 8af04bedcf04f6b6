"""The column of answers has slipped against the questions.

What it looks like: each answer would fit the question some rows above or below it. After training, answers have nothing to do with what was
asked.

Why: a cell was deleted or inserted in one column of a spreadsheet only, so that everything under it moved.

What to do: move the answers back by that many rows, which can be done for you, or put the missing cell back in the spreadsheet.
"""

from advisor.rules import Case, Found, advice, fact, rule
from loralab.core.words import count

MIN_TIES, MIN_SHARE = 15, 0.2  # ties at one distance, and of all ties
MIN_TIMES_OWN = 0.3  # a slip in the last part of a file leaves the first in order


@rule("R86", "data", "error", "propose", before=True)
def check(case: Case) -> Found | None:
    """Rare words tie questions to the answers a fixed number of rows further on."""
    facts = case.facts
    if (
        facts is None
        or facts.slip_ties < MIN_TIES
        or facts.slip_ties < MIN_SHARE * facts.ties
        or facts.slip_ties < facts.own_ties * MIN_TIMES_OWN
    ):
        return None
    side = "below" if facts.slip > 0 else "above"
    where = f"{count(abs(facts.slip), 'row')} {side} it"
    evidence = (
        fact("questions that share a rare word with one answer only", facts.ties),
        fact("of these, with their own answer", facts.own_ties),
        fact(f"of these, with the answer {count(abs(facts.slip), 'row')} {side}", facts.slip_ties),
    )
    words = f"{facts.slip_ties:,} of {facts.ties:,} questions share a rare word with the answer {where}, {facts.own_ties:,} with their own."
    fix = advice(f"Move the answers back by {count(abs(facts.slip), 'row')}.", "realign", facts.n_train)
    return Found(0.95, words, evidence, (fix,))
