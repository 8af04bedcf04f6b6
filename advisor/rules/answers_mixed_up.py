"""The answers do not belong to the questions.

What it looks like: the model takes on the tone of the examples and gives answers that have nothing to do with what was asked. The held-out
loss falls a little at first and then no more.

Why: the column of answers was sorted or shuffled without the column of questions. Names, numbers and rare words of a question then hardly
ever stand in its own answer, but in somebody else's.

What to do: make the file again from where it comes from, and sort whole rows only.
"""

from advisor.case import Case
from advisor.findings import Evidence, Fix, Found
from advisor.rules import Rule

FEWEST = 25  # ties: fewer say nothing
BELONG = 0.05  # in files that are in order 25 % to 97 % of the ties are with the own answer, in shuffled ones 0 to 1 %
DOUBTFUL = 0.15  # between that and the least of a file in order: most likely, too, where some rows were left as they are
SLIPPED = 0.2  # of the ties at one distance: then the column slipped, which is another cause


def check(case: Case) -> Found | None:
    """Rare words tie questions to answers of others, at no fixed distance."""
    facts = case.facts
    if facts is None or facts.ties < FEWEST or facts.own_ties >= DOUBTFUL * facts.ties or facts.slip_ties >= SLIPPED * facts.ties:
        return None
    evidence = (
        Evidence(what="questions tied to an answer by a word that stands in no other", value=facts.ties),
        Evidence(what="of these, tied to their own answer", value=facts.own_ties),
    )
    words = f"Of {facts.ties:,} questions that share a rare word with one answer, {facts.own_ties:,} share it with their own."
    fix = Fix(words="Make the file again, and sort whole rows only.", rows=facts.n_train)
    sure = 0.9 if facts.own_ties < BELONG * facts.ties else 0.7
    return Found(confidence=sure, words=words, evidence=evidence, fixes=(fix,))


RULE = Rule("R85", "data", "The answers do not belong to the questions", "error", "propose", check, before=True)
